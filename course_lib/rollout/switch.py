"""Values of a switch: how a version is started, what is known about it, and how it went."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from course_lib import processes
from course_lib.rollout.smoke import SmokeTest

__all__ = ["Candidate", "Launch", "Smoke", "Step", "Switch", "launch", "why_refused"]

Launch = Callable[[Path, int], processes.Server]
Smoke = Callable[[str], SmokeTest]


def launch(bundle: Path, port: int) -> processes.Server:
    """Return the service on ``bundle`` as a process; nothing waits for it yet."""
    command = [sys.executable, "-m", "course_lib.serving", "--bundle", str(bundle), "--port", str(port)]
    env = {"OMP_NUM_THREADS": "1"}
    return processes.Server(f"the service on {bundle.name}", command, port=port, ready_path="/ready", env=env)


@dataclass(frozen=True)
class Step:
    """One action of a switch: seconds since its start, and what was done."""

    at: float
    what: str


@dataclass(frozen=True)
class Switch:
    """How a deployment or rollback went.

    Attributes
    ----------
    switched
        Whether the traffic moved.
    live
        The colour in service now.
    reason
        Why it ended as it did.
    steps
        What was done, in order.
    """

    switched: bool
    live: str | None
    reason: str
    steps: tuple[Step, ...]


@dataclass
class Candidate:
    """What is known about a new server during a switch."""

    colour: str
    server: processes.Server
    began: float
    ready: list[bool] = field(default_factory=list)
    smoke: SmokeTest | None = None
    traffic: str = "old"


def why_refused(new: Candidate) -> str:
    """Return what is wrong with a new server, in words."""
    if not new.server.running:
        return f"its process ended: {new.server.log(lines=1)}"
    if new.smoke is not None and not new.smoke.passed:
        return f"wrong in the smoke test: {new.smoke.problems[0]}"
    if not any(new.ready):
        return "it never became ready"
    return f"ready in {sum(new.ready)} of {len(new.ready)} looks"
