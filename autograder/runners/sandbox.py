"""Run submissions behind walls and let a trusted judge give the verdict: :mod:`autograder.sandbox` as an executor."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from autograder.runners.executor import Executed
from autograder.runners.plan import Asked, asked_of, plan_of, solved
from autograder.sandbox.inside.preload import COURSE_LIBRARIES
from autograder.sandbox.model import CellOutcome, Limits, Plan
from autograder.sandbox.names import UNREADABLE, without_magics

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from autograder.authoring.assignments import Assignment
    from autograder.sandbox.engine import Engine, SandboxName

__all__ = ["Sandboxed", "libraries_of"]


@dataclass(frozen=True)
class _Prepared:
    """What all submissions of an assignment have in common."""

    assignment: Assignment | None = None  # kept alive, for its release is known by its id
    asked: Mapping[str, Asked] = field(default_factory=dict)
    reference: Plan | None = None

    def plan(self, notebook: NotebookNode, release: NotebookNode, files: Mapping[str, bytes] | None = None) -> Plan:
        """Return what to run for ``notebook``."""
        unseen, helpers = (
            (self.assignment.unseen, self.assignment.helpers) if self.assignment else (frozenset[str](), "")
        )
        return plan_of(notebook, release, asked=self.asked, unseen=unseen, files=files, helpers=helpers)


class Sandboxed:
    """An engine that has imported the course's libraries once, and runs one submission after the other.

    Parameters
    ----------
    sandbox
        Which walls there are around submissions.
    probed
        Whether that was tried a moment ago.
    seed
        The secret of the grading, from which tests draw.
    helpers
        The folder with the files that lie beside notebooks, a folder for each of them.
    """

    def __init__(
        self, sandbox: SandboxName, *, probed: bool = False, seed: str = "", helpers: Path | None = None
    ) -> None:
        from autograder.sandbox import choose
        from course_lib import data

        data.ingest()  # what a submission builds in its view of the cache is gone with it, and may not be whole
        known = probed or sandbox == "none"  # whoever makes many of these has looked once
        self.sandbox = sandbox if known else cast("SandboxName", choose(sandbox))
        self.name = f"judge, {self.sandbox}"
        self._seed = seed  # of the grading: what its tests draw from
        self.engine: Engine | None = None  # opened when it is known what to import
        self._libraries: frozenset[str] = frozenset()
        self._helpers = helpers
        self._prepared: dict[int, _Prepared] = {}  # by the release's id

    def prepare(self, assignment: Assignment) -> None:
        """Do what all submissions of ``assignment`` have in common, once: later runs are forked from there.

        Cells that no check can notice are left out of those runs, if the reference earns every point without them
        (:mod:`autograder.sandbox.slicing`); otherwise every submission runs from top to bottom.
        """
        graded, source = assignment.graded, assignment.source
        if id(graded) in self._prepared:
            return
        known = _Prepared(assignment, asked_of(graded, source))
        if source is not None:
            known = replace(known, reference=known.plan(solved(graded, source), graded))
        self._prepared[id(graded)] = known
        if known.reference is not None and source is not None:
            self._opened(libraries_of(source)).prepare(known.reference)

    def run(
        self,
        notebook: NotebookNode,
        release: NotebookNode,
        *,
        time_limit: float,
        cell_limit: float,
        files: Mapping[str, bytes] | None = None,
    ) -> Executed:
        """Run ``notebook``; see :class:`autograder.runners.executor.Executor`."""
        limits = Limits(wall_seconds=time_limit, cell_seconds=cell_limit, cpu_seconds=max(1, round(time_limit)))
        known = self._prepared.get(id(release), _Prepared())
        plan = known.plan(notebook, release, files)
        done = self._opened().run(plan, limits=limits, reference=known.reference, seed=self._seed)
        outcomes = {outcome.id: outcome for outcome in done.outcomes}
        for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
            cell.execution_count = number
            cell.outputs = list(_outputs(outcomes[cell.id], number)) if cell.id in outcomes else []
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
            self.engine = open_engine(sandbox=self.sandbox, preload=preload, probe=False, helpers=self._helpers)
            self._libraries = wanted
        return self.engine


def libraries_of(notebook: NotebookNode) -> frozenset[str]:
    """Return which of the course's libraries to import before ``notebook`` runs: none that it has no use for.

    A notebook that uses `course_lib` gets them all, for its functions import what they need when they are called.
    """
    source = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    try:
        tree = ast.parse(without_magics(source))
    except UNREADABLE:
        return frozenset(COURSE_LIBRARIES)
    roots = {alias.name.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    roots |= {(n.module or "").partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    if "course_lib" in roots:
        return frozenset(COURSE_LIBRARIES)
    roots |= {"matplotlib", "matplotlib_inline"} if "matplotlib" in roots or "%matplotlib" in source else set()
    return frozenset(name for name in COURSE_LIBRARIES if name.partition(".")[0] in roots)


def _outputs(outcome: CellOutcome, number: int) -> Iterator[NotebookNode]:
    """Return the outputs of a cell; an error that only the outcome knows is added to them."""
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
