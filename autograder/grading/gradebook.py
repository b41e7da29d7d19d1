"""Gradebook: nbgrader's own database and course folder; its formgrader and its commands open what we write.

There is one writer. A submission is one transaction, so a grader that is killed leaves whole submissions only, and
writing the same result again changes nothing. Scores and comments that a person gave are never overwritten. What is
derived from them (totals, what lateness costs) is derived again whenever somebody asks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from autograder.authoring.assignments import Assignment
from autograder.grading.book.database import GradebookError, create, url
from autograder.grading.book.late_rule import CONFIG_FILE, late_plugin, set_rule
from autograder.grading.book.release_change import adapt
from autograder.grading.book.rows import Release, Rows
from autograder.grading.book.settings import Settings, due_date, extension_length, parse_timestamp
from autograder.grading.book.standing import (
    Standing,
    comments_written,
    lateness,
    mark_of,
    marks_of,
    submissions,
)
from autograder.grading.harmless import parted
from autograder.model import CheckResult, Result
from autograder.reports.files import write_atomically
from course_lib.errors import UnwritableError

if TYPE_CHECKING:
    from nbgrader.api import Gradebook, SubmittedAssignment

__all__ = ["COURSE_ID", "GradebookError", "GradebookWriter", "Standing", "open_gradebook", "sole_writer"]

COURSE_ID = "mlops-course"
Place = tuple[str, str]  # nbgrader's assignment, and its notebook in there
_CONFIG = f'''"""nbgrader's settings for this folder. Start JupyterLab here to open it in the formgrader."""

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "{COURSE_ID}"
# What happens to submissions after the due date: "none" or "zero". `autograder grade --late` writes it here.
c.LateSubmissionPlugin.penalty_method = "none"
'''


@contextlib.contextmanager
def sole_writer(folder: Path, *, wait: float = 0.0) -> Iterator[None]:
    """Lock of the folder that a class is graded into, which is made if it is not there.

    Parameters
    ----------
    folder
        The course folder, as in :func:`open_gradebook`.
    wait
        Seconds to wait for another process that is writing.

    Raises
    ------
    GradebookError
        Another process is writing.
    UnwritableError
        The folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".grading.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=wait)
    except Timeout as error:
        raise GradebookError(
            f"Another grader is writing to {folder}.",
            expected="one grader for each output folder",
            next_step="wait until it is done, or choose another --out",
        ) from error
    except OSError as error:
        raise UnwritableError.of(folder, error) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def open_gradebook(
    folder: Path, places: Mapping[str, Place] | None = None, *, wait: float = 0.0, locked: bool = False
) -> Iterator[GradebookWriter]:
    """Open, or create, the gradebook of ``folder``; only one process can have it open for writing.

    Parameters
    ----------
    folder
        nbgrader's course folder: ``gradebook.db``, ``nbgrader_config.py`` and the folders of its stages.
    places
        nbgrader's assignment and notebook of each notebook that has other names there than its own.
    wait
        Seconds to wait for another process that is writing.
    locked
        Whether the caller is the :func:`sole_writer` already.

    Raises
    ------
    GradebookError
        Another process is writing, or the file is no gradebook or cannot be written.
    UnwritableError
        The folder cannot be written.
    """
    from nbgrader.api import Gradebook
    from sqlalchemy.exc import DatabaseError

    path = folder / "gradebook.db"
    with contextlib.nullcontext() if locked else sole_writer(folder, wait=wait):
        try:
            create(path)
            with Gradebook(url(path), COURSE_ID) as gradebook:
                yield GradebookWriter(gradebook, folder, places or {})
        except DatabaseError as error:
            raise GradebookError(
                f"{path} cannot be opened or written as a gradebook: {error.orig}",
                expected="a database that nbgrader or this grader made, writable, and not locked by another program",
                next_step="close the formgrader and try again, or choose another --out",
            ) from error


class GradebookWriter:
    """The gradebook of one class, open for writing."""

    def __init__(self, gradebook: Gradebook, folder: Path, places: Mapping[str, Place]) -> None:
        self.gradebook, self.folder = gradebook, folder
        self._places, self._names = places, {place: name for name, place in places.items()}
        self._solutions: dict[str, dict[str, str]] = {}  # by notebook: the solution cell of each exercise
        self._releases: dict[str, Release] = {}
        self.settings = Settings()  # those of this command that new submissions get too
        if not (folder / CONFIG_FILE).exists():
            write_atomically(folder / CONFIG_FILE, _CONFIG)
        self.plugin = late_plugin(folder)

    def check(self, settings: Settings, *, students: Collection[str], notebooks: Collection[str]) -> None:
        """Refuse settings that cannot hold, before anything is written.

        Parameters
        ----------
        settings
            What is to be set.
        students, notebooks
            What is graded now; a student who was graded earlier is known too.

        Raises
        ------
        GradebookError
            A date cannot be read, an extension is of nobody's, or ends before the due date.
        """
        due = self.due_dates()
        due |= {name: due_date(name, text) for name, text in settings.due.items()}
        known = {(s, n) for s in students for n in notebooks} | set(self._known())
        for who, text in settings.extensions.items():
            name, slash, student = who.rpartition("/")
            theirs = [n for s, n in known if s == student and (n == name if slash else n in notebooks)]
            if not theirs:
                raise GradebookError(
                    f"The extension of {who!r} is nobody's.",
                    expected="the name of a student as in grades.csv, and a notebook that was graded",
                    next_step="correct it; nothing was changed",
                )
            for notebook in theirs:
                extension_length(who, text, due.get(notebook))

    def apply(self, settings: Settings, *, notebooks: Collection[str]) -> None:
        """Make ``settings`` hold: in the configuration, for what is in the gradebook, and for what comes into it.

        Extensions without a notebook count for ``notebooks``.
        """
        if settings.late:
            self.plugin = set_rule(self.folder, settings.late)
        for name, text in settings.due.items():
            assignment, _ = self._place(name)
            self.gradebook.update_or_create_assignment(assignment)
            self.gradebook.find_assignment(assignment).duedate = due_date(name, text)
        self.settings, self._releases = settings, {}
        for student, name in self._known():
            if f"{name}/{student}" in settings.extensions or name in notebooks:
                self._extend(self.gradebook.find_submission(self._place(name)[0], student), student, name)
        self.gradebook.db.commit()

    def due_dates(self) -> dict[str, datetime | None]:
        """Return the due date of each notebook in the gradebook: that of its assignment."""
        from nbgrader.api import Assignment
        from sqlalchemy import select

        table = Assignment.__table__.c
        due = {row.name: row.duedate for row in self.gradebook.db.execute(select(table.name, table.duedate))}
        return due | {name: due[place[0]] for name, place in self._places.items() if place[0] in due}

    def _place(self, name: str) -> Place:
        return self._places.get(name, (name, name))

    def add_assignment(self, assignment: Assignment) -> list[str]:
        """Record what ``assignment`` asks, as nbgrader's ``generate_assignment`` does, and write its two versions.

        Where submissions were graded against other checks, their rows are adapted; what an instructor must know about
        that is returned. Points that a person gave stay.
        """
        from nbgrader.preprocessors import SaveCells

        whole, name = assignment.place
        self._solutions[assignment.name] = {e.number: e.solution_id for e in assignment.spec.exercises}
        self.gradebook.update_or_create_assignment(whole)
        notes = adapt(self.gradebook, self.folder, assignment)
        resources = {
            "nbgrader": {
                "notebook": name, "assignment": whole, "student": ".", "db_url": str(self.gradebook.engine.url)
            }
        }  # fmt: skip
        SaveCells().preprocess(assignment.graded, resources)
        self.gradebook.db.expire_all()
        self._releases = {}
        _write_notebook(self.folder / "source" / whole / f"{name}.ipynb", assignment.source or assignment.graded)
        _write_notebook(self.folder / "release" / whole / f"{name}.ipynb", assignment.learner)
        return notes

    def add_students(self, students: Iterable[str]) -> None:
        """Make sure that every student is in the gradebook; names and addresses there are kept."""
        from nbgrader.api import Student
        from sqlalchemy import select

        known = set(self.gradebook.db.execute(select(Student.id)).scalars())
        self.gradebook.db.add_all([Student(id=student) for student in students if student not in known])
        self.gradebook.db.commit()

    def record(self, result: Result, *, timestamp: str = "", changed: bool = True, late: bool = False) -> None:
        """Write ``result`` in one transaction.

        Parameters
        ----------
        result
            What one submission earned.
        timestamp
            When it was handed in, as in nbgrader's ``timestamp.txt``.
        changed
            Whether the submission is another one than last time: then a person should look again at what they graded.
        late
            Whether the learning platform marks it as late.
        """
        db = self.gradebook.db
        try:
            self._record(result, parse_timestamp(timestamp), changed=changed, late=late)
            db.commit()
        except BaseException:
            db.rollback()
            raise

    def settle(self, *, late: Collection[tuple[str, str]] = ()) -> dict[tuple[str, str], Standing]:
        """Derive what every submission's lateness costs from what stands in the gradebook now; return all of it.

        ``late`` are the students and notebooks that the learning platform marks as late.
        """
        from nbgrader.api import SubmittedNotebook
        from sqlalchemy import update

        db, table, found = self.gradebook.db, SubmittedNotebook.__table__, {}
        marks, comments = marks_of(self.gradebook), comments_written(self.gradebook)
        for row in submissions(self.gradebook):
            key = (row.student_id, self._name(row))
            if not key[1]:
                continue
            own = tuple(sorted(marks.get(row.id, ()), key=lambda mark: mark.grade_id))
            seconds = lateness(row.timestamp, row.duedate, row.extension, marked=key in late)
            penalty = self._penalty(row.student_id, sum(mark.counted for mark in own), seconds)
            if penalty != row.late_submission_penalty:
                db.execute(update(table).where(table.c.id == row.id).values(late_submission_penalty=penalty))
            before = row.late_submission_penalty or 0.0
            found[key] = Standing(*key, own, comments.get(row.id, {}), seconds, penalty or 0.0, before)
        db.commit()
        db.expire_all()
        return found

    def _known(self) -> list[tuple[str, str]]:
        return [(row.student_id, name) for row in submissions(self.gradebook) if (name := self._name(row))]

    def _name(self, row: Any) -> str:
        """Return by which name a notebook of the database is known; empty if nobody here has graded it."""
        place = (row.name, row.notebook)
        return self._names.get(place, row.name if row.name == row.notebook else "")

    def _extend(self, submission: SubmittedAssignment, student: str, notebook: str) -> None:
        if text := self.settings.extension_of(student, notebook):
            submission.extension = extension_length(student, text, submission.assignment.duedate)

    def _record(self, result: Result, stamp: datetime | None, *, changed: bool, late: bool) -> None:
        book, release = Rows(self.gradebook.db), self._release(result.notebook)
        here = book.find(release, result.student)
        grades, comments = book.of(here, release)
        earned = {check.check.grade_id: check.points for check in result.checks}
        said = comments_of(result.checks, self._solutions.get(result.notebook, {}))
        for grade in grades:
            _write_grade(grade, earned.get(release.cells[grade["cell_id"]].name, 0.0), changed=changed)
        for comment in comments:
            comment["auto_comment"] = said.get(release.cells[comment["cell_id"]].name) or parted(result.reason) or None
        extension = here.extension
        if text := self.settings.extension_of(result.student, result.notebook):
            extension = extension_length(result.student, text, release.due)
        cells = release.cells
        marks = [mark_of(cells[g["cell_id"]].name, cells[g["cell_id"]].most, SimpleNamespace(**g)) for g in grades]
        seconds = lateness(stamp, release.due, extension, marked=late)
        penalty = self._penalty(result.student, sum(mark.counted for mark in marks), seconds)
        book.write(here, grades, comments, timestamp=stamp, extension=extension, penalty=penalty)

    def _release(self, name: str) -> Release:
        """Return what the gradebook knows of a notebook, asked for once: nbgrader's classes ask for each row anew."""
        if name not in self._releases:
            self._releases[name] = Release.read(self.gradebook.db, *self._place(name))
        return self._releases[name]

    def _penalty(self, student: str, score: float, seconds: float) -> float | None:
        if seconds <= 0:
            return None
        penalty = self.plugin.late_submission_penalty(student, score, seconds)
        return None if penalty is None else min(max(0.0, penalty), max(0.0, score))


def _write_grade(grade: dict[str, Any], points: float | None, *, changed: bool) -> None:
    """Write the automatic score of one cell; nbgrader lets a person's score stand, and asks for a look at it."""
    moved = changed or grade["auto_score"] != points
    grade["auto_score"] = points
    if grade["manual_score"] is None:
        grade["needs_manual_grade"] = points is None
    elif moved:
        grade["needs_manual_grade"] = True


def comments_of(checks: Iterable[CheckResult], solutions: Mapping[str, str]) -> dict[str, str]:
    """Return for each solution or answer cell the first message that says what to correct.

    ``solutions`` names the solution cell of each exercise; an answer that is graded by hand is its own cell.
    """
    comments: dict[str, str] = {}
    for check in checks:
        if check.check.kind == "manual":
            if check.points is not None:
                comments.setdefault(check.check.grade_id, "No response.")
        elif not check.passed:
            exercise = check.check.exercise
            cell = solutions.get(exercise, "ex-" + exercise.replace(".", "-"))
            comments.setdefault(cell, parted(check.message))  # as Markdown
    return comments


def _write_notebook(path: Path, notebook: Any) -> None:
    import nbformat

    text = nbformat.writes(notebook) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_atomically(path, text)
