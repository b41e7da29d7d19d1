"""Grade every answer as a class would be graded: in the sandbox, by the judge.

:func:`autograder.course.answers.try_answers` is quick, since all answers share one kernel. Here each answer is a
submission of its own, the reference with one exercise replaced. This proves that what the checks say of an answer is
also what a learner who hands it in will get, and that no check leans on being in the same process as the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.authoring.assignments import Assignment, grade_id_of
from autograder.authoring.format import answers_path
from autograder.course.answers import Answer, Trial, Verdict, judge, read_answers
from autograder.grading.score import score
from autograder.runners.executor import Executed
from autograder.runners.plan import solved
from autograder.runners.sandbox import Sandboxed

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["grade_answers"]

_NOTEBOOK_SECONDS, _CELL_SECONDS = 600.0, 120.0


def grade_answers(
    assignment: Assignment,
    root: Path,
    engine: Sandboxed,
    *,
    exercise: str = "",
    on_answer: Callable[[Verdict], None] = lambda _: None,
) -> Trial:
    """Hand in every answer to every exercise of ``assignment`` and say which earned what they should.

    Parameters
    ----------
    assignment, root
        The notebook, and the course that holds its answers.
    engine
        What grades; the caller closes it.
    exercise
        Try only the answers of this one; default: all.
    on_answer
        Called with each verdict when it is reached.

    Raises
    ------
    SourceError
        A file of answers is not as it should be.
    ExecutionError
        The grader itself is broken.
    """
    engine.prepare(assignment)
    problems, seconds = _reference(assignment, engine)
    verdicts = []
    for number in [e.number for e in assignment.spec.exercises if exercise in ("", e.number)]:
        for answer in read_answers(answers_path(root, assignment.name, number), number):
            took, verdict = _grade(assignment, answer, engine)
            seconds += took
            verdicts.append(verdict)
            on_answer(verdict)
    return Trial(assignment.name, tuple(verdicts), tuple(problems), seconds)


def _grade(assignment: Assignment, answer: Answer, engine: Sandboxed) -> tuple[float, Verdict]:
    exercise = next(e for e in assignment.spec.exercises if e.number == answer.exercise)
    done = _run(_with(assignment, answer, exercise.solution_id), assignment, engine)
    ours = {check.grade_id for check in exercise.checks}
    return done.seconds, judge([r for r in score(done, assignment) if r.check.grade_id in ours], exercise, answer)


def _reference(assignment: Assignment, engine: Sandboxed) -> tuple[list[str], float]:
    """Hand in the reference itself; return where it loses points, and the seconds it took."""
    done = _run(_solved(assignment), assignment, engine)
    lost = [r for r in score(done, assignment) if r.lost]
    return [f"the reference loses points at {r.check.grade_id}: {r.message}" for r in lost], done.seconds


def _run(submission: NotebookNode, assignment: Assignment, engine: Sandboxed) -> Executed:
    return engine.run(submission, assignment.graded, time_limit=_NOTEBOOK_SECONDS, cell_limit=_CELL_SECONDS)


def _solved(assignment: Assignment) -> NotebookNode:
    assert assignment.source is not None
    return solved(assignment.graded, assignment.source)


def _with(assignment: Assignment, answer: Answer, solution_id: str) -> NotebookNode:
    """Return the reference as a submission, with one exercise answered otherwise."""
    notebook = _solved(assignment)
    next(cell for cell in notebook.cells if grade_id_of(cell) == solution_id).source = answer.source
    return notebook
