"""What came of running a notebook: progress, time, memory, and the cells that ended in an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from autograder.authoring.format import exercise_of
from autograder.runners.executor import Executed

if TYPE_CHECKING:
    from nbformat import NotebookNode

_CHECKS = ("check-", "hidden-")
_UNKNOWN_NAME = ("NameError", "NotDefined")  # the second in the grader's twin

__all__ = ["CellEvent", "Fault", "Run", "cell_name", "faults", "only_not_implemented"]


@dataclass(frozen=True)
class CellEvent:
    """A cell has started or is done."""

    state: Literal["start", "done"]
    index: int  # from 0, among all cells
    total: int  # number of all cells
    name: str
    seconds: float  # since the run began


@dataclass(frozen=True)
class Fault:
    """A cell that ended in an error."""

    cell: str
    error: str  # type of the error
    message: str


@dataclass(frozen=True)
class Run:
    """A notebook after it ran."""

    notebook: NotebookNode = field(repr=False)
    seconds: float  # wall time, from the start of the process to its end
    peak_mb: float  # memory of the kernel and all it started (shared pages once), largest sum of one moment
    cpu_seconds: float = 0.0  # processor time of the same processes: what a run costs on a busy machine too
    died: str = ""  # why not every cell ran although none failed; else empty
    leftovers: tuple[str, ...] = ()  # processes that were still running after the last cell
    cell_seconds: tuple[tuple[str, float], ...] = ()
    ran: frozenset[str] = frozenset()  # ids of the cells that ran to their end

    @property
    def executed(self) -> Executed:
        """The same run, as `autograder.grading.score.score` takes it."""
        return Executed(self.notebook, self.seconds, self.peak_mb, self.died, self.ran)


def cell_name(cell: NotebookNode, index: int) -> str:
    """Return how people can find a cell: by its grade id, else by its place and first line."""
    if grade_id := cell.metadata.get("nbgrader", {}).get("grade_id"):
        return str(grade_id)
    first = next(iter(cell.source.strip().splitlines()), "")
    return f"cell {index + 1}: {first[:50]}"


def faults(notebook: NotebookNode) -> list[Fault]:
    """Return every cell of an executed notebook that ended in an error, in order."""
    return [
        Fault(cell_name(cell, index), str(output.ename), str(output.evalue))
        for index, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]


def only_not_implemented(notebook: NotebookNode) -> list[Fault]:
    """Return what breaks an untouched learner copy other than unsolved exercises; an empty list is good.

    Every error of an untouched copy must be a NotImplementedError. A NameError that only follows because an earlier
    cell stopped counts as well: a learner would look for the mistake in the wrong place. The one exception are the
    checks of an exercise whose own cell has stopped (a class that is still to be written does not exist yet).
    """
    found = faults(notebook)
    unsolved = {f.cell for f in found if f.error == "NotImplementedError" and f.cell.startswith("ex-")}
    stopped = {exercise_of(cell) for cell in unsolved}
    return [
        fault
        for fault in found
        if fault.error != "NotImplementedError"
        and not (fault.error in _UNKNOWN_NAME and fault.cell.startswith(_CHECKS) and exercise_of(fault.cell) in stopped)
    ]
