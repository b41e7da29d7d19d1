"""Load tests with Locust: users that ask at a fixed pace, or read streamed answers, more of them step by step.

Locust patches sockets and TLS when it is imported, so it runs as a process of its own (``locustfile``).
"""

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
from typing import Any, Literal

from course_lib.errors import LoadTestError
from course_lib.features import EXAMPLE
from course_lib.loadtest.generator import steps
from course_lib.loadtest.results import Load

__all__ = ["curve", "run"]

_PATIENCE_S = 3  # seconds that users may still wait for an answer after the last step
_WARM_UP = 0.3  # share of each step that is not counted: users arrive, connections are opened

Noted = tuple[float, list[float]]  # a request: seconds after its step began when it was sent, and what was noted


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
    LoadTestError
        The load generator failed.
    """
    if engine == "auto":
        engine = "locust" if find_spec("locust") else "asyncio"
    if engine == "asyncio":
        return steps(url, users, seconds=step_s, pace=pace, bodies=bodies)
    plan = {"path": "/predict", "pace": pace, "bodies": list(bodies) or [EXAMPLE]}
    seen = run("Caller", url, users, step_s=step_s, plan=plan, patience_s=_PATIENCE_S)
    return [_load(asked, count, step_s) for asked, count in zip(seen, users, strict=True)]


def run(
    user: Literal["Caller", "Reader"],
    url: str,
    users: Sequence[int],
    *,
    step_s: float,
    plan: Mapping[str, Any],
    patience_s: float,
) -> list[list[Noted]]:
    """Run Locust with one class of the users in ``locustfile``, and return by step what they noted.

    Parameters
    ----------
    user
        ``Caller`` notes the status and milliseconds of an answer, ``Reader`` the seconds to each of its tokens.
    url
        Base URL.
    users
        Numbers of users, one step each.
    step_s
        Seconds per step, and longer until as many requests were sent as there are users.
    plan
        The ``path`` to POST to, the ``bodies`` to send in turn, and for a ``Caller`` the ``pace``.
    patience_s
        Seconds that users may still wait for the end of an answer after the last step.

    Raises
    ------
    LoadTestError
        Locust failed.
    """
    with tempfile.TemporaryDirectory(prefix="locust-") as scratch:
        out, settings = Path(scratch) / "seen.json", Path(scratch) / "plan.json"
        settings.write_text(json.dumps({**plan, "users": list(users), "step_s": step_s, "out": str(out)}))
        command = [sys.executable, "-m", "locust", "--headless", "--only-summary", "--host", url]
        command += ["--stop-timeout", str(patience_s), "--locustfile", str(Path(__file__).with_name("locustfile.py"))]
        environment = os.environ | {"LOADTEST_PLAN": str(settings)}
        done = subprocess.run(
            [*command, user], env=environment, capture_output=True, text=True, check=False, cwd=scratch, timeout=600
        )
        if not out.exists():
            raise LoadTestError(
                f"Locust failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}",
                expected="a load test from start to end",
                next_step="check that the service runs, and that Locust is installed",
            )
        seen = json.loads(out.read_text())
    return [[(sent, noted) for step, sent, noted in seen if step == number] for number in range(len(users))]


def _load(asked: Sequence[Noted], users: int, step_s: float) -> Load:
    inside = [noted for sent, noted in asked if _WARM_UP * step_s <= sent < step_s]
    answered = [noted for noted in inside if noted]
    return Load(
        connections=users,
        seconds=(1 - _WARM_UP) * step_s,
        statuses=dict(Counter(int(status) for status, _ in answered)),
        lost=len(inside) - len(answered),
        latencies_ms=tuple(ms for _, ms in answered),
    )
