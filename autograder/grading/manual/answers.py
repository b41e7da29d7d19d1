"""Answers in the gradebook: which wait for a person, what a person gave, and writing it with nbgrader's own classes.

nbgrader's database has points and a comment for a cell, and no rubric. So the items that were ticked stand in the
comment, a line for each: learners read them in their feedback, the formgrader shows them, and they are read back here.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.authoring.rubric import RubricItem
from autograder.grading.book.database import url
from autograder.grading.gradebook import COURSE_ID, open_gradebook
from autograder.grading.manual.questions import Question
from autograder.grading.store import members_of
from autograder.text import visible
from course_lib.errors import CourseError

if TYPE_CHECKING:
    from nbgrader.api import Gradebook

__all__ = ["Answer", "Given", "PointsError", "answers_to", "give", "read_points", "reading"]

_WAIT = 20.0  # seconds for another grader to finish writing
_LONGEST = 20_000  # characters of a comment


class PointsError(CourseError):
    """Points that cannot be given as they are: no number, too many, or somebody else gave others meanwhile."""


@dataclass(frozen=True)
class Answer:
    """What stands in the gradebook for one answer."""

    id: str  # of nbgrader's row
    student: str
    most: float
    automatic: float | None
    given: float | None
    waits: bool
    comment: str

    @property
    def seen(self) -> str:
        """Digest of what was shown, so that nobody overwrites what somebody else gave in the meantime."""
        return hashlib.sha256(repr((self.given, self.waits, self.comment)).encode()).hexdigest()[:16]

    @property
    def points(self) -> float | None:
        """What counts: a person's points before the machine's."""
        return self.automatic if self.given is None else self.given


@dataclass(frozen=True)
class Given:
    """What a person gives for an answer: the items ticked, the points, and words."""

    ticked: frozenset[int]
    points: float | None  # None: the sum of the items
    words: str

    @classmethod
    def of(cls, answer: Answer, rubric: Sequence[RubricItem]) -> Given:
        """Return what was given before, read back from the comment."""
        lines = answer.comment.splitlines()
        marks = [(_line(item, ticked=True), _line(item, ticked=False)) for item in rubric]
        known = bool(marks) and all(yes in lines or no in lines for yes, no in marks)
        ticked = frozenset(n for n, (yes, _) in enumerate(marks) if known and yes in lines)
        own = {line for pair in marks for line in pair} if known else set()
        words = "\n".join(line for line in lines if line not in own).strip()
        same = ticked and answer.given == sum(rubric[n].points for n in ticked)
        return cls(ticked, None if same else answer.given, words)

    def comment(self, rubric: Sequence[RubricItem]) -> str:
        """Return the comment to store: a line for each item, unless points were given without them, and the words."""
        by_items = self.ticked or self.points == 0
        lines = [_line(item, ticked=n in self.ticked) for n, item in enumerate(rubric)] if by_items else []
        return "\n".join([*lines, *([self.words] if self.words else [])])

    def total(self, rubric: Sequence[RubricItem]) -> float | None:
        """Return the points: those that were typed, or else the sum of the items; None where nothing says any."""
        if self.points is not None:
            return self.points
        return sum(rubric[n].points for n in self.ticked) if self.ticked else None


def answers_to(gradebook: Gradebook, question: Question, folder: Path) -> list[Answer]:
    """Return the answers that a person reads or has read, of those who are in the class, in nbgrader's random order.

    What nobody wrote, or could not be read, has its points from the machine: none. It is not among them.
    """
    from nbgrader.api import Assignment, BaseCell, Comment, Grade, Notebook, SubmittedAssignment, SubmittedNotebook
    from sqlalchemy import select

    cell, grade, comment = BaseCell.__table__, Grade.__table__, Comment.__table__
    here, whole, notebook = SubmittedNotebook.__table__, SubmittedAssignment.__table__, Notebook.__table__
    asked, (assignment, own) = Assignment.__table__, question.place
    query = (
        select(grade, whole.c.student_id)
        .join_from(grade, cell, grade.c.cell_id == cell.c.id)
        .join(here, grade.c.notebook_id == here.c.id)
        .join(whole, here.c.assignment_id == whole.c.id)
        .join(notebook, here.c.notebook_id == notebook.c.id)
        .join(asked, notebook.c.assignment_id == asked.c.id)
        .where(asked.c.name == assignment, notebook.c.name == own, cell.c.name == question.cell)
        .order_by(here.c.id)
    )
    written = (
        select(comment.c.notebook_id, comment.c.manual_comment)
        .join_from(comment, cell, comment.c.cell_id == cell.c.id)
        .where(cell.c.name == question.answer, comment.c.manual_comment.is_not(None))
    )
    comments = {row.notebook_id: row.manual_comment for row in gradebook.db.execute(written)}
    most = gradebook.find_graded_cell(question.cell, own, assignment).max_score
    members = members_of(folder, question.notebook)
    return [
        Answer(
            row.id, row.student_id, most, row.auto_score, row.manual_score, row.needs_manual_grade,
            comments.get(row.notebook_id, ""),
        )
        for row in gradebook.db.execute(query)
        if (row.needs_manual_grade or row.manual_score is not None) and (members is None or row.student_id in members)
    ]  # fmt: skip


def read_points(text: str, most: float) -> float | None:
    """Return the points that ``text`` says; None of an empty one.

    Raises
    ------
    PointsError
        It is no number from 0 to ``most``.
    """
    text = text.strip().replace(",", ".")
    if not text:
        return None
    try:
        points = float(text)
    except ValueError:
        points = math.nan
    if not 0 <= points <= most:
        raise PointsError(
            f"{visible(text, 20)!r} is no number of points for this answer.", expected=f"a number from 0 to {most:g}"
        )
    return points


def give(folder: Path, question: Question, answer: Answer, given: Given, *, seen: str) -> None:
    """Write points and comment into the gradebook, in one transaction, if there still stands what was ``seen``.

    Raises
    ------
    PointsError
        No points are given, more than there are, or somebody else graded the answer since it was read.
    GradebookError
        Another grader is writing.
    """
    points = given.total(question.rubric)
    if points is None or points > answer.most:
        raise PointsError(
            f"There are {'no' if points is None else format(points, 'g')} points.",
            expected=f"items of the rubric, or a number from 0 to {answer.most:g}",
            next_step="tick what the answer has, or type the points",
        )
    with open_gradebook(folder, wait=_WAIT) as grades:
        book = grades.gradebook
        now = next((one for one in answers_to(book, question, folder) if one.id == answer.id), None)
        if now is None or now.seen != seen:
            raise PointsError(
                "Somebody else graded this answer since you opened it.",
                expected="one grader for an answer at a time",
                next_step="look at what is written now, and save again if you mean it",
            )
        grade = book.find_grade_by_id(answer.id)
        grade.manual_score, grade.needs_manual_grade = points, False
        assignment, own = question.place
        comment = book.find_comment(question.answer, own, assignment, answer.student)
        comment.manual_comment = visible(given.comment(question.rubric), _LONGEST) or None
        book.db.commit()


def reading(folder: Path) -> Gradebook:
    """Open the gradebook of ``folder`` to read it."""
    from nbgrader.api import Gradebook

    return Gradebook(url(folder / "gradebook.db"), COURSE_ID)


def _line(item: RubricItem, *, ticked: bool) -> str:
    text = re.sub(r"[*`]|(?<!\w)_|_(?!\w)", "", item.text)  # a comment is plain text
    return f"{'✓' if ticked else '✗'} {item.points if ticked else 0:g} of {item.points:g}: {text}"
