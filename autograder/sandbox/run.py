"""One submission from start to end: its processes, its limits, its cells in order, and what came of each.

The grader's side of the story. It believes the twin, the kernel and the clock; from the learner's process it takes only
outputs to show.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import Any

from autograder.sandbox.errors import ExecutionError
from autograder.sandbox.forkserver import ForkServer
from autograder.sandbox.model import CellOutcome, ExecutedSubmission, Limits, Plan, PlanCell, Stopped
from autograder.sandbox.names import names_bound
from autograder.sandbox.outcomes import explain, gone, of_cell, of_test
from autograder.sandbox.processes import Dead, Overdue, Role, SubmissionProcesses
from autograder.sandbox.snapshots import Snapshot, SnapshotCache

__all__ = ["SubmissionRun"]

_GRACE = 2.0  # seconds for an interrupted cell to stop by itself


class SubmissionRun:
    """One run of one plan. Use it once."""

    def __init__(
        self, forkserver: ForkServer, snapshots: SnapshotCache, plan: Plan, limits: Limits, *, keep: bool = False
    ) -> None:
        self._forkserver = forkserver
        self._snapshots = snapshots
        self._plan = plan
        self._limits = limits
        self._keep = keep  # the snapshot this run is forked from
        self._outcomes: dict[str, CellOutcome] = {}
        self._killers: set[str] = set()  # cells that ended the learner's process: not run again
        self._restarts = 0
        self._stopped: Stopped = ""
        self._places: list[int] = []  # of the snapshot's cells in the plan
        self._processes: SubmissionProcesses
        self._deadline = 0.0

    def execute(self) -> ExecutedSubmission:
        """Run all cells and return what came of them."""
        started = time.monotonic()
        peak = 0.0
        while len(self._outcomes) < len(self._plan.cells):
            with self._forkserver.places() as places:
                prefix = self._prefix()
                try:
                    self._processes = SubmissionProcesses(
                        self._forkserver, self._limits, self._plan.files, places, prefix
                    )
                except ExecutionError:
                    if not prefix:
                        raise
                    prefix.retire()
                    continue
                if not self._deadline:  # the clock starts when the submission's first process does
                    self._deadline = time.monotonic() + self._limits.wall_seconds
                try:
                    self._attempt(self._places[prefix.count - 1] + 1 if prefix else 0)
                finally:
                    peak = max(peak, self._processes.close())
        outcomes = tuple(self._outcomes[cell.id] for cell in self._plan.cells)
        return ExecutedSubmission(
            outcomes=outcomes,
            seconds=time.monotonic() - started,
            peak_mb=peak,
            sandbox=self._forkserver.sandbox,
            stopped=self._stopped,
            reason=explain(self._stopped, self._limits) if self._stopped else "",
            restarts=self._restarts,
        )

    def _prefix(self) -> Snapshot | None:
        """Return a snapshot that has run the leading cells which this submission left as they were released."""
        cells, self._places = [], []
        for index, cell in enumerate(self._plan.cells):
            if cell.kind != "free" or cell.learner.strip() != cell.release.strip():
                break
            if cell.release.strip():
                cells.append((cell.number or index + 1, cell.release))
                self._places.append(index)
        if not cells or self._restarts or not self._forkserver.walls:
            return None
        return self._snapshots.find(cells, self._plan.files, self._limits, keep=self._keep)

    def _attempt(self, ran: int) -> None:
        """Run the cells from the start; those already done are repeated only as far as later ones need them."""
        for index, cell in enumerate(self._plan.cells):
            if index < ran:
                self._outcomes.setdefault(cell.id, CellOutcome(cell.id, cell.kind, ok=True))
                continue
            done = cell.id in self._outcomes
            if done and (cell.kind == "test" or cell.id in self._killers):
                continue
            try:
                outcome = self._run_cell(index, cell)
            except Dead as death:
                if cell.id not in self._outcomes:
                    self._outcomes[cell.id] = gone(cell, death.why, self._limits)
                self._killers.add(cell.id)
                if death.final or not self._may_restart():
                    self._give_up_rest(death.why)
                    return
                if death.role is Role.TWIN:
                    return  # and start again in new processes
                if not self._revive(index):
                    return
                continue
            if not done:
                self._outcomes[cell.id] = outcome

    def _may_restart(self) -> bool:
        self._restarts += 1
        return self._restarts <= self._limits.restarts and time.monotonic() < self._deadline

    def _revive(self, index: int) -> bool:
        """Start a new learner's process and repeat what earlier cells did in it; return whether that worked."""
        try:
            self._processes.start_learner()
            for place, cell in enumerate(self._plan.cells[:index]):
                if cell.kind != "test" and cell.id not in self._killers:
                    self._learner(cell, cell.number or place + 1)
                    if cell.kind == "solution":
                        self._bind(cell)
        except Dead as death:
            self._give_up_rest("grader" if death.role is Role.TWIN else death.why)
            return False
        return True

    def _run_cell(self, index: int, cell: PlanCell) -> CellOutcome:
        number, started = cell.number or index + 1, time.monotonic()
        if started > self._deadline:
            raise Dead(Role.LEARNER, "time", final=True)
        if cell.kind == "test":
            outcome = self._test(cell, number)
        else:
            outcome = self._learner(cell, number)
            if cell.kind == "solution":
                self._bind(cell)
            elif cell.release.strip():
                self._ask_twin({"op": "run", "source": cell.release, "number": number}, cell)
        return replace(outcome, seconds=time.monotonic() - started)

    def _learner(self, cell: PlanCell, number: int) -> CellOutcome:
        if not cell.learner.strip():
            return CellOutcome(cell.id, cell.kind, ok=True)
        self._processes.tell(Role.LEARNER, {"source": cell.learner, "number": number})
        reply, stopped = self._reply(Role.LEARNER)
        return of_cell(cell, number - 1, stopped, self._limits, reply, self._processes.output())

    def _bind(self, cell: PlanCell) -> None:
        names = list(cell.names if cell.names is not None else names_bound(cell.release))
        self._ask_twin({"op": "bind", "names": names}, cell)

    def _ask_twin(self, message: dict[str, Any], cell: PlanCell) -> dict[str, Any]:
        self._processes.tell(Role.TWIN, message)
        reply, stopped = self._reply(Role.TWIN)
        return {} if stopped else reply

    def _test(self, cell: PlanCell, number: int) -> CellOutcome:
        self._processes.tell(Role.TWIN, {"op": "test", "source": cell.release, "number": number})
        reply, stopped = self._reply(Role.TWIN)
        self._processes.output()
        if reply.get("gone"):
            self._processes.expect_end()
        ended = self._processes.ended
        if ended is not None and not reply.get("ok"):
            outcome = gone(cell, stopped or ended.why, self._limits)
        else:
            outcome = of_test(cell, number, reply, stopped, self._limits, self._outcomes, self._plan)
        if ended is not None:
            self._outcomes[cell.id] = outcome
            raise ended
        return outcome

    def _reply(self, role: Role) -> tuple[dict[str, Any], Stopped]:
        """Wait for an answer; stop what takes too long, first gently."""
        deadline = min(time.monotonic() + self._limits.cell_seconds, self._deadline)
        try:
            return self._processes.reply(role, deadline), ""
        except Overdue:
            return self._interrupt(role)

    def _interrupt(self, role: Role) -> tuple[dict[str, Any], Stopped]:
        self._processes.interrupt(Role.LEARNER)
        with contextlib.suppress(Overdue):
            return self._processes.reply(role, time.monotonic() + _GRACE), "time"
        if role is Role.TWIN:
            self._processes.interrupt(Role.TWIN)
            self._processes.kill(Role.LEARNER, "time")
            with contextlib.suppress(Overdue):
                return self._processes.reply(role, time.monotonic() + _GRACE), "time"
            self._processes.kill(Role.TWIN, "time")
            raise Dead(Role.TWIN, "time")
        self._processes.kill(Role.LEARNER, "time")
        raise Dead(Role.LEARNER, "time")

    def _give_up_rest(self, why: Stopped) -> None:
        self._stopped = why
        for cell in self._plan.cells:
            if cell.id not in self._outcomes:
                self._outcomes[cell.id] = gone(cell, why, self._limits, before=True)
