"""One submission → one :class:`~autograder.model.Result`, whatever was handed in.

:func:`grade_submission` is the whole path for one file: read, repair, run, score. :func:`grade_found` adds what a class
needs around it: the cache, and the notebook that an instructor opens in the formgrader. Neither raises because of a
submission.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.authoring.assignments import Assignment, grade_id_of
from autograder.grading.cache import Cache, Entry, key_of
from autograder.grading.collect import Found
from autograder.grading.options import GradeOptions
from autograder.grading.read import Rejected, read_submission
from autograder.grading.repair import Repaired, repair
from autograder.grading.score import score
from autograder.model import CheckResult, Result
from autograder.runners.executor import Executed, Executor

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = [
    "Graded",
    "Grader",
    "failed",
    "grade_found",
    "grade_submission",
    "rejected",
]

NOTICE = "graded-notice"  # metadata key of the cell that tells an instructor why a notebook has no grades


@dataclass(frozen=True)
class Graded:
    """A result, with the notebook that shows how it came about (it holds hidden tests: for instructors only)."""

    found: Found
    result: Result
    key: str = ""  # of the cache; the same for submissions that run alike
    broken: bool = False  # the grader itself failed, not the submission
    notebook: str = field(default="", repr=False)


class Grader:
    """Grades one submission after the other in one executor; close it at the end."""

    def __init__(
        self,
        assignments: Mapping[str, Assignment],
        make_executor: Callable[[], Executor],
        options: GradeOptions,
        cache: Path | None,
    ) -> None:
        self.assignments, self.options = assignments, options
        self.make_executor = make_executor
        self.executor = make_executor()
        self.cache = Cache(cache)

    def __call__(self, found: Found) -> Graded:
        """Grade ``found``; when the executor breaks, try once more with a new one."""
        graded = self._grade(found)
        if graded.broken:
            self.close()
            self.executor = self.make_executor()
            graded = self._grade(found)
        return graded

    def _grade(self, found: Found) -> Graded:
        assignment = self.assignments[found.notebook]
        return grade_found(found, assignment, executor=self.executor, options=self.options, cache=self.cache)

    def close(self) -> None:
        """End what the executor has started."""
        self.executor.close()


def grade_submission(
    path: Path, assignment: Assignment, *, executor: Executor, student: str = "", options: GradeOptions | None = None
) -> Result:
    """Grade the file at ``path`` and return what it earned; never raises because of what the file holds.

    Parameters
    ----------
    path
        What was handed in.
    assignment
        What was asked.
    executor
        What runs the notebook, such as :class:`autograder.runners.kernel.PlainKernel`.
    student
        Whose it is.
    options
        Limits.
    """
    found = Found(student, assignment.name, path, path.name)
    return grade_found(found, assignment, executor=executor, options=options or GradeOptions()).result


def grade_found(
    found: Found, assignment: Assignment, *, executor: Executor, options: GradeOptions, cache: Cache | None = None
) -> Graded:
    """Grade one submission of a class; see :func:`grade_submission`."""
    try:
        return _grade(found, assignment, executor, options, cache or Cache(None))
    except Exception as error:  # the class goes on; the reason is recorded and the exit code says so
        reason = f"The grader failed on this submission: {type(error).__name__}: {error!s:.300}"
        return replace(failed(found, assignment, reason), broken=True)


def _grade(found: Found, assignment: Assignment, executor: Executor, options: GradeOptions, cache: Cache) -> Graded:
    if found.path is None:
        return rejected(found, assignment, found.reason)
    submission = read_submission(found.path)
    if isinstance(submission, Rejected):
        return rejected(found, assignment, submission.reason, submission.digest)
    repaired = repair(submission.notebook, assignment)
    limits = executor.name, options.time_limit, options.cell_limit
    key = key_of(repaired.notebook, assignment.graded, (*limits, _solutions(assignment)))
    entry = None if options.force else cache.get(key)
    fresh = entry is None
    if entry is None:
        entry = _run(repaired, assignment, executor, options)
        cache.put(key, entry)
    result = Result(
        found.student,
        found.notebook,
        "failed" if entry.died else "graded",
        _checks(entry, assignment),
        entry.died,
        (*found.notes, *submission.repairs, *repaired.repairs),
        entry.seconds,
        entry.peak_mb,
        submission.digest,
        {} if fresh else {"cached": "yes"},
    )
    return Graded(found, result, key, notebook=entry.notebook)


def _solutions(assignment: Assignment) -> list[str]:
    """Return the reference solutions: what may be left out of a run depends on them."""
    cells = assignment.source.cells if assignment.source is not None else []
    return [cell.source for cell in cells if cell.cell_type == "code"]


def _run(repaired: Repaired, assignment: Assignment, executor: Executor, options: GradeOptions) -> Entry:
    executor.prepare(assignment)
    executed: Executed = executor.run(
        repaired.notebook, assignment.graded, time_limit=options.time_limit, cell_limit=options.cell_limit
    )
    checks = score(executed, assignment, untouched=repaired.untouched)
    rows = tuple((c.check.grade_id, c.points, c.message) for c in checks)
    return Entry(rows, executed.died, executed.seconds, executed.peak_mb, _autograded(executed.notebook))


def _checks(entry: Entry, assignment: Assignment) -> tuple[CheckResult, ...]:
    asked = {check.grade_id: check for check in assignment.checks}
    return tuple(CheckResult(asked[grade_id], points, message) for grade_id, points, message in entry.checks)


def rejected(found: Found, assignment: Assignment, reason: str, digest: str = "") -> Graded:
    """Return the result of something that is no notebook: no points, and the reason."""
    graded = failed(found, assignment, reason, digest)
    return replace(graded, result=replace(graded.result, status="rejected"))


def failed(found: Found, assignment: Assignment, reason: str, digest: str = "") -> Graded:
    """Return the result of a submission that could not be graded: no points, and the reason."""
    checks = tuple(CheckResult(check, 0.0, reason) for check in assignment.checks)
    result = Result(found.student, found.notebook, "failed", checks, reason, found.notes, digest=digest)
    return Graded(found, result, notebook=_notice(assignment, reason))


def _autograded(notebook: NotebookNode) -> str:
    """Return the executed notebook as nbgrader keeps it: valid, and with the course's metadata only."""
    import nbformat

    for cell in notebook.cells:
        meta = cell.metadata.get("nbgrader")
        cell.metadata = nbformat.from_dict({"nbgrader": meta} if grade_id_of(cell) else {})
    text = json.dumps(nbformat.v4.to_notebook_json(notebook), ensure_ascii=False, indent=1)
    return text.encode("utf-8", errors="replace").decode("utf-8") + "\n"


def _notice(assignment: Assignment, reason: str) -> str:
    """Return the untouched notebook with the reason on top, so that every row opens in the formgrader."""
    import nbformat
    from nbformat.v4 import new_markdown_cell

    notebook = nbformat.from_dict(assignment.graded)
    text = "**This submission could not be graded.** " + reason.replace("<", "&lt;")
    notebook.cells = [new_markdown_cell(text, id=NOTICE), *notebook.cells]
    return _autograded(notebook)
