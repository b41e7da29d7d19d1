"""Scoring: from the outputs of an executed notebook to points and messages.

The rules are nbgrader's, with four deliberate differences: what a check writes to stderr is not a failure; a partial
score above the maximum counts as the maximum; a partial score that is negative or no number counts as 0; a check that
did not run because the kernel was gone earns 0 instead of voiding the whole submission.

A check may end in a plain number, or in an object that shows itself as a number and carries the MIME type
``application/vnd.mlops-course.score+json`` with ``{"message": ...}``: stock nbgrader reads the number, we show the
message too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from autograder.authoring.assignments import Assignment, grade_id_of
from autograder.model import Check, CheckResult
from autograder.runners.executor import Executed
from autograder.text import plain_output

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["SCORE_MIME", "score"]

SCORE_MIME = "application/vnd.mlops-course.score+json"
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CELL_FRAME = re.compile(r"Cell In\[(\d+)\]")
_MAX_MESSAGE = 600
_CHECK_ERRORS = {"AssertionError", "CheckFailed"}
_GRADER_ERRORS = {"CellTimeoutError", "DeadKernelError", "NotDefined", "NotAValue", "UnsafePickle"}


def score(executed: Executed, assignment: Assignment, *, untouched: Iterable[str] = ()) -> tuple[CheckResult, ...]:
    """Return what each graded cell earned, in the order of the release.

    Parameters
    ----------
    executed
        The notebook after it ran.
    assignment
        What was asked; points and test source are taken from here, never from the submission.
    untouched
        Ids of the cells that are still as released.
    """
    cells = {i: cell for cell in executed.notebook.cells if (i := grade_id_of(cell))}
    untouched = frozenset(untouched)
    started = {e.number: e.solution_id not in untouched for e in assignment.spec.exercises}
    results = (
        _manual(check, untouched)
        if check.kind == "manual"
        else _automatic(check, cells.get(check.grade_id), executed, started=started.get(check.exercise, True))
        for check in assignment.checks
    )
    return tuple(_marked(result) if result.check.grade_id in assignment.unseen else result for result in results)


def _marked(result: CheckResult) -> CheckResult:
    """Mark a check that ran in the learner's process; of one that is hidden, nothing is shown that came from there."""
    said = result.message
    if result.check.kind == "hidden" and not result.passed:
        said = "Your code does not pass this check."
    return replace(result, message=f"{said} (This check ran in the same process as your code.)")


def _manual(check: Check, untouched: frozenset[str]) -> CheckResult:
    if check.grade_id in untouched:
        return CheckResult(check, 0.0, "No answer was written.")
    return CheckResult(check, None, "A person will read this answer.")


def _automatic(check: Check, cell: NotebookNode | None, executed: Executed, *, started: bool) -> CheckResult:
    if cell is None:
        return CheckResult(check, 0.0, "This check could not be run.")
    error = next((output for output in cell.outputs if output.output_type == "error"), None)
    if error is not None:
        own = _raised_by(cell, error) if executed.remote is None else cell.id not in executed.remote
        return CheckResult(check, 0.0, _message(check, cell, error, started=started, own=own))
    if cell.id not in executed.ran:
        return CheckResult(check, 0.0, f"This check did not run. {executed.died}".strip())
    result = next((output for output in cell.outputs if output.output_type == "execute_result"), None)
    if result is None:
        return CheckResult(check, check.points, "Passed.")
    return _partial(check, cell, result.data)


def _partial(check: Check, cell: NotebookNode, data: NotebookNode) -> CheckResult:
    """Read the last expression of a check: a number is its score, anything else is full credit."""
    carried = data.get(SCORE_MIME)
    message = carried.get("message", "") if isinstance(carried, dict) else ""
    message = _presentable(message, cell) if isinstance(message, str) else ""
    try:
        earned = float("".join(data.get("text/plain", "")))
    except ValueError:
        return CheckResult(check, check.points, message or "Passed.")
    if not math.isfinite(earned) or earned < 0:
        return CheckResult(check, 0.0, message or f"The check gave {earned:g}, which is no score.")
    earned = min(earned, check.points)
    if earned >= check.points:
        return CheckResult(check, earned, message or "Passed.")
    return CheckResult(check, earned, message or f"Partly right: {earned:g} of {check.points:g} points.")


def _message(check: Check, cell: NotebookNode, error: NotebookNode, *, started: bool, own: bool) -> str:
    """Return what the learner reads about a failed check: words that were meant for the learner, never test source.

    What learners' code says in a hidden test (``own`` is false) is not shown: it could say what it was called with.
    """
    name = _presentable(str(error.get("ename", "Error")), cell)[:80] or "Error"
    text = _presentable(str(error.get("evalue", "")), cell)
    if name in _GRADER_ERRORS and own and text:
        return text
    if not started and name == "NotImplementedError":
        return text or "This exercise was not started."
    if check.kind == "hidden" and not (name in _CHECK_ERRORS and own):
        return f"Your code raised {name} when it was called with other data than in the visible check."
    if name in _CHECK_ERRORS:
        return text or "The result is not what the exercise asks for."
    return f"{name}: {text}" if text else name


def _raised_by(cell: NotebookNode, error: NotebookNode) -> bool:
    """Whether the error comes from the check itself: the last cell in its traceback is the check's own."""
    frames = _CELL_FRAME.findall(_ANSI.sub("", "\n".join(map(str, error.get("traceback", [])))))
    return not frames or frames[-1] == str(cell.execution_count)


def _presentable(text: str, cell: NotebookNode) -> str:
    """Return ``text`` without terminal codes, not too long, and without any line of the check's source."""
    text = plain_output(text, 10 * _MAX_MESSAGE).strip()
    squeezed = "".join(text.split())
    lines = ("".join(line.split()) for line in cell.source.splitlines())
    code = [line for line in lines if len(line) >= 12 and not line.startswith("#")]
    if any(line in squeezed for line in code):
        return ""
    return text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE].rstrip() + " …"
