"""Rubric of a written answer: a Markdown table above it whose first column is headed *Points*, a row for each item."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["RubricItem", "rubric_of"]

_TABLE = re.compile(r"^\|\s*Points?\s*\|[^\n]*\n\|[\s:|-]+\|[ \t]*\n(?P<rows>(?:\|[^\n]*(?:\n|\Z))+)", re.M | re.I)
_ROW = re.compile(r"^\|\s*(?P<points>\d+(?:\.\d+)?)\s*\|(?P<text>.*)\|\s*$", re.M)


@dataclass(frozen=True)
class RubricItem:
    """What an answer can have, and what it is worth."""

    points: float
    text: str


def rubric_of(markdown: str) -> tuple[RubricItem, ...]:
    r"""Return the items of the first rubric in ``markdown``; none if there is no such table.

    >>> rubric_of("| Points | For |\n|---|---|\n| 1 | a number |\n| 0.5 | its *unit* |")
    (RubricItem(points=1.0, text='a number'), RubricItem(points=0.5, text='its *unit*'))
    """
    table = _TABLE.search(markdown)
    rows = _ROW.finditer(table["rows"]) if table else ()
    return tuple(RubricItem(float(row["points"]), row["text"].strip().replace(r"\|", "|")) for row in rows)
