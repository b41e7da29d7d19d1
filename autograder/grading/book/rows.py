"""Rows of one submission in nbgrader's tables: made, read and written in a handful of statements.

nbgrader's own classes sum up scores for each object that they load, which takes longer than a small notebook's run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from autograder.grading.book.standing import cells_query

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["Release", "Rows", "Submitted"]


@dataclass(frozen=True)
class Release:
    """What the gradebook knows of one notebook."""

    assignment: str  # its id; so are the others
    notebook: str
    due: datetime | None
    cells: Mapping[str, Any]  # name and maximum, by id
    graded: Sequence[str]
    commented: Sequence[str]

    @classmethod
    def read(cls, db: Session, assignment: str, name: str) -> Release:
        """Read what is known of the notebook ``name`` of ``assignment``."""
        from nbgrader.api import Assignment, BaseCell, Notebook
        from sqlalchemy import select

        asked, notebook, cell = Assignment.__table__, Notebook.__table__, BaseCell.__table__
        query = (
            select(asked.c.id, asked.c.duedate, notebook.c.id.label("notebook"))
            .join(notebook, notebook.c.assignment_id == asked.c.id)
            .where(asked.c.name == assignment, notebook.c.name == name)
        )
        row = db.execute(query).one()
        kinds = db.execute(select(cell.c.id, cell.c.type).where(cell.c.notebook_id == row.notebook)).all()
        return cls(
            row.id,
            row.notebook,
            row.duedate,
            {one.id: one for one in db.execute(cells_query().where(cell.c.notebook_id == row.notebook))},
            [one.id for one in kinds if one.type in {"GradeCell", "TaskCell"}],
            [one.id for one in kinds if one.type in {"SolutionCell", "TaskCell"}],
        )


@dataclass(frozen=True)
class Submitted:
    """One submission's own rows."""

    assignment: str
    notebook: str
    extension: timedelta | None
    new: bool


class Rows:
    """The rows of submissions, in a transaction of the caller's."""

    def __init__(self, db: Session) -> None:
        self._db = db

    def find(self, release: Release, student: str) -> Submitted:
        """Return the rows of ``student``'s submission, new ones where there are none."""
        from nbgrader.api import SubmittedAssignment, SubmittedNotebook, new_uuid
        from sqlalchemy import insert, select

        db, whole, here = self._db, SubmittedAssignment.__table__, SubmittedNotebook.__table__
        asked = select(whole.c.id, whole.c.extension).where(whole.c.assignment_id == release.assignment)
        row = db.execute(asked.where(whole.c.student_id == student)).one_or_none()
        assignment, extension = (row.id, row.extension) if row else (new_uuid(), None)
        if not row:
            db.execute(insert(whole).values(id=assignment, assignment_id=release.assignment, student_id=student))
        mine = select(here.c.id).where(here.c.assignment_id == assignment, here.c.notebook_id == release.notebook)
        if (notebook := db.execute(mine).scalar_one_or_none()) is not None:
            return Submitted(assignment, notebook, extension, new=False)
        made = Submitted(assignment, new_uuid(), extension, new=True)
        values = {"id": made.notebook, "assignment_id": assignment, "notebook_id": release.notebook}
        db.execute(insert(here).values(**values))
        return made

    def of(self, one: Submitted, release: Release) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return grades and comments of a submission, dicts by column; of a new one those that nbgrader would make."""
        from nbgrader.api import Comment, Grade, new_uuid
        from sqlalchemy import select

        if not one.new:
            tables = (Grade.__table__, Comment.__table__)
            found = [self._db.execute(select(t).where(t.c.notebook_id == one.notebook)).mappings() for t in tables]
            grades, comments = ([dict(row) for row in rows] for rows in found)
            return grades, comments
        scores = {"auto_score": None, "manual_score": None, "extra_credit": None, "needs_manual_grade": True}
        texts = {"auto_comment": None, "manual_comment": None}
        return (
            [{"id": new_uuid(), "cell_id": c, "notebook_id": one.notebook, **scores} for c in release.graded],
            [{"id": new_uuid(), "cell_id": c, "notebook_id": one.notebook, **texts} for c in release.commented],
        )

    def write(
        self,
        one: Submitted,
        grades: Sequence[Mapping[str, Any]],
        comments: Sequence[Mapping[str, Any]],
        *,
        timestamp: datetime | None,
        extension: timedelta | None,
        penalty: float | None,
    ) -> None:
        """Write what the machine says of a submission; what a person gave stays."""
        from nbgrader.api import Comment, Grade, SubmittedAssignment, SubmittedNotebook
        from sqlalchemy import bindparam, insert, update

        whole, here = SubmittedAssignment.__table__, SubmittedNotebook.__table__
        values = {"timestamp": timestamp, "extension": extension}
        self._db.execute(update(whole).where(whole.c.id == one.assignment).values(**values))
        self._db.execute(update(here).where(here.c.id == one.notebook).values(late_submission_penalty=penalty))
        machine = ("auto_score", "needs_manual_grade"), ("auto_comment",)
        for table, rows, ours in zip((Grade.__table__, Comment.__table__), (grades, comments), machine, strict=True):
            if not rows:
                continue
            if one.new:
                self._db.execute(insert(table), [dict(row) for row in rows])
                continue
            change = (
                update(table).where(table.c.id == bindparam("row")).values({k: bindparam(f"new_{k}") for k in ours})
            )
            told = [{"row": row["id"]} | {f"new_{k}": row[k] for k in ours} for row in rows]
            self._db.connection().execute(change, told)
