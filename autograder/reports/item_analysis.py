"""Item analysis: difficulty index and discrimination of every exercise, and the distribution of totals.

The terms are those of classical test theory (Crocker and Algina 1986; Ebel and Frisbie 1991). An *item* is an exercise
or a written answer. Its difficulty index is the mean share of its points. Its discrimination is the corrected
item-total correlation: Pearson's, of the points of the item with the points of all *other* items; for an item that is
right or wrong this is the point-biserial correlation.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["SMALLEST", "Bin", "Item", "analyse", "correlation", "histogram"]

SMALLEST = 10  # submissions: a correlation of fewer says nothing (of 10, 95 % of those without any lie within ±0.63)
_NO_SPREAD = 1e-9  # points: less is rounding
_BINS = 10

Scores = Mapping[str, float | None]  # points by item; None where they are not final


@dataclass(frozen=True)
class Item:
    """What a class did with one exercise or written answer."""

    n: int  # submissions whose points are final
    difficulty: float | None  # 0: nobody earned a point, 1: everybody earned all; None without any submission
    discrimination: float | None  # -1 to 1; None where it is not defined, or of fewer than SMALLEST


@dataclass(frozen=True)
class Bin:
    """A bar of a histogram: from ``low`` to below ``high``; the last one includes its end, and all above it."""

    low: float
    high: float
    count: int


def analyse(rows: Sequence[Scores], most: Mapping[str, float]) -> dict[str, Item]:
    """Return what can be said of each item of ``most``.

    Parameters
    ----------
    rows
        The points of every submission, before penalties. A missing item is one that is not final.
    most
        The points that each item is worth.

    Notes
    -----
    An item that is not final in some row, such as an answer that waits for a person, is no part of the total that other
    items are correlated with. Otherwise that total would not mean the same for everybody.
    """
    settled = [item for item in most if all(row.get(item) is not None for row in rows)]
    found = {}
    for item, points in most.items():
        scored = [(score, row) for row in rows if (score := row.get(item)) is not None]
        scores = [score for score, _ in scored]
        rest = [sum(row[other] or 0.0 for other in settled if other != item) for _, row in scored]
        share = statistics.fmean(scores) / points if scores and points else None
        found[item] = Item(len(scores), share, correlation(scores, rest))
    return found


def correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Pearson's correlation; None of fewer than ``SMALLEST`` pairs, and where one side is always the same."""
    if len(first) < SMALLEST or min(_spread(first), _spread(second)) < _NO_SPREAD:
        return None
    return min(1.0, max(-1.0, statistics.correlation(first, second)))


def histogram(totals: Sequence[float], most: float) -> list[Bin]:
    """Return how many of ``totals`` lie in each tenth of the points that can be earned; empty if there are none."""
    if not totals or most <= 0:
        return []
    places = [min(_BINS - 1, max(0, int(total * _BINS / most + _NO_SPREAD))) for total in totals]
    return [Bin(k * most / _BINS, (k + 1) * most / _BINS, places.count(k)) for k in range(_BINS)]


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)
