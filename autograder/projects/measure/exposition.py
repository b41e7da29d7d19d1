"""Read Prometheus' text format as far as the grader needs it: how much each counter and histogram has counted."""

from __future__ import annotations

import re

__all__ = ["grown", "samples", "values"]

_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{.*\})? (\S+)", re.M)


def samples(text: str, kind: str) -> dict[str, float]:
    """Return, by family, the sum over all label sets: of a ``counter`` its values, of a ``histogram`` its counts."""
    families = _families(text, kind)
    found = dict.fromkeys(families, 0.0)
    for name, value in _SAMPLE.findall(text):
        family = name.removesuffix("_count") if kind == "histogram" else name
        if kind == "counter" and family not in families:
            family = name.removesuffix("_total")  # OpenMetrics leaves the suffix out of the family's name
        if family in families and (kind == "counter" or name.endswith("_count")):
            found[family] += _number(value)
    return found


def values(text: str, kind: str) -> dict[str, float]:
    """Return each family of ``kind`` with the sum over its label sets."""
    families = _families(text, kind)
    return samples(text, kind) if kind != "gauge" else _gauges(text, families)


def _families(text: str, kind: str) -> set[str]:
    return set(re.findall(rf"^# TYPE (\S+) {kind}\s*$", text, re.M))


def _gauges(text: str, families: set[str]) -> dict[str, float]:
    found = dict.fromkeys(families, 0.0)
    for name, value in _SAMPLE.findall(text):
        if name in families:
            found[name] += _number(value)
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def grown(before: str, after: str, kind: str, by: int) -> list[str]:
    """Return the families that count ``by`` more after than before."""
    old = samples(before, kind)
    return sorted(name for name, value in samples(after, kind).items() if value - old.get(name, 0.0) == by)
