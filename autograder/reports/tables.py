"""Grades as CSV: one table for people and scripts, and the tables that Canvas and Moodle import."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from autograder.authoring.assignments import Assignment
from autograder.model import CheckResult, GradebookRow
from autograder.reports.files import write_atomically
from autograder.text import table_cell

__all__ = ["canvas_csv", "grades_csv", "moodle_csv", "waiting_csv", "write_exports"]


def write_exports(rows: Sequence[GradebookRow], assignments: Sequence[Assignment], folder: Path) -> None:
    """Write ``grades.csv``, ``canvas.csv``, ``waiting.csv`` and a ``moodle/NAME.csv`` for each notebook."""
    write_atomically(folder / "grades.csv", grades_csv(rows, assignments))
    write_atomically(folder / "canvas.csv", canvas_csv(rows, assignments))
    write_atomically(folder / "waiting.csv", waiting_csv(rows))
    names = _names(rows, assignments)
    for table in folder.glob("moodle/*.csv"):
        if table.stem not in names:
            table.unlink()  # nobody is left in that notebook
    for name in names:
        own = [row for row in rows if row.result.notebook == name]
        write_atomically(folder / "moodle" / f"{name}.csv", moodle_csv(own))


_COLUMNS = (
    "student", "notebook", "score", "max", "status", "reason", "manual", "penalty", "total", "total_max", "waits",
    "cached",
)  # fmt: skip


def grades_csv(rows: Sequence[GradebookRow], assignments: Sequence[Assignment] = ()) -> str:
    """Return a line for every student and notebook, with a column for every exercise.

    ``score`` and ``max`` are the automatic points, ``manual`` what people changed or added, ``penalty`` what lateness
    costs, ``total`` what the gradebook says in the end, of ``total_max``. ``waits`` names the answers that a person has
    yet to look at: as long as it is not empty, the total is not final.
    """
    order = _names(rows, assignments)
    numbers = [c.check.exercise for name in order for row in rows if row.result.notebook == name for c in _coded(row)]
    exercises = list(dict.fromkeys(numbers))
    columns = [*(f"exercise {number}" if number in _COLUMNS else number for number in exercises)]
    lines: list[list[str]] = [[*_COLUMNS, *columns]]
    for row in rows:
        result, earned = row.result, _by_exercise(row)
        automatic = _automatic(row)
        lines.append(
            [
                result.student,
                result.notebook,
                _number(automatic),
                _number(sum(check.check.points for check in _coded(row))),
                result.status,
                result.reason or result.extra.get("note", ""),
                _number(row.total - automatic),
                _number(row.penalty),
                _number(row.final),
                _number(row.most),
                " ".join(row.waits),
                result.extra.get("cached", ""),
                *(_number(earned[n]) if n in earned else "" for n in exercises),
            ]
        )
    return _csv(lines)


def canvas_csv(rows: Sequence[GradebookRow], assignments: Sequence[Assignment] = ()) -> str:
    """Return Canvas's gradebook import: a line for each student, a column for each notebook.

    ``ID`` is Canvas's own number where the submission's file name told it; otherwise Canvas matches ``SIS Login ID``.
    Canvas makes an assignment of every column it does not know, so which totals are not final stands elsewhere.
    """
    names = _names(rows, assignments)
    most = {row.result.notebook: row.most for row in rows}
    lines = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *names]]
    lines.append(["    Points Possible", "", "", "", "", *(_number(most[name]) for name in names)])
    totals = {(row.result.student, row.result.notebook): _number(row.final) for row in rows}
    ids = {row.result.student: row.lms_id for row in rows if row.lms_id}
    people = {row.result.student: row.result.name for row in rows}
    for student, name in people.items():
        login = "" if student in ids else student
        scores = (totals.get((student, notebook), "") for notebook in names)
        lines.append([name, ids.get(student, ""), "", login, "", *scores])
    return _csv(lines)


def moodle_csv(rows: Iterable[GradebookRow]) -> str:
    """Return Moodle's grading worksheet for one notebook.

    ``Identifier`` is Moodle's participant number where the submission's file name told it.
    """
    lines = [["Identifier", "Full name", "Status", "Grade", "Maximum Grade", "Feedback comments"]]
    for row in rows:
        who = f"Participant {row.lms_id}" if row.lms_id else row.result.student
        first = next((check for check in row.checks if check.lost), None)
        comment = row.result.reason or (first.message if first else "")
        if row.waits:
            comment = f"Not final: {len(row.waits)} answers wait for a person. {comment}".strip()
        lines.append([who, row.result.name, row.result.status, _number(row.final), _number(row.most), comment])
    return _csv(lines)


def waiting_csv(rows: Iterable[GradebookRow]) -> str:
    """Return a line for every answer that a person has yet to look at, with what it counts so far."""
    lines = [["student", "notebook", "answer", "points so far", "max"]]
    for row in rows:
        checks = {check.check.grade_id: check for check in row.checks}
        for answer in row.waits:
            points, most = checks[answer].points, checks[answer].check.points
            so_far = "" if points is None else _number(points)
            lines.append([row.result.student, row.result.notebook, answer, so_far, _number(most)])
    return _csv(lines)


def _names(rows: Sequence[GradebookRow], assignments: Sequence[Assignment]) -> list[str]:
    """Return the notebooks that have rows, those of ``assignments`` in their order."""
    there = dict.fromkeys(row.result.notebook for row in rows)
    return list(dict.fromkeys([*(a.name for a in assignments if a.name in there), *there]))


def _coded(row: GradebookRow) -> list[CheckResult]:
    return [check for check in row.checks if check.check.kind != "manual"]


def _automatic(row: GradebookRow) -> float:
    """Return what the machine gave, people's points apart."""
    scores = [mark.automatic or 0.0 for mark in row.marks] if row.marks else [c.points or 0.0 for c in row.checks]
    return sum(scores)


def _by_exercise(row: GradebookRow) -> dict[str, float]:
    earned: dict[str, float] = {}
    for check in _coded(row):
        earned[check.check.exercise] = earned.get(check.check.exercise, 0.0) + (check.points or 0.0)
    return earned


def _number(value: float) -> str:
    return f"{round(value, 4):g}"


def _csv(lines: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[table_cell(field) for field in line] for line in lines])
    return text.getvalue()
