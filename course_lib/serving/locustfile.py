"""Users for Locust: each asks for one flight after the other, at a fixed pace. Run by :func:`loadtest.curve` only."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from locust import FastHttpUser, LoadTestShape, constant_throughput, events, task

_STEPS = [int(users) for users in os.environ["DESK_STEPS"].split(",")]
_STEP_S = float(os.environ["DESK_STEP_S"])
_BODIES = json.loads(Path(os.environ["DESK_BODIES"]).read_text())
_SEEN: list[tuple[float, float, int]] = []  # seconds since the start, milliseconds it took, status (0: no answer)
_STARTED = [0.0]
_WAITING: dict[int, float] = {}  # user: when it asked


class Traveller(FastHttpUser):
    """Asks at a fixed pace, whatever the last answer took, as long as it came in time."""

    wait_time = constant_throughput(float(os.environ["DESK_PACE"]))

    @task
    def ask(self) -> None:
        """Ask for the next flight."""
        _WAITING[id(self)] = time.perf_counter()
        self.client.post("/predict", json=_BODIES[len(_SEEN) % len(_BODIES)])
        del _WAITING[id(self)]


class Stairs(LoadTestShape):
    """More users, step by step."""

    def tick(self) -> tuple[int, float] | None:
        """Return the number of users for now, and how quickly they appear."""
        if not _STARTED[0]:
            _STARTED[0] = time.perf_counter()
        step = int((time.perf_counter() - _STARTED[0]) / _STEP_S)
        return (_STEPS[step], 100.0) if step < len(_STEPS) else None


def _note(response_time: float, response: Any, **_: Any) -> None:
    # Not `if response`: an answer that never came has no length, and asking for it fails.
    _SEEN.append((time.perf_counter() - _STARTED[0], response_time, getattr(response, "status_code", 0)))


def _write(**_: Any) -> None:
    # Who still waits when the test is over was not answered. Leaving them out would count only the quick ones.
    now = time.perf_counter()
    _SEEN.extend((now - _STARTED[0], (now - asked) * 1000, 0) for asked in _WAITING.values())
    Path(os.environ["DESK_OUT"]).write_text(json.dumps(_SEEN))


_hooks: Any = events  # Locust's have no annotations
_hooks.request.add_listener(_note)
_hooks.quitting.add_listener(_write)
