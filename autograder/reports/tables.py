"""Grades as CSV: one table for people and scripts, and the tables that Canvas and Moodle import."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from autograder.authoring.assignments import Assignment
from autograder.model import GradebookRow, Result
from autograder.reports.files import write_atomically

__all__ = ["canvas_csv", "grades_csv", "moodle_csv", "write_exports"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_exports(rows: Sequence[GradebookRow], assignments: Sequence[Assignment], folder: Path) -> None:
    """Write ``grades.csv``, ``canvas.csv`` and one ``moodle/NAME.csv`` for each notebook into ``folder``."""
    write_atomically(folder / "grades.csv", grades_csv(rows, assignments))
    write_atomically(folder / "canvas.csv", canvas_csv(rows, assignments))
    for assignment in assignments:
        own = [row for row in rows if row.result.notebook == assignment.name]
        if own:
            write_atomically(folder / "moodle" / f"{assignment.name}.csv", moodle_csv(own, assignment))


def grades_csv(rows: Iterable[GradebookRow], assignments: Sequence[Assignment]) -> str:
    """Return a line for every student and notebook, with a column for every exercise.

    ``score`` and ``max`` are the automatic points, ``manual`` those a person gave so far (or what is added to a score
    by hand), ``penalty`` what lateness costs, and ``total`` what the gradebook says in the end.
    """
    numbers = {assignment.name: [e.number for e in assignment.spec.exercises] for assignment in assignments}
    exercises = list(dict.fromkeys(number for own in numbers.values() for number in own))
    head = [
        "student",
        "notebook",
        "score",
        "max",
        "status",
        "reason",
        "manual",
        "penalty",
        "total",
        "cached",
        *exercises,
    ]
    lines: list[list[str]] = [head]
    for row in rows:
        result = row.result
        earned = _by_exercise(result)
        lines.append(
            [
                result.student,
                result.notebook,
                _number(result.score),
                _number(result.max_score),
                result.status,
                result.reason,
                _number(row.total - result.score),
                _number(row.penalty),
                _number(max(0.0, row.total - row.penalty)),
                result.extra.get("cached", ""),
                *(
                    _number(earned[n]) if n in numbers.get(result.notebook, ()) and n in earned else ""
                    for n in exercises
                ),
            ]
        )
    return _csv(lines)


def canvas_csv(rows: Sequence[GradebookRow], assignments: Sequence[Assignment]) -> str:
    """Return Canvas's gradebook import: a line for each student, a column for each notebook.

    ``ID`` is Canvas's own number where the submission's file name told it; otherwise Canvas matches ``SIS Login ID``.
    """
    graded = [a for a in assignments if any(row.result.notebook == a.name for row in rows)]
    lines = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *(a.name for a in graded)]]
    lines.append(["    Points Possible", "", "", "", "", *(_number(_most(a)) for a in graded)])
    totals = {(row.result.student, row.result.notebook): _number(max(0.0, row.total - row.penalty)) for row in rows}
    ids = {row.result.student: row.lms_id for row in rows if row.lms_id}
    for student in dict.fromkeys(row.result.student for row in rows):
        login = "" if student in ids else student
        scores = (totals.get((student, a.name), "") for a in graded)
        lines.append([student, ids.get(student, ""), "", login, "", *scores])
    return _csv(lines)


def moodle_csv(rows: Iterable[GradebookRow], assignment: Assignment) -> str:
    """Return Moodle's grading worksheet for one notebook.

    ``Identifier`` is Moodle's participant number where the submission's file name told it.
    """
    lines = [["Identifier", "Full name", "Status", "Grade", "Maximum Grade", "Feedback comments"]]
    for row in rows:
        who = f"Participant {row.lms_id}" if row.lms_id else row.result.student
        first = row.result.first_failure()
        comment = row.result.reason or (first.message if first else "")
        total = _number(max(0.0, row.total - row.penalty))
        lines.append([who, row.result.student, row.result.status, total, _number(_most(assignment)), comment])
    return _csv(lines)


def _by_exercise(result: Result) -> dict[str, float]:
    earned: dict[str, float] = {}
    for check in result.checks:
        if check.check.kind != "manual":
            earned[check.check.exercise] = earned.get(check.check.exercise, 0.0) + (check.points or 0.0)
    return earned


def _most(assignment: Assignment) -> float:
    return assignment.spec.points + sum(check.points for check in assignment.spec.manual)


def _number(value: float) -> str:
    return f"{round(value, 4):g}"


def _csv(lines: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[_plain(field) for field in line] for line in lines])
    return text.getvalue()


def _plain(field: str) -> str:
    """Keep a spreadsheet from reading a name or a message as a formula."""
    field = " ".join(field.split()) if "\n" in field else field
    is_number = field.replace(".", "", 1).removeprefix("-").isdigit()
    return "'" + field if field.startswith(_FORMULA) and not is_number else field
