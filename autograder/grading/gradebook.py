"""nbgrader's own database and course folder: its formgrader and its commands open what we write.

There is one writer. A submission is one transaction, so a grader that is killed leaves whole submissions only, and
writing the same result again changes nothing. Scores and comments that a person gave are never overwritten.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.authoring.assignments import Assignment
from autograder.model import CheckResult, Result
from autograder.reports.files import write_atomically
from course_lib.errors import CourseError

if TYPE_CHECKING:
    from nbgrader.api import Gradebook, SubmittedAssignment, SubmittedNotebook
    from nbgrader.plugins import LateSubmissionPlugin
    from traitlets.config import Config

__all__ = ["COURSE_ID", "GradebookError", "Grades", "Recorded", "open_gradebook", "parse_timestamp"]

COURSE_ID = "mlops-course"
_CONFIG = f'''"""nbgrader's settings for this folder. Start JupyterLab here to open it in the formgrader."""

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "{COURSE_ID}"
# What happens to submissions after the due date (set due dates in the formgrader): "none" or "zero".
c.LateSubmissionPlugin.penalty_method = "none"
'''


@dataclass(frozen=True)
class Recorded:
    """What the gradebook holds for one submission: points before the penalty (people's included), penalty, lateness."""

    total: float
    penalty: float
    late_seconds: float


class GradebookError(CourseError):
    """The gradebook cannot be used for this class."""


def parse_timestamp(text: str) -> datetime | None:
    """Return the submission time that nbgrader would read from ``text``, in UTC; None if it is none."""
    from nbgrader.utils import parse_utc

    try:
        parsed: datetime | None = parse_utc(text) if text else None
    except (ValueError, OverflowError, TypeError):
        return None
    return parsed


@contextlib.contextmanager
def open_gradebook(folder: Path, *, due: dict[str, str] | None = None, penalty: str = "") -> Iterator[Grades]:
    """Open, or create, the gradebook of ``folder``; only one process can have it open for writing.

    Parameters
    ----------
    folder
        nbgrader's course folder: ``gradebook.db``, ``nbgrader_config.py`` and the folders of its stages.
    due
        Due dates by notebook, as nbgrader reads them (``2026-11-30 18:00 UTC``).
    penalty
        ``none`` or ``zero``; by default what ``nbgrader_config.py`` says.

    Raises
    ------
    GradebookError
        Another process is writing, the file is no gradebook, or a due date cannot be read.
    """
    from filelock import FileLock, Timeout
    from nbgrader.api import Gradebook
    from sqlalchemy.exc import SQLAlchemyError

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".grading.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise GradebookError(
            f"Another grader is writing to {folder}.",
            expected="one grader for each output folder",
            next_step="wait until it is done, or choose another --out",
        ) from error
    try:
        try:
            _create(folder / "gradebook.db")
            book = Gradebook(_url(folder / "gradebook.db"), COURSE_ID)
        except SQLAlchemyError as error:
            raise GradebookError(
                f"{folder / 'gradebook.db'} cannot be opened as a gradebook: {getattr(error, 'orig', error)}",
                expected="a database that nbgrader or this grader made, not locked by another program",
                next_step="close the formgrader and try again, or choose another --out",
            ) from error
        with book:
            yield Grades(book, folder, due=due or {}, penalty=penalty)
    finally:
        lock.release()


class Grades:
    """The gradebook of one class, open for writing."""

    def __init__(self, book: Gradebook, folder: Path, *, due: dict[str, str], penalty: str) -> None:
        self.book, self.folder, self.due = book, folder, due
        config = folder / "nbgrader_config.py"
        if not config.exists():
            write_atomically(config, _CONFIG)
        self.plugin = _late_plugin(_load_config(folder), penalty)

    def add_assignment(self, assignment: Assignment) -> None:
        """Record what ``assignment`` asks, as nbgrader's ``generate_assignment`` does, and write its two versions.

        Raises
        ------
        GradebookError
            The notebook has other graded cells than when its submissions were graded into this gradebook.
        """
        from nbgrader.preprocessors import SaveCells

        name = assignment.name
        kwargs = {"duedate": self._due(name)} if name in self.due else {}
        self.book.update_or_create_assignment(name, **kwargs)
        url = str(self.book.engine.url)
        resources = {"nbgrader": {"notebook": name, "assignment": name, "student": ".", "db_url": url}}
        try:
            SaveCells().preprocess(assignment.graded, resources)
        except RuntimeError as error:
            raise GradebookError(
                f"Notebook {name} has other graded cells than when {self.folder} was begun.",
                expected="the release that the class was graded with before",
                next_step="grade the new release into another folder (--out)",
            ) from error
        self.book.db.expire_all()
        _write_notebook(self.folder / "source" / name / f"{name}.ipynb", assignment.source or assignment.graded)
        _write_notebook(self.folder / "release" / name / f"{name}.ipynb", assignment.learner)

    def add_students(self, students: Iterable[str]) -> None:
        """Make sure that every student is in the gradebook; names and addresses there are kept."""
        from nbgrader.api import Student
        from sqlalchemy import select

        known = set(self.book.db.execute(select(Student.id)).scalars())
        self.book.db.add_all([Student(id=student) for student in students if student not in known])
        self.book.db.commit()

    def record(self, result: Result, *, timestamp: str = "", changed: bool = True) -> Recorded:
        """Write ``result`` in one transaction; return what stands in the gradebook then.

        Parameters
        ----------
        result
            What one submission earned.
        timestamp
            When it was handed in, as in nbgrader's ``timestamp.txt``.
        changed
            Whether the submission is another one than last time: then a person should look again at what they graded.
        """
        db = self.book.db
        try:
            submission, notebook = self._rows(result)
            if timestamp:
                submission.timestamp = parse_timestamp(timestamp)
            total = self._write_grades(result, notebook, changed=changed)
            self._write_comments(result, notebook)
            penalty = self._penalty(result.student, total, submission)
            notebook.late_submission_penalty = penalty
            late = float(submission.total_seconds_late)
            db.commit()
        except BaseException:
            db.rollback()
            raise
        return Recorded(total, penalty or 0.0, late)

    def total(self, result: Result) -> float:
        """Return the points that stand in the gradebook for ``result`` now, those given by people included."""
        notebook = next(n for n in self.book.find_submission(result.notebook, result.student).notebooks)
        return sum((grade.score or 0.0) + (grade.extra_credit or 0.0) for grade in notebook.grades)

    def _rows(self, result: Result) -> tuple[SubmittedAssignment, SubmittedNotebook]:
        """Return the submission's rows, new ones (not committed yet) if there are none."""
        from nbgrader.api import Comment, Grade, MissingEntry, SubmittedAssignment, SubmittedNotebook

        name, db = result.notebook, self.book.db
        try:
            submission = self.book.find_submission(name, result.student)
        except MissingEntry:
            with db.no_autoflush:
                source, student = self.book.find_notebook(name, name), self.book.find_student(result.student)
                submission = SubmittedAssignment(assignment=source.assignment, student=student)
                notebook = SubmittedNotebook(notebook=source, assignment=submission)
                for cell in (*source.grade_cells, *source.task_cells):
                    Grade(cell=cell, notebook=notebook)
                for cell in (*source.solution_cells, *source.task_cells):
                    Comment(cell=cell, notebook=notebook)
                db.add(submission)
            db.flush()
            return submission, notebook
        return submission, next(n for n in submission.notebooks if n.name == name)

    def _write_grades(self, result: Result, notebook: SubmittedNotebook, *, changed: bool) -> float:
        """Write the automatic scores; return the score with what people gave."""
        earned = {check.check.grade_id: check.points for check in result.checks}
        total = 0.0
        for grade in notebook.grades:
            points = earned.get(grade.cell.name, 0.0)
            moved = changed or grade.auto_score != points
            grade.auto_score = points
            if grade.manual_score is None:
                grade.needs_manual_grade = points is None
            elif moved:
                grade.needs_manual_grade = True  # as nbgrader does: a person's score stands, but asks for a look
            total += (grade.manual_score if grade.manual_score is not None else points or 0.0) + (
                grade.extra_credit or 0.0
            )
        return total

    def _write_comments(self, result: Result, notebook: SubmittedNotebook) -> None:
        """Leave the first thing to correct as the automatic comment of each solution cell."""
        said = comments_of(result.checks)
        for comment in notebook.comments:
            comment.auto_comment = said.get(comment.cell.name) or (result.reason or None)

    def _penalty(self, student: str, score: float, submission: SubmittedAssignment) -> float | None:
        late = submission.total_seconds_late
        if late <= 0:
            return None
        penalty = self.plugin.late_submission_penalty(student, score, late)
        return None if penalty is None else min(max(0.0, penalty), score)

    def _due(self, name: str) -> str:
        if parse_timestamp(self.due[name]) is None:
            raise GradebookError(
                f"The due date {self.due[name]!r} of {name} cannot be read.",
                expected="a date and time such as '2026-11-30 18:00:00 UTC'",
                next_step="correct it",
            )
        return self.due[name]


def comments_of(checks: Iterable[CheckResult]) -> dict[str, str]:
    """Return for each solution or answer cell the first message that says what to correct.

    The cell ``ex-1-2`` belongs to the checks of exercise 1.2; an answer that is graded by hand is its own cell.
    """
    said: dict[str, str] = {}
    for check in checks:
        if check.check.kind == "manual":
            if check.points is not None:
                said.setdefault(check.check.grade_id, "No response.")
        elif not check.passed:
            said.setdefault("ex-" + check.check.exercise.replace(".", "-"), check.message)
    return said


def _url(path: Path) -> str:
    return f"sqlite:///{path.resolve()}?timeout=60"


def _create(path: Path) -> None:
    """Create an empty gradebook, whole or not at all: nbgrader never repairs one that was begun.

    The tables are nbgrader's; the version of their schema is what its command ``alembic heads`` would say, without the
    seconds that starting it takes.
    """
    import nbgrader.api
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine, text

    if path.exists():
        return
    unfinished = path.with_name(".new-gradebook.db")
    unfinished.unlink(missing_ok=True)
    package = Path(nbgrader.api.__file__).parent
    settings = Config(package / "alembic.ini")
    settings.set_main_option("script_location", str(package / "alembic").replace("%", "%%"))
    head = ScriptDirectory.from_config(settings).get_current_head()
    engine = create_engine(_url(unfinished))
    nbgrader.api.Base.metadata.create_all(bind=engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": head})
    engine.dispose()
    unfinished.replace(path)


def _write_notebook(path: Path, notebook: Any) -> None:
    import nbformat

    text = nbformat.writes(notebook) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_atomically(path, text)


def _load_config(folder: Path) -> Config:
    """Read the instructor's ``nbgrader_config.py`` as nbgrader does."""
    from traitlets.config import Config
    from traitlets.config.loader import PyFileConfigLoader

    try:
        loaded: Config = PyFileConfigLoader("nbgrader_config.py", path=str(folder)).load_config()
    except FileNotFoundError:
        return Config()
    except Exception as error:  # it is a Python file: anything can be wrong in it
        raise GradebookError(
            f"{folder / 'nbgrader_config.py'} cannot be read: {error}",
            expected="a configuration file of nbgrader",
            next_step="mend it, or delete it to have it written anew",
        ) from error
    return loaded


def _late_plugin(config: Config, penalty: str) -> LateSubmissionPlugin:
    from nbgrader.preprocessors import AssignLatePenalties

    if penalty:
        config.LateSubmissionPlugin.penalty_method = penalty
    step = AssignLatePenalties(config=config)
    step.init_plugin()
    return step.plugin_inst
