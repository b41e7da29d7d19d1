"""Class statistics: for each notebook the totals, and for each exercise how hard it was, and what went wrong.

Submissions that were rejected or failed are in none of them: their points say nothing about the exercises.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from autograder.authoring.assignments import Assignment
from autograder.model import CheckResult, Exercise, GradebookRow
from autograder.reports.item_analysis import Item, analyse, histogram

__all__ = ["course_statistics", "notebook_statistics"]

_BINS = 5  # of the share of an exercise's points, besides exactly zero and exactly full
_MOST_MESSAGES = 8  # for each exercise
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def notebook_statistics(assignment: Assignment, rows: Sequence[GradebookRow]) -> dict[str, Any]:
    """Return the totals of one notebook, and what can be said of its exercises and written answers."""
    graded = [row for row in rows if row.result.status == "graded"]
    most = max(row.most for row in rows)
    scores = [_final_points(row) for row in graded]
    worth = _worth(assignment, rows)
    items = analyse(scores, worth)
    return {
        "name": assignment.name,
        "title": assignment.spec.title,
        **_totals(graded, most),
        "left_out": dict(Counter(row.result.status for row in rows if row.result.status != "graded")),
        "exercises": [_exercise(exercise, graded, items[exercise.number]) for exercise in assignment.spec.exercises],
        "answers": [
            {"id": check.grade_id, "points": worth[check.grade_id], **_item(items[check.grade_id], len(graded))}
            for check in assignment.spec.manual
        ],
        "answers_in_total": all(row.get(c.grade_id) is not None for row in scores for c in assignment.spec.manual),
    }  # fmt: skip


def course_statistics(rows: Sequence[GradebookRow]) -> dict[str, Any]:
    """Return the distribution of everybody's points in all notebooks, of those with every notebook graded."""
    notebooks = {row.result.notebook: row.most for row in rows}
    own: dict[str, dict[str, GradebookRow]] = defaultdict(dict)
    for row in rows:
        if row.result.status == "graded":
            own[row.result.student][row.result.notebook] = row
    whole = [list(graded.values()) for graded in own.values() if graded.keys() == notebooks.keys()]
    students = {row.result.student for row in rows}
    totals = [sum(row.final for row in graded) for graded in whole]
    most = sum(notebooks.values())
    return {
        "notebooks": len(notebooks),
        "points": most,
        "students": len(whole),
        "left_out": len(students) - len(whole),
        "not_final": sum(any(row.waits for row in graded) for graded in whole),
        **_spread(totals),
        "distribution": [asdict(one) for one in histogram(totals, most)],
    }


def _totals(graded: Sequence[GradebookRow], most: float) -> dict[str, Any]:
    finals = [row.final for row in graded]
    return {
        "points": most,
        "submissions": len(graded),
        "not_final": sum(bool(row.waits) for row in graded),
        **_spread(finals),
        "distribution": [asdict(one) for one in histogram(finals, most)],
    }


def _spread(totals: Sequence[float]) -> dict[str, float | None]:
    return {
        "mean": round(statistics.fmean(totals), 3) if totals else None,
        "median": round(statistics.median(totals), 3) if totals else None,
        "deviation": round(statistics.stdev(totals), 3) if len(totals) > 1 else None,
    }


def _item_of(check: CheckResult) -> str:
    """Return the item that a graded cell belongs to: its exercise, or, if it is a written answer, itself."""
    return check.check.grade_id if check.check.kind == "manual" else check.check.exercise


def _final_points(row: GradebookRow) -> dict[str, float | None]:
    """Return the points of each item; None where one of its cells waits for a person."""
    waiting = set(row.waits)
    points: dict[str, float | None] = {}
    for check in row.checks:
        item, sofar = _item_of(check), points.get(_item_of(check), 0.0)
        final = check.points is not None and check.check.grade_id not in waiting
        points[item] = sofar + (check.points or 0.0) if final and sofar is not None else None
    return points


def _worth(assignment: Assignment, rows: Sequence[GradebookRow]) -> dict[str, float]:
    """Return the points of each item as the gradebook has them."""
    known: Counter[str] = Counter()
    for check in rows[0].checks:
        known[_item_of(check)] += check.check.points  # type: ignore[assignment]
    asked = {exercise.number: exercise.points for exercise in assignment.spec.exercises}
    asked |= {check.grade_id: check.points for check in assignment.spec.manual}
    return {item: known.get(item, points) for item, points in asked.items()}


def _item(item: Item, submissions: int) -> dict[str, Any]:
    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value, 3)

    return {
        "n": item.n,
        "waiting": submissions - item.n,
        "difficulty": rounded(item.difficulty),
        "discrimination": rounded(item.discrimination),
    }


def _exercise(exercise: Exercise, graded: Sequence[GradebookRow], item: Item) -> dict[str, Any]:
    shares: list[float] = []
    messages: dict[str, list[str]] = defaultdict(list)
    not_attempted = 0
    for row in graded:
        checks = [c for c in row.checks if c.check.exercise == exercise.number and c.check.kind != "manual"]
        most = sum(c.check.points for c in checks)
        shares.append(sum(c.points or 0.0 for c in checks) / most if most else 1.0)
        missed = next((c for c in checks if c.lost), None)
        if missed and exercise.number in row.result.extra.get("not_attempted", "").split():
            not_attempted += 1
        elif missed:
            messages[_NUMBER.sub("#", missed.message)].append(missed.message)
    common = sorted(messages.values(), key=lambda texts: (-len(texts), texts[0]))
    return {
        "number": exercise.number,
        "title": exercise.title,
        "points": exercise.points,
        **_item(item, len(graded)),
        "not_attempted": not_attempted,
        "distribution": _distribution(shares),
        "messages": [{"message": texts[0], "count": len(texts)} for texts in common[:_MOST_MESSAGES]],
        "other_messages": sum(len(texts) for texts in common[_MOST_MESSAGES:]),
    }


def _distribution(shares: Sequence[float]) -> list[dict[str, Any]]:
    """Count nothing, everything, and fifths between them: what lies at the ends means something else."""
    counts = Counter("0" if s <= 0 else "1" if s >= 1 else str(min(_BINS - 1, int(s * _BINS))) + "b" for s in shares)
    between = [(f"{100 * b // _BINS}–{100 * (b + 1) // _BINS} %", counts[f"{b}b"]) for b in range(_BINS)]
    return [{"share": label, "count": n} for label, n in [("0 %", counts["0"]), *between, ("100 %", counts["1"])]]
