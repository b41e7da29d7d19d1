"""The one seam to river: detectors that read a stream of errors, for comparison. Importing river takes seconds."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["adwin", "page_hinkley"]


def adwin(values: Iterable[float], *, delta: float = 0.002) -> int | None:
    """Return the index at which ADWIN (Bifet and Gavaldà 2007) sees the mean of a stream change, or ``None``."""
    from river.drift import ADWIN

    return _first(ADWIN(delta=delta), values)  # type: ignore[no-untyped-call]


def page_hinkley(values: Iterable[float], *, threshold: float = 50.0) -> int | None:
    """Return the index at which the Page–Hinkley test sees the mean of a stream rise, or ``None``."""
    from river.drift import PageHinkley

    return _first(PageHinkley(threshold=threshold, mode="up"), values)


def _first(detector: object, values: Iterable[float]) -> int | None:
    for index, number in enumerate(values):
        detector.update(float(number))  # type: ignore[attr-defined]
        if detector.drift_detected:  # type: ignore[attr-defined]
            return index
    return None
