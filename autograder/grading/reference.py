"""Reference check: before a class is graded, the reference solution has to pass every check of its notebook.

The references are the first jobs of the class's own workers, so nothing is started twice, and the cache knows them: a
notebook that has not changed costs this once. No result of the class is handed on before all of them have passed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path

from autograder.authoring.assignments import Assignment
from autograder.grading.collect import Found
from autograder.grading.options import GradingError
from autograder.grading.submission import Graded
from autograder.reports.files import write_atomically
from autograder.runners.pool import Lost

__all__ = ["proven", "write_references"]

Outcome = tuple[Found, Graded | Lost]


def write_references(assignments: Mapping[str, Assignment], folder: Path) -> Iterator[Found]:
    """Write the reference solution of each notebook into ``folder``; yield each as something that was handed in."""
    import nbformat

    from autograder.runners.plan import solved

    for name, assignment in assignments.items():
        if assignment.source is not None:
            path = folder / "references" / f"{name}.ipynb"
            write_atomically(path, nbformat.writes(solved(assignment.learner, assignment.source)) + "\n")
            yield Found("", name, path, "the reference solution")


def proven(outcomes: Iterator[Outcome], references: Sequence[Found]) -> Iterator[Outcome]:
    """Yield the outcomes of the class, once every reference has passed.

    Raises
    ------
    GradingError
        A reference fails a check: nobody could pass it.
    """
    held: list[Outcome] = []
    missing = len(references)
    failures: list[str] = []
    try:
        for found, outcome in outcomes:
            if found in references:
                missing -= 1
                failures += _failures(found, outcome)
            else:
                held.append((found, outcome))
            if not missing:
                _refuse(failures)
                yield from held
                held.clear()
    finally:
        if isinstance(outcomes, Generator):
            outcomes.close()  # ends the workers


def _failures(found: Found, outcome: Graded | Lost) -> list[str]:
    if isinstance(outcome, Lost) or outcome.broken:
        return []  # the grader itself failed, which every row of the class is going to say
    if outcome.result.status != "graded":
        return [f"{found.notebook}: {outcome.result.reason}"]
    lost = [check for check in outcome.result.checks if check.lost and check.check.kind != "manual"]
    return [f"{found.notebook}, {check.check.grade_id}: {check.message}" for check in lost]


def _refuse(failures: Sequence[str]) -> None:
    if failures:
        raise GradingError(
            "The reference solution does not pass its own checks, so nobody can: " + "; ".join(failures),
            expected="a reference solution that earns every point, within the time limits",
            next_step="correct the check or the reference, then grade again; nothing was graded or changed",
        )
