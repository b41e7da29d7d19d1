"""What two runs say of a notebook: that of its reference, and that of its untouched learner copy."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from autograder.authoring.assignments import Assignment
from autograder.authoring.format import answers_path
from autograder.authoring.release import release_of
from autograder.authoring.sources import Source
from autograder.course.model import ExerciseReport, NotebookReport
from autograder.grading.score import score
from autograder.model import CheckResult
from autograder.runners.run import NotebookRun, faults, only_not_implemented
from course_lib import engines

__all__ = ["engines_of", "exercises_of", "judge"]

_SLOWEST = 3  # cells named in the report


def judge(
    source: Source, reference: NotebookRun, copy: NotebookRun, *, budget: float, beside: bool = False
) -> NotebookReport:
    """Return what two runs say of a notebook: that of its reference, and that of its untouched learner copy.

    Parameters
    ----------
    budget
        Seconds that the reference may take.
    beside
        Whether other notebooks ran at the same time: then the clock says less, and the report says so.
    """
    released = release_of(source)
    assignment = Assignment(source.spec, released, released)
    of_reference = score(reference, assignment)
    of_copy = score(copy, assignment, untouched=[e.solution_id for e in source.spec.exercises])
    notes = []
    if reference.seconds > budget:
        busy = f" ({reference.cpu_seconds:.0f} s of processor time)"
        neighbour = ", beside another notebook" if beside else ""
        took = f"took {reference.seconds:.0f} s{busy}{neighbour}"
        notes.append(f"{took}, more than its budget of {budget:g} s on 2 processors")
    slowest = sorted(reference.cell_seconds, key=lambda cell: -cell[1])[:_SLOWEST]
    problems = (*_reference_problems(reference, of_reference), *_copy_problems(copy, of_copy))
    return NotebookReport(
        source.name,
        source.spec.title,
        "failed" if problems else "passed",
        budget,
        problems=problems,
        notes=tuple(notes),
        seconds=reference.seconds,
        cpu_seconds=reference.cpu_seconds,
        peak_mb=max(reference.peak_mb, copy.peak_mb),
        points=_sum(of_reference),
        max_points=source.spec.points,
        learner_points=_sum(of_copy),
        learner_seconds=copy.seconds,
        cells=len(reference.notebook.cells),
        slowest=tuple(slowest),
    )


def exercises_of(source: Source, root: Path) -> Iterator[ExerciseReport]:
    """Yield the exercises of a notebook with the number of answers on file for each."""
    for e in source.spec.exercises:
        text = answers_path(root, source.name, e.number).read_text(encoding="utf-8")
        wrong, right = text.count(' answer="wrong"'), text.count(' answer="right"')
        yield ExerciseReport(e.number, e.title, e.points, wrong, right)


def engines_of(source: Source) -> list[str]:
    """Return the engines a notebook names where it asks what this machine has."""
    code = "\n".join(c.source for c in source.notebook.cells if c.cell_type == "code" and "engines" in c.source)
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):  # a cell with a magic command
        return []
    words = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [key for key in engines.ENGINES if key in words]


def _reference_problems(run: NotebookRun, results: Sequence[CheckResult]) -> Iterator[str]:
    if run.died:
        yield run.died
    lost = {r.check.grade_id: r for r in results if r.lost}
    for fault in faults(run.notebook):
        if fault.cell not in lost:
            yield f"the reference stops at {fault.cell} with {fault.error}: {fault.message}"
    for result in lost.values():
        yield f"the reference loses points at {result.check.grade_id}: {result.message}"
    for process in run.leftovers:
        yield f"the reference leaves a process running: {process}"


def _copy_problems(run: NotebookRun, results: Sequence[CheckResult]) -> Iterator[str]:
    if run.died:
        yield f"the untouched learner copy: {run.died}"
    breaks = only_not_implemented(run.notebook)
    for fault in breaks:
        yield f"the untouched learner copy breaks at {fault.cell} with {fault.error}: {fault.message}"
    if breaks:
        yield (
            "Only NotImplementedError may stop an untouched copy. A cell that needs the result of an exercise calls it "
            "itself, or uses what course_lib has instead."
        )
    for result in results:
        if result.points and result.check.kind != "manual":
            yield f"the untouched learner copy earns {result.points:g} points at {result.check.grade_id}"


def _sum(results: Sequence[CheckResult]) -> float:
    return sum(result.points or 0.0 for result in results if result.check.kind != "manual")
