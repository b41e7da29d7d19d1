"""Load tests with Locust: users that ask at a fixed pace, more of them step by step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from course_lib.serving import loadtest
from course_lib.serving.errors import ServingError
from course_lib.serving.loadtest import Load

__all__ = ["curve"]

_PATIENCE_S = 3  # seconds that users may still wait for an answer after the last step
_WARM_UP = 0.3  # share of each step that is not counted: users arrive, connections are opened


def curve(
    url: str,
    users: Sequence[int],
    *,
    pace: float = 5.0,
    step_s: float = 1.5,
    bodies: Iterable[Mapping[str, Any]] = (),
    engine: str = "auto",
) -> list[Load]:
    """Measure latency against load.

    Parameters
    ----------
    url
        Base URL of a service on this machine.
    users
        Numbers of users, one step each.
    pace
        Requests a second that each user wants to send. One that waits for an answer sends fewer.
    step_s
        Seconds per step.
    bodies
        Flights to ask for in turn; by default one typical flight.
    engine
        ``locust``, ``asyncio`` (the light generator with the same users), or ``auto``: Locust where it is installed.

    Returns
    -------
    list of Load
        One per step.

    Raises
    ------
    ServingError
        The load generator failed.
    """
    if engine == "auto":
        engine = "locust" if find_spec("locust") else "asyncio"
    if engine == "asyncio":
        return loadtest.steps(url, users, seconds=step_s, pace=pace, bodies=bodies)
    seen = _locust(url, users, pace, step_s, list(bodies))
    return [_step(seen, number, count, step_s) for number, count in enumerate(users)]


def _locust(
    url: str, users: Sequence[int], pace: float, step_s: float, bodies: list[Mapping[str, Any]]
) -> list[tuple[float, float, int]]:
    """Run Locust as a process and return what every request took."""
    from course_lib.serving.api.schemas import EXAMPLE

    with tempfile.TemporaryDirectory(prefix="locust-") as scratch:
        folder = Path(scratch)
        (folder / "bodies.json").write_text(json.dumps(bodies or [EXAMPLE]))
        settings = {"DESK_STEPS": ",".join(map(str, users)), "DESK_STEP_S": str(step_s), "DESK_PACE": str(pace)}
        settings |= {"DESK_BODIES": str(folder / "bodies.json"), "DESK_OUT": str(folder / "seen.json")}
        command = [sys.executable, "-m", "locust", "--headless", "--only-summary", "--host", url]
        command += ["--stop-timeout", str(_PATIENCE_S), "--locustfile"]
        command += [str(Path(__file__).with_name("locustfile.py"))]
        done = subprocess.run(
            command, env=os.environ | settings, capture_output=True, text=True, check=False, cwd=scratch, timeout=300
        )
        out = folder / "seen.json"
        if not out.exists():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ServingError(
                f"Locust failed: {last}",
                expected="a load test from start to end",
                next_step="check that the service runs; engine='asyncio' does the same without Locust",
            )
        return [(at, ms, status) for at, ms, status in json.loads(out.read_text())]


def _step(seen: Sequence[tuple[float, float, int]], number: int, users: int, step_s: float) -> Load:
    begin, end = (number + _WARM_UP) * step_s, (number + 1) * step_s
    inside = [(ms, status) for at, ms, status in seen if begin <= at - ms / 1000 < end]
    answered = [ms for ms, status in inside if status]
    return Load(
        connections=users,
        seconds=end - begin,
        statuses=dict(Counter(status for _, status in inside if status)),
        lost=len(inside) - len(answered),
        latencies_ms=tuple(answered),
    )
