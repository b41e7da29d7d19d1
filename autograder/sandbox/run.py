"""Run of one submission from start to end: its processes, its limits, its cells in order, and what came of each.

The grader's side of the story. It believes the judge, the kernel and the clock; from the learner's process it takes
only outputs to show.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import time
from dataclasses import replace
from typing import TypeVar

from autograder.sandbox.errors import ExecutionError
from autograder.sandbox.forkserver import ForkServer
from autograder.sandbox.messages import Answer, Bind, CellRan, Command, Done, Guard, Role, RunCell, RunTest, Verdict
from autograder.sandbox.model import CellOutcome, ExecutedSubmission, Limits, Plan, PlanCell, Stopped
from autograder.sandbox.names import names_bound
from autograder.sandbox.outcomes import explain, gone, of_cell, of_test
from autograder.sandbox.processes import Dead, Overdue, SubmissionProcesses
from autograder.sandbox.snapshots import Snapshot, SnapshotCache

__all__ = ["SubmissionRun"]

A = TypeVar("A", bound=Answer)


class SubmissionRun:
    """One run of one plan. Use it once."""

    def __init__(
        self,
        forkserver: ForkServer,
        snapshots: SnapshotCache,
        plan: Plan,
        limits: Limits,
        *,
        seed: str = "",
        keep: bool = False,
    ) -> None:
        self._forkserver = forkserver
        self._snapshots = snapshots
        self._plan = plan
        self._limits = limits
        self._seed = seed  # of the grading; stays on this side of the walls
        self._keep = keep  # the snapshot this run is forked from
        self._outcomes: dict[str, CellOutcome] = {}
        self._killers: set[str] = set()  # cells that ended the learner's process: not run again
        self._restarts = 0
        self._stopped: Stopped = ""
        self._places: list[int] = []  # of the snapshot's cells in the plan
        self._guarded = False  # whether the judge imports nothing any more that a learner could have written
        self._processes: SubmissionProcesses
        self._deadline = 0.0

    def execute(self) -> ExecutedSubmission:
        """Run all cells and return what came of them."""
        started = time.monotonic()
        peak = 0.0
        while len(self._outcomes) < len(self._plan.cells):
            with self._forkserver.folders() as folders:
                snapshot = self._snapshot()
                try:
                    self._processes = SubmissionProcesses(self._forkserver, self._limits, self._plan, folders, snapshot)
                    self._guarded = False
                except ExecutionError:
                    if snapshot is None:
                        raise
                    snapshot.retire()
                    continue
                if not self._deadline:  # the clock starts when the submission's first process does
                    self._deadline = time.monotonic() + self._limits.wall_seconds
                try:
                    self._attempt(self._places[snapshot.count - 1] + 1 if snapshot is not None else 0)
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

    def _snapshot(self) -> Snapshot | None:
        """Return a snapshot that has run the leading cells which this submission left as they were released."""
        cells, self._places = [], []
        for index, cell in enumerate(self._plan.cells):
            if cell.kind != "free" or cell.learner.strip() != cell.release.strip():
                break
            if cell.release.strip():
                cells.append((cell.number or index + 1, cell.release))
                self._places.append(index)
        if not cells or self._restarts or not self._forkserver.walls or self._plan.files:
            return None
        return self._snapshots.find(cells, self._plan.helpers, self._limits, keep=self._keep) or None

    def _attempt(self, ran: int) -> None:
        """Run the cells from the start; those already done are repeated only as far as later ones need them."""
        if self._plan.files:
            self._guard()
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
                if death.role is Role.JUDGE:
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
        """Start a new learner's process and repeat what earlier cells did in it; return whether that worked.

        A cell that ends the process only when it is repeated is left out from then on, like one that did so at first.
        """
        while True:
            repeated = ""
            try:
                self._processes.start_learner()
                for place, cell in enumerate(self._plan.cells[:index]):
                    if cell.kind != "test" and cell.id not in self._killers:
                        repeated = cell.id
                        self._learner(cell, cell.number or place + 1)
                        if cell.kind == "solution":
                            self._bind(cell)
            except Dead as death:
                self._killers.add(repeated)
                if not self._may_restart():
                    self._give_up_rest(death.why)
                    return False
                if death.role is Role.JUDGE:
                    return False  # and start again in new processes
            else:
                return True

    def _run_cell(self, index: int, cell: PlanCell) -> CellOutcome:
        number, started = cell.number or index + 1, time.monotonic()
        if started > self._deadline:
            raise Dead(Role.LEARNER, "time", final=True)
        if cell.learner.strip() != (cell.release.strip() if cell.kind == "free" else ""):
            self._guard()
        if cell.kind == "test":
            outcome = self._learner(cell, number) if cell.learner else self._test(cell, number)
        else:
            outcome = self._learner(cell, number)
            if cell.kind == "solution":
                self._bind(cell)
            elif cell.release.strip():
                self._have_judge(RunCell(source=cell.release, number=number))
        return replace(outcome, seconds=time.monotonic() - started)

    def _guard(self) -> None:
        """Tell the judge that code or files of the learner's come now: it may import nothing from their folders."""
        if not self._guarded:
            self._have_judge(Guard())
            self._guarded = True

    def _learner(self, cell: PlanCell, number: int) -> CellOutcome:
        if not cell.learner.strip():
            return CellOutcome(cell.id, cell.kind, ok=True)
        self._processes.tell(Role.LEARNER, RunCell(source=cell.learner, number=number))
        reply, stopped = self._reply(Role.LEARNER, CellRan)
        return of_cell(cell, number, reply, stopped, self._limits, self._processes.output())

    def _bind(self, cell: PlanCell) -> None:
        """Give the judge what the learner's process has under the names of ``cell``; end a process that doesn't tell.

        Now, for it is this cell that made it so. Later its end would be charged to a test, this cell repeated with each
        restart, and the points of other exercises would depend on who is first.
        """
        if self._have_judge(Bind(names=cell.names if cell.names is not None else names_bound(cell.release))):
            self._processes.kill(Role.LEARNER, "time")
            raise Dead(Role.LEARNER, "time")

    def _have_judge(self, message: Command) -> Stopped:
        """Let the judge use what the learner's process has; raise `Dead` if that process hung up or was ended."""
        self._processes.tell(Role.JUDGE, message)
        done, stopped = self._reply(Role.JUDGE, Done)
        if done.gone:
            self._processes.expect_end()
        if self._processes.ended is not None:
            raise self._processes.ended
        return stopped

    def _test(self, cell: PlanCell, number: int) -> CellOutcome:
        self._processes.tell(Role.JUDGE, RunTest(source=cell.release, number=number, seed=self._seed_of(cell)))
        verdict, stopped = self._reply(Role.JUDGE, Verdict)
        self._processes.output()
        if verdict.gone:
            self._processes.expect_end()
        ended = self._processes.ended
        if ended is not None and verdict.failure is not None:
            outcome = gone(cell, stopped or ended.why, self._limits)
        else:
            outcome = of_test(cell, number, verdict, stopped, self._limits, self._outcomes, self._plan)
        if ended is not None:
            self._outcomes[cell.id] = outcome
            raise ended
        return outcome

    def _seed_of(self, cell: PlanCell) -> str:
        """Return what the draws of one test come from.

        It depends on all that was handed in: nobody who changes a letter meets the order again that an earlier version
        of the answer could have noted down. And it doesn't depend on the tests before, so a restart changes nothing.
        """
        handed_in = [cell.learner for cell in self._plan.cells if cell.kind != "test"]
        text = repr((handed_in, cell.release)).encode("utf-8", errors="surrogatepass")
        return hmac.new(self._seed.encode(), text, hashlib.sha256).hexdigest()

    def _reply(self, role: Role, kind: type[A]) -> tuple[A, Stopped]:
        """Wait for an answer; stop what takes too long, first gently."""
        deadline = min(time.monotonic() + self._limits.cell_seconds, self._deadline)
        try:
            return self._processes.reply(role, kind, deadline), ""
        except Overdue:
            return self._interrupt(role, kind)

    def _interrupt(self, role: Role, kind: type[A]) -> tuple[A, Stopped]:
        self._processes.interrupt(Role.LEARNER)
        with contextlib.suppress(Overdue):
            return self._processes.reply(role, kind, time.monotonic() + self._limits.grace_seconds), "time"
        if role is Role.JUDGE:
            self._processes.interrupt(Role.JUDGE)
            self._processes.kill(Role.LEARNER, "time")
            with contextlib.suppress(Overdue):
                return self._processes.reply(role, kind, time.monotonic() + self._limits.grace_seconds), "time"
            self._processes.kill(Role.JUDGE, "time")
            raise Dead(Role.JUDGE, "time")
        self._processes.kill(Role.LEARNER, "time")
        raise Dead(Role.LEARNER, "time")

    def _give_up_rest(self, why: Stopped) -> None:
        self._stopped = why
        for cell in self._plan.cells:
            if cell.id not in self._outcomes:
                self._outcomes[cell.id] = gone(cell, why, self._limits, before=True)
