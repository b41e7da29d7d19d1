"""The arena: what every attack is run with, and the things of the host that it must not reach."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from attacks import FINE, Attack

from autograder.sandbox import Engine, ExecutedSubmission, Limits, Plan, PlanCell
from autograder.sandbox.isolation.usage import descendants

SECRET = "swordfish-in-the-hidden-test"
LIMITS = Limits(
    memory_mb=400, processes=32, cpu_seconds=30, wall_seconds=40, cell_seconds=3, disk_mb=32, file_mb=8, output_kb=64, flood_mb=4, restarts=2
)  # fmt: skip

PATIENT = replace(LIMITS, cell_seconds=60, grace_seconds=20, wall_seconds=200)  # for what ends by itself on any machine
_GONE_SECONDS = 60.0  # for what is gone already to be seen as gone


@dataclass(frozen=True)
class Host:
    """What belongs to the host."""

    canary: Path
    port: int
    abstract: str
    pid: int
    listeners: tuple[socket.socket, ...]

    def reached(self) -> list[str]:
        """Return what was reached."""
        found = [] if self.canary.read_text() == SECRET else ["the canary was changed"]
        for listener in self.listeners:
            try:
                listener.accept()
                found.append("a listener was reached")
            except BlockingIOError:
                pass
        return found


def settled(engine: Engine, expected: frozenset[int] | None = None) -> frozenset[int]:
    """Return the living processes below ``engine``, once they are ``expected`` or haven't changed for a while."""
    last, since = frozenset[int](), time.monotonic()
    while True:
        living = frozenset(pid for pid in descendants(engine.pid) if lives(pid))
        if living != last:
            last, since = living, time.monotonic()
        if living == expected or time.monotonic() - since > (_GONE_SECONDS if expected else 1):
            return living
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Return whether ``pid`` is a process that runs, not one that waits to be buried."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def attacked(engine: Engine, attack: Attack, source: str) -> list[tuple[ExecutedSubmission, Limits]]:
    """Run ``source``, the cell of ``attack``, with limits on time as tight as it needs; return each run and its limits.

    A tight limit that also stopped a cell nobody tampered with says that the machine is busy: then it runs once more.
    """
    limits = PATIENT
    if attack.endless:
        stops_when_interrupted = attack.passes == FINE
        limits = replace(LIMITS, grace_seconds=PATIENT.grace_seconds) if stops_when_interrupted else LIMITS
    runs = [(engine.run(plan_for(source), limits=limits, reference=reference()), limits)]
    untouched = [runs[0][0].outcome(name) for name in ("setup", "ex-2", "check-2")]
    if limits != PATIENT and any(outcome.stopped == "time" for outcome in untouched):
        limits = replace(limits, cell_seconds=4 * limits.cell_seconds, wall_seconds=3 * limits.wall_seconds)
        runs.append((engine.run(plan_for(source), limits=limits, reference=reference()), limits))
    return runs


def reference() -> Plan:
    """Return the plan with right answers: with it submissions run as the grader runs them."""
    return plan_for("def add(a, b):\n    return a + b")


def plan_for(source: str) -> Plan:
    """Return two exercises; ``source`` is handed in for the first, a right answer for the second."""
    setup = "import math\nexpected = 5"
    return Plan(
        cells=(
            PlanCell("setup", "free", setup, setup),
            PlanCell("ex-1", "solution", "def add(a, b):\n    raise NotImplementedError('todo')", source),
            PlanCell("check-1", "test", "assert add(2, 3) == expected, 'add(2, 3) should be 5'"),
            PlanCell(
                "hidden-1",
                "test",
                f"note = {SECRET!r}\nassert [add(a, 1) for a in range(4)] == [1, 2, 3, 4], 'other numbers'\nassert add(20, 22) == 42",
            ),
            PlanCell(
                "ex-2",
                "solution",
                "def double(x):\n    raise NotImplementedError('todo')",
                "def double(x):\n    return 2 * x",
            ),
            PlanCell(
                "check-2",
                "test",
                "import colorsys\nassert double(4) == 8, 'double(4) should be 8'\nassert math.isclose(double(0.5), 1)",
            ),
        )
    )
