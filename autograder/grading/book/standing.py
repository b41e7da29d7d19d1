"""What stands in a gradebook: read from nbgrader's tables as plain values, in four questions for a whole class.

nbgrader's own classes sum up every score again for each object that is loaded; here the tables are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from autograder.model import Mark

if TYPE_CHECKING:
    from nbgrader.api import Gradebook

__all__ = ["Standing", "cells_query", "comments_written", "lateness", "mark_of", "marks_of", "submissions"]

_MARKED_LATE = 1.0  # seconds: of a submission that the platform marks as late, and whose time is not known


@dataclass(frozen=True)
class Standing:
    """What the gradebook holds for one submission."""

    student: str
    notebook: str
    marks: tuple[Mark, ...]
    comments: dict[str, str]  # a person's, by cell
    late_seconds: float
    penalty: float
    penalty_before: float  # what stood there before it was derived again

    @property
    def total(self) -> float:
        """Points before the penalty, people's included."""
        return sum(mark.counted for mark in self.marks)


def lateness(stamp: datetime | None, due: datetime | None, extension: timedelta | None, *, marked: bool) -> float:
    """Return by how many seconds a submission is late.

    A mark of the learning platform counts like a time after the due date. An extension excuses it where the time is
    not known or within it: the platform does not know of the extension.
    """
    seconds = 0.0
    if stamp is not None and due is not None:
        seconds = max(0.0, (stamp - due - (extension or timedelta())).total_seconds())
    return max(seconds, _MARKED_LATE) if marked and not extension else seconds


def mark_of(name: str, most: float, grade: Any) -> Mark:
    """Return a row of nbgrader's table of grades as a plain value."""
    waits, extra = bool(grade.needs_manual_grade), grade.extra_credit or 0.0
    return Mark(name, most, grade.auto_score, grade.manual_score, extra, waits)


def submissions(gradebook: Gradebook) -> Sequence[Any]:
    """Return the notebooks that were handed in; nbgrader's classes would sum up every score for each of them.

    ``name`` is the assignment's, ``notebook`` that of the notebook.
    """
    from nbgrader.api import Assignment, Notebook, SubmittedAssignment, SubmittedNotebook
    from sqlalchemy import select

    here, whole = SubmittedNotebook.__table__, SubmittedAssignment.__table__
    asked, notebook = Assignment.__table__, Notebook.__table__
    columns = (here.c.id, here.c.late_submission_penalty, whole.c.student_id, whole.c.timestamp, whole.c.extension)
    query = (
        select(*columns, asked.c.name, asked.c.duedate, notebook.c.name.label("notebook"))
        .join_from(here, whole, here.c.assignment_id == whole.c.id)
        .join(asked, whole.c.assignment_id == asked.c.id)
        .join(notebook, here.c.notebook_id == notebook.c.id)
    )
    found: Sequence[Any] = gradebook.db.execute(query).all()
    return found


def cells_query() -> Any:
    """Return the question for name and maximum of every cell."""
    from nbgrader.api import BaseCell, GradeCell, TaskCell
    from sqlalchemy import func, select

    cell, code, task = (model.__table__ for model in (BaseCell, GradeCell, TaskCell))
    return (
        select(cell.c.id, cell.c.name, func.coalesce(code.c.max_score, task.c.max_score, 0.0).label("most"))
        .select_from(cell)
        .outerjoin(code, code.c.id == cell.c.id)
        .outerjoin(task, task.c.id == cell.c.id)
    )


def marks_of(gradebook: Gradebook) -> dict[str, list[Mark]]:
    """Return every grade, by the id of the notebook that was handed in."""
    from nbgrader.api import Grade
    from sqlalchemy import select

    cells = {row.id: row for row in gradebook.db.execute(cells_query())}
    found: dict[str, list[Mark]] = {}
    for row in gradebook.db.execute(select(Grade.__table__)):
        cell = cells[row.cell_id]
        found.setdefault(row.notebook_id, []).append(mark_of(cell.name, cell.most, row))
    return found


def comments_written(gradebook: Gradebook) -> dict[str, dict[str, str]]:
    """Return every comment that a person wrote, by the id of the notebook that was handed in and by cell."""
    from nbgrader.api import BaseCell, Comment
    from sqlalchemy import select

    comment, cell = Comment.__table__, BaseCell.__table__
    query = select(comment.c.notebook_id, cell.c.name, comment.c.manual_comment).join_from(
        comment, cell, comment.c.cell_id == cell.c.id
    )
    found: dict[str, dict[str, str]] = {}
    for notebook, name, text in gradebook.db.execute(query):
        if text and text.strip():
            found.setdefault(notebook, {})[name] = text.strip()
    return found
