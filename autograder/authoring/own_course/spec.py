"""Spec of any notebook: which cells belong to one exercise, where no heading has to say so.

A solution cell begins an exercise; the tests after it, up to the next one, are its checks. Its title is the Markdown
heading above it. A notebook that follows the course's own names (``ex-1-2``, ``check-1-2``) is read by them.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from autograder.authoring.assignments import grade_id_of
from autograder.authoring.format import grading, spec_of
from autograder.model import Check, Exercise, NotebookSpec

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["any_spec"]

_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t#]*$", re.M)
_FENCED = re.compile(r"^```.*?^```", re.M | re.S)
_HIDDEN = "BEGIN HIDDEN TESTS"
_LONGEST = 80  # characters of a title


def any_spec(graded: NotebookNode, name: str) -> NotebookSpec:
    """Return what the notebook ``graded``, with its hidden tests in place, asks."""
    by_names = spec_of(graded, name)
    known = {check.grade_id for exercise in by_names.exercises for check in exercise.checks}
    known |= {check.grade_id for check in by_names.manual}
    if all(grade_id_of(cell) in known for cell in graded.cells if _is_worth_points(cell)):
        return by_names
    return _by_place(graded, name)


def _is_worth_points(cell: NotebookNode) -> bool:
    meta = grading(cell)
    return bool(meta.get("grade") or meta.get("task"))


def _by_place(graded: NotebookNode, name: str) -> NotebookSpec:
    title, heading = name, ""
    titles: dict[str, str] = {}
    solutions: dict[str, str] = {}
    checks: dict[str, list[Check]] = {}
    manual: list[Check] = []
    current = ""
    for cell in graded.cells:
        meta, grade_id = grading(cell), grade_id_of(cell)
        if cell.cell_type == "markdown":
            for level, text in _HEADING.findall(_FENCED.sub("", cell.source)):
                heading = text.strip()[:_LONGEST]
                title = heading if len(level) == 1 and title == name else title
        if meta.get("task") or (meta.get("grade") and (meta.get("solution") or cell.cell_type != "code")):
            manual.append(Check(grade_id, grade_id, "manual", float(meta.get("points", 0))))
        elif meta.get("solution") and cell.cell_type == "code":
            current, solutions[grade_id], titles[grade_id] = grade_id, grade_id, heading
        elif meta.get("grade"):
            number = current or grade_id
            solutions.setdefault(number, grade_id)
            titles.setdefault(number, heading)
            points, is_hidden = float(meta.get("points", 0)), _HIDDEN in cell.source
            own = Check(grade_id, number, "hidden" if is_hidden else "visible", points)
            checks.setdefault(number, []).append(own)
    count = Counter(titles[number] for number in checks)
    exercises = tuple(
        Exercise(number, _title(titles[number], number, count), solutions[number], tuple(graded_by))
        for number, graded_by in checks.items()
    )
    return NotebookSpec(name, title, exercises, tuple(manual))


def _title(heading: str, number: str, count: Counter[str]) -> str:
    """Return a heading that no other exercise has; without any, the name of the solution cell."""
    if not heading:
        return number
    return heading if count[heading] == 1 else f"{heading} · {number}"
