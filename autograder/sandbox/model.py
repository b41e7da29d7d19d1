"""Data model of the sandbox: what to run, within which limits, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["CellKind", "CellOutcome", "ExecutedSubmission", "Limits", "Plan", "PlanCell", "Stopped"]

CellKind = Literal["free", "solution", "test"]
Stopped = Literal["", "time", "memory", "processes", "output", "exit", "grader"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one submission may use. Everything is per submission unless its name says otherwise."""

    memory_mb: int = 1024  # of all the learner's processes together
    processes: int = 64  # processes and threads
    cpu_seconds: int = 240  # of all the learner's processes together
    wall_seconds: float = 300.0  # for the whole notebook
    cell_seconds: float = 60.0  # for one cell or check
    grace_seconds: float = 2.0  # after that, for an interrupted cell to stop by itself
    disk_mb: int = 256  # work folder, /tmp and home together
    file_mb: int = 64  # one file
    output_kb: int = 256  # kept of what one cell prints
    flood_mb: int = 32  # printed by the submission before it is stopped
    restarts: int = 3  # of the learner's process after it ended


@dataclass(frozen=True)
class PlanCell:
    """One code cell of the notebook, in order.

    Attributes
    ----------
    id
        Any name unique in the plan: outcomes carry it.
    kind
        ``free``: runs in both processes, ``learner`` in the learner's, ``release`` in the judge. ``solution``: runs in
        the learner's only; its names become proxies in the judge. ``test``: runs in the judge only, for a verdict.
    release
        Source of the cell as released (the stub of a solution, a test with its hidden part).
    learner
        Source as handed in. Of a test: empty, or what runs in the learner's process instead of in the judge, for a test
        that needs to see all there is. Whoever wrote the other cells can make it say what they like.
    names
        Names a solution cell must define; ``None``: those that its stub binds at top level.
    number
        The number it runs as.
    """

    id: str
    kind: CellKind
    release: str = field(default="", repr=False)
    learner: str = field(default="", repr=False)
    names: tuple[str, ...] | None = None
    number: int = 0  # as which it runs ("Cell In[3]"); 0: its place in the plan


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A notebook to run: its code cells, and files that lie in its work folder at the start.

    ``files`` are the learner's. ``helpers`` names a folder of the course's own files: they lie there too, can be
    imported, and nobody can change them.
    """

    cells: tuple[PlanCell, ...]
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    helpers: str = ""


@dataclass(frozen=True)
class CellOutcome:
    """What one cell did. For a test it comes from the judge and can be trusted; otherwise it is the learner's word.

    ``outputs`` are nbformat outputs (stream, display_data, execute_result, error) without any source code.
    ``value`` is the number a test cell ended in (nbgrader's partial credit), ``None`` if it ended in no number.
    ``remote`` is true when the error was raised by the learner's code and only passed through the test.
    """

    id: str
    kind: CellKind
    ok: bool
    error: str = ""  # name of the exception
    message: str = ""
    remote: bool = False
    value: float | None = None
    stopped: Stopped = ""
    seconds: float = 0.0
    outputs: tuple[dict[str, Any], ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class ExecutedSubmission:
    """A submission after it ran. There is an outcome for every cell of the plan, whatever happened."""

    outcomes: tuple[CellOutcome, ...]
    seconds: float
    peak_mb: float
    sandbox: str
    stopped: Stopped = ""  # why the learner's process was ended for good; empty if it ran to the end
    reason: str = ""  # the same in words
    restarts: int = 0

    def outcome(self, cell_id: str) -> CellOutcome:
        """Return the outcome of the cell ``cell_id``."""
        return next(outcome for outcome in self.outcomes if outcome.id == cell_id)
