"""Run submissions behind walls and let the trusted twin judge them: :mod:`autograder.sandbox` as an executor."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from autograder.authoring.assignments import grade_id_of, is_locked, release_ids
from autograder.authoring.format import grading
from autograder.runners.executor import Executed
from autograder.sandbox.inside.preload import COURSE_LIBRARIES
from autograder.sandbox.model import CellOutcome, Limits, Plan, PlanCell

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from autograder.authoring.assignments import Assignment
    from autograder.sandbox.engine import Engine, SandboxName

__all__ = ["Sandboxed", "libraries_of", "plan_of", "solved"]


class Sandboxed:
    """An engine that has imported the course's libraries once, and runs one submission after the other."""

    def __init__(self, sandbox: SandboxName, *, probed: bool = False) -> None:
        from autograder.sandbox import capabilities
        from course_lib import data

        data.ingest()  # what a submission builds in its view of the cache is gone with it, and may not be whole
        known = probed or sandbox == "none"  # whoever makes many of these has looked once
        self.sandbox = sandbox if known else cast("SandboxName", capabilities().choose(sandbox))
        self.name = f"twin, {self.sandbox}"
        self.engine: Engine | None = None  # opened when it is known what to import
        self._libraries: frozenset[str] = frozenset()
        self._references: dict[int, tuple[NotebookNode, Plan]] = {}  # by the release's id, which is kept alive

    def prepare(self, assignment: Assignment) -> None:
        """Do what all submissions of ``assignment`` have in common, once: later runs are forked from there.

        Cells that no check can notice are left out of those runs, if the reference earns every point without them
        (:mod:`autograder.sandbox.slicing`); otherwise every submission runs from top to bottom.
        """
        if assignment.source is None or id(assignment.graded) in self._references:
            return
        plan = plan_of(solved(assignment.graded, assignment.source), assignment.graded)
        self._references[id(assignment.graded)] = assignment.graded, plan
        self._opened(libraries_of(assignment.source)).prepare(plan)

    def run(self, notebook: NotebookNode, release: NotebookNode, *, time_limit: float, cell_limit: float) -> Executed:
        """Run ``notebook``; see :class:`autograder.runners.executor.Executor`."""
        limits = Limits(wall_seconds=time_limit, cell_seconds=cell_limit, cpu_seconds=max(1, round(time_limit)))
        _, reference = self._references.get(id(release), (None, None))
        done = self._opened().run(plan_of(notebook, release), limits=limits, reference=reference)
        outcomes = {outcome.id: outcome for outcome in done.outcomes}
        for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
            cell.execution_count = number
            cell.outputs = _outputs(outcomes[cell.id], number) if cell.id in outcomes else []
        return Executed(
            notebook,
            done.seconds,
            done.peak_mb,
            done.reason if done.stopped else "",
            frozenset(outcome.id for outcome in done.outcomes if not outcome.stopped),
            remote=frozenset(outcome.id for outcome in done.outcomes if outcome.remote),
        )

    def close(self) -> None:
        """End every process of the engine."""
        if self.engine is not None:
            self.engine.close()
            self.engine = None

    def _opened(self, libraries: Iterable[str] = ()) -> Engine:
        """Return an engine that has imported ``libraries``; one that lacks some of them is replaced."""
        from autograder.sandbox import open_engine

        wanted = self._libraries | frozenset(libraries)
        if self.engine is not None and wanted != self._libraries:
            self.close()
        if self.engine is None:
            preload = [name for name in COURSE_LIBRARIES if name in wanted]  # their order matters
            self.engine, self._libraries = open_engine(sandbox=self.sandbox, preload=preload, probe=False), wanted
        return self.engine


def libraries_of(notebook: NotebookNode) -> frozenset[str]:
    """Return which of the course's libraries to import before ``notebook`` runs: none that it has no use for.

    A notebook that uses `course_lib` gets them all, for its functions import what they need when they are called.
    """
    try:
        tree = ast.parse("\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code"))
    except (SyntaxError, ValueError):  # a cell with a magic command
        return frozenset(COURSE_LIBRARIES)
    roots = {alias.name.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    roots |= {(n.module or "").partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    if "course_lib" in roots:
        return frozenset(COURSE_LIBRARIES)
    roots |= {"matplotlib_inline"} if "matplotlib" in roots else set()
    return frozenset(name for name in COURSE_LIBRARIES if name.partition(".")[0] in roots)


def solved(release: NotebookNode, source: NotebookNode) -> NotebookNode:
    """Return ``release`` with the reference solutions of ``source`` handed in."""
    from nbformat import from_dict

    notebook: NotebookNode = from_dict(release)
    answers = {grade_id_of(cell): cell.source for cell in source.cells}
    for cell_id, cell in zip(release_ids(release), notebook.cells, strict=True):
        cell.id = cell_id
        if grading(cell).get("solution"):
            cell.source = answers.get(grade_id_of(cell), cell.source)
    return notebook


def plan_of(notebook: NotebookNode, release: NotebookNode) -> Plan:
    """Return what to run for ``notebook``, a repaired submission of ``release``.

    The learner's process runs the learner's cells in their order. The twin runs every code cell of the release, those
    included that the learner deleted: such a cell comes before the next one of the release that is there.
    """
    released = dict(zip(release_ids(release), release.cells, strict=True))
    order = {cell_id: number for number, cell_id in enumerate(released)}
    here = {cell.id for cell in notebook.cells}
    lost = [cell_id for cell_id, cell in released.items() if cell_id not in here and cell.cell_type == "code"]
    cells: list[PlanCell] = []
    numbers = _numbers(release, released)
    for cell in notebook.cells:
        while lost and cell.id in order and order[lost[0]] < order[cell.id]:
            cells.append(_plan_cell(lost[0], released[lost.pop(0)], None))
        if cell.cell_type == "code":
            cells.append(_plan_cell(cell.id, released.get(cell.id), cell))
    cells += [_plan_cell(cell_id, released[cell_id], None) for cell_id in lost]
    return Plan(cells=tuple(_numbered(cells, numbers)))


def _numbers(release: NotebookNode, released: dict[str, NotebookNode]) -> dict[str, int]:
    code = [cell_id for cell_id, cell in zip(released, release.cells, strict=True) if cell.cell_type == "code"]
    return {cell_id: number for number, cell_id in enumerate(code, 1)}


def _numbered(cells: list[PlanCell], numbers: dict[str, int]) -> Iterator[PlanCell]:
    """Give cells that are as released the number they have there: a cell inserted above doesn't make them others."""
    for number, cell in enumerate(cells, 1):
        same = cell.kind == "free" and cell.learner.strip() == cell.release.strip()
        yield replace(cell, number=numbers.get(cell.id, number) if same else number)


def _plan_cell(cell_id: str, released: NotebookNode | None, submitted: NotebookNode | None) -> PlanCell:
    learner = submitted.source if submitted is not None else ""
    if released is None:
        return PlanCell(cell_id, "free", "", learner)
    meta = grading(released)
    if not grade_id_of(released):
        return PlanCell(cell_id, "free", released.source, learner)
    if meta.get("grade") and not meta.get("solution"):
        return PlanCell(cell_id, "test", released.source)
    if is_locked(released):
        return PlanCell(cell_id, "free", released.source, released.source)
    return PlanCell(cell_id, "solution", released.source, learner)


def _outputs(outcome: CellOutcome, number: int) -> list[NotebookNode]:
    """Return the outputs of a cell; an error that only the outcome knows is added to them."""
    return list(_all_outputs(outcome, number))


def _all_outputs(outcome: CellOutcome, number: int) -> Iterator[NotebookNode]:
    from nbformat import from_dict
    from nbformat.v4 import new_output

    shown = False
    for output in outcome.outputs:
        kind = output.get("output_type")
        shown = shown or kind == "error"
        if kind == "execute_result":
            yield from_dict({"metadata": {}, **output, "execution_count": number})
        else:
            yield from_dict(output)
    if not outcome.ok and not shown:
        text = f"{outcome.error}: {outcome.message}"
        yield new_output("error", ename=outcome.error or "Error", evalue=outcome.message, traceback=[text])
