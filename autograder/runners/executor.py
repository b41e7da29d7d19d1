"""Executor protocol: what can run a notebook for the grader, and what a run gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from autograder.authoring.assignments import Assignment

__all__ = ["Executed", "Executor"]


@dataclass(frozen=True)
class Executed:
    """A notebook after it ran."""

    notebook: NotebookNode = field(repr=False)
    seconds: float
    peak_mb: float
    died: str = ""  # why not every cell ran; empty if they all did
    ran: frozenset[str] = frozenset()  # ids of the cells that ran to their end
    remote: frozenset[str] | None = None  # ids of checks whose error the learner's code raised; None: not known


class Executor(Protocol):
    """What can run a notebook. ``nbgrader`` metadata tell which cells are the course's."""

    @property
    def name(self) -> str:
        """A word for reports and for the key of the cache."""

    def prepare(self, assignment: Assignment) -> None:
        """Do once what all submissions of ``assignment`` share, if there is anything to share."""

    def run(
        self,
        notebook: NotebookNode,
        release: NotebookNode,
        *,
        time_limit: float,
        cell_limit: float,
        files: Mapping[str, bytes] | None = None,
    ) -> Executed:
        """Run every code cell in order; a cell that fails doesn't stop the ones after it.

        Parameters
        ----------
        notebook
            A repaired submission, changed in place: outputs are stored in its cells. Cells that come from the release
            have the id they have there.
        release
            The notebook as released, with hidden tests: the one of an assignment that was prepared.
        files
            What the learner handed in beside the notebook, by its path there.
        time_limit, cell_limit
            Seconds for the notebook and for each cell.
        """

    def close(self) -> None:
        """End what the executor has started."""
