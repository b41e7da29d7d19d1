"""Submission grading: one file to one :class:`~autograder.model.Result`, whatever the file holds.

:class:`Grader` is the whole path: read, repair, run, score, with a cache around it, and the notebook that an instructor
opens in the formgrader. It never raises because of a submission.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.authoring.assignments import Assignment, grade_id_of
from autograder.authoring.own_course.helpers import helpers_folder
from autograder.grading.cache import Cache, CachedRun, key_of
from autograder.grading.collect import Found
from autograder.grading.harmless import harmless, plain_markdown
from autograder.grading.notebook.beside import Beside, mentioned, taken_along
from autograder.grading.notebook.read import Rejected, read_submission, told
from autograder.grading.notebook.repair import Repaired, repair
from autograder.grading.options import GradeOptions
from autograder.grading.score import score
from autograder.model import Check, CheckResult, Result, Status
from autograder.runners.executor import Executor
from autograder.sandbox.outcomes import tidied
from autograder.text import LEFT_OUT

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Graded", "Grader", "broken"]

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
        graded = self._try(found)
        if graded.broken:
            self.close()
            self.executor = self.make_executor()
            graded = self._try(found)
        return graded

    def close(self) -> None:
        """End what the executor has started."""
        self.executor.close()

    def _try(self, found: Found) -> Graded:
        assignment = self.assignments[found.notebook]
        try:
            return self._grade(found, assignment)
        except Exception as error:  # the class goes on; the reason is recorded and the exit code says so
            reason = f"The grader failed on this submission: {type(error).__name__}: {error!s:.300}"
            return broken(found, assignment, reason)

    def _grade(self, found: Found, assignment: Assignment) -> Graded:
        if found.path is None:
            return _rejected(found, assignment, found.reason)
        submission = read_submission(found.path)
        if isinstance(submission, Rejected):
            return _rejected(found, assignment, submission.reason, submission.digest)
        repaired = repair(submission.notebook, assignment)
        place = helpers_folder(self.cache.folder) / assignment.helpers if self.cache.folder else None
        beside = taken_along(found.beside, self.options.helpers, course=assignment.beside, place=place)
        solutions = assignment.source.cells if assignment.source is not None else []
        code = [cell.source for cell in solutions if cell.cell_type == "code"]  # what a run leaves out depends on it
        limits = self.executor.name, self.options.time_limit, self.options.cell_limit, self.options.seed
        there = [assignment.helpers, *sorted(assignment.unseen), *_digests(beside.files)]
        key = key_of(repaired.notebook, assignment.graded, (*limits, code, there))
        cached = None if self.options.force else self.cache.get(key)
        run = cached or self._run(repaired, assignment, beside)
        if cached is None:
            self.cache.put(key, run)
        checks = {check.grade_id: check for check in assignment.checks}
        skipped = [e.number for e in assignment.spec.exercises if e.solution_id in repaired.untouched]
        result = Result(
            found.student,
            found.notebook,
            "failed" if run.died else "graded",
            tuple(
                CheckResult(checks[i], points, message + _left(beside, checks[i], points, message))
                for i, points, message in run.checks
            ),
            run.died,
            (*found.notes, *beside.notes, *submission.repairs, *repaired.repairs, *run.notes),
            run.seconds,
            run.peak_mb,
            submission.digest,
            {"seed": self.options.seed, "not_attempted": " ".join(skipped)} | ({"cached": "yes"} if cached else {}),
        )
        return Graded(found, result, key, notebook=run.notebook)

    def _run(self, repaired: Repaired, assignment: Assignment, beside: Beside) -> CachedRun:
        self.executor.prepare(assignment)
        executed = self.executor.run(
            repaired.notebook,
            assignment.graded,
            time_limit=self.options.time_limit,
            cell_limit=self.options.cell_limit,
            files=beside.files,
        )
        notes = told(_tidied(executed.notebook))
        checks = score(executed, assignment, untouched=repaired.untouched)
        rows = tuple((c.check.grade_id, c.points, c.message) for c in checks)
        notebook = _autograded(executed.notebook, assignment.graded)
        return CachedRun(rows, executed.died, executed.seconds, executed.peak_mb, notebook, notes)


def _digests(files: Mapping[str, bytes]) -> list[str]:
    return [f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in files.items()]


def _left(beside: Beside, check: Check, points: float | None, message: str) -> str:
    """Return what to add to a check that lost points because a file was left where it was."""
    return mentioned(beside.left, message) if points is not None and points < check.points else ""


def broken(found: Found, assignment: Assignment, reason: str) -> Graded:
    """Return the result of a submission on which the grader itself failed: no points, and the reason."""
    return replace(_without_run(found, assignment, "failed", reason), broken=True)


def _rejected(found: Found, assignment: Assignment, reason: str, digest: str = "") -> Graded:
    """Return the result of something that is no notebook: no points, and the reason."""
    return _without_run(found, assignment, "rejected", reason, digest)


def _without_run(found: Found, assignment: Assignment, status: Status, reason: str, digest: str = "") -> Graded:
    checks = tuple(CheckResult(check, 0.0, reason) for check in assignment.checks)
    result = Result(found.student, found.notebook, status, checks, reason, found.notes, digest=digest)
    return Graded(found, result, notebook=_notice(assignment, reason))


def _tidied(notebook: NotebookNode) -> Iterator[str]:
    """Make all outputs such as may be stored and shown, in place; yield what was left out of them."""
    from nbformat import from_dict

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [from_dict(output) for output in tidied(cell.outputs)]
            texts = [str(output.get("data", {}).get("text/plain", "")) for output in cell.outputs]
            yield from (text[:300] for text in texts if text.startswith(LEFT_OUT))


def _autograded(notebook: NotebookNode, release: NotebookNode) -> str:
    """Return the executed notebook as nbgrader keeps it: valid, and harmless to look at."""
    import nbformat

    shown = harmless(notebook, release)
    for cell in shown.cells:
        meta = cell.metadata.get("nbgrader")
        cell.metadata = nbformat.from_dict({"nbgrader": meta} if grade_id_of(cell) else {})
    return json.dumps(nbformat.v4.to_notebook_json(shown), ensure_ascii=False, indent=1) + "\n"


def _notice(assignment: Assignment, reason: str) -> str:
    """Return a notebook that holds the reason and nothing to grade, so that every row opens in the formgrader."""
    import nbformat
    from nbformat.v4 import new_markdown_cell

    notebook = nbformat.from_dict(assignment.graded)
    text = "**This submission could not be graded.** " + plain_markdown(reason)
    notebook.cells = [new_markdown_cell(text, id=NOTICE)]
    return _autograded(notebook, assignment.graded)
