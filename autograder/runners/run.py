"""Run record of a notebook: progress, time, memory, and the cells that ended in an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from autograder.authoring.format import exercise_of
from autograder.runners.executor import Executed

if TYPE_CHECKING:
    from nbformat import NotebookNode

_CHECKS = ("check-", "hidden-")
_UNKNOWN_NAME = ("NameError", "NotDefined")  # the second in the grader's judge

__all__ = ["CellEvent", "Fault", "NotebookRun", "cell_name", "faults", "only_not_implemented"]


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
class NotebookRun(Executed):
    """A notebook after it ran in a process of its own.

    ``seconds`` is wall time from the start of the process to its end; ``peak_mb`` the memory of the kernel and all it
    started (shared pages once), the largest sum of one moment.
    """

    cpu_seconds: float = 0.0  # processor time of the same processes: what a run costs on a busy machine too
    leftovers: tuple[str, ...] = ()  # processes that were still running after the last cell
    cell_seconds: tuple[tuple[str, float], ...] = ()


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
