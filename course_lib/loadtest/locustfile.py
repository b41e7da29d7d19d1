"""Locust's users and their steps. Run by :func:`locust_runner.run` only: Locust patches sockets when it is imported."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from locust import FastHttpUser, HttpUser, LoadTestShape, constant, constant_throughput, events, task

from course_lib import sse

_PLAN = json.loads(Path(os.environ["LOADTEST_PLAN"]).read_text())
_BODIES = _PLAN["bodies"]
_PATIENCE_S = 60.0  # after which a step ends although not every user has asked
_SEEN: list[tuple[int, float, list[float]]] = []  # step; seconds on one clock when it was sent; what the user noted
_STEP = [0, 0.0]  # the step, and when it began (0: the test has not begun)
_hooks: Any = events  # Locust's have no annotations


class Stairs(LoadTestShape):
    """More users, step by step. A step lasts its time, and until as many requests were sent as there are users."""

    def tick(self) -> tuple[int, float] | None:
        """Return the number of users for now, and how quickly they appear."""
        now = time.perf_counter()
        step = int(_STEP[0])
        elapsed = now - _STEP[1] if _STEP[1] else 0.0
        sent = sum(one[0] == step for one in _SEEN)
        if elapsed >= _PLAN["step_s"] and (sent >= _PLAN["users"][step] or elapsed >= _PATIENCE_S):
            step += 1
        if step != _STEP[0] or not _STEP[1]:
            _STEP[:] = [step, now]
        return (_PLAN["users"][step], 100.0) if step < len(_PLAN["users"]) else None


def _asked() -> tuple[dict[str, Any], float, list[float]]:
    """Note a request; return its body, when it was sent, and the list for what comes back (empty: nothing did)."""
    body, sent, noted = _BODIES[len(_SEEN) % len(_BODIES)], time.perf_counter(), list[float]()
    _SEEN.append((int(_STEP[0]), sent - _STEP[1], noted))
    return body, sent, noted


class Caller(FastHttpUser):
    """Asks at a fixed pace, whatever the last answer took, as long as it came in time."""

    wait_time = constant_throughput(_PLAN.get("pace", 1.0))

    @task
    def ask(self) -> None:
        """Ask once, and note the status and the milliseconds."""
        body, sent, noted = _asked()
        status = getattr(self.client.post(_PLAN["path"], json=body), "status_code", 0)
        if status:
            noted += [status, 1000 * (time.perf_counter() - sent)]


class Reader(HttpUser):
    """Asks, reads the streamed answer to its end token by token, and asks again."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        """Stream one answer, note the seconds to each token, and report the first to Locust as a request of its own."""
        body, sent, noted = _asked()
        # llama.cpp's server closes kept connections at times, just when the next request is sent.
        options: dict[str, Any] = {
            "headers": {"connection": "close"},
            "stream": True,
            "name": "headers",
            "timeout": 120,
        }
        with closing(self.client.post(_PLAN["path"], json=body, **options)) as reply:
            if reply.status_code != 200:
                return
            try:
                for event in sse.payloads(reply.iter_content(None)):
                    now = time.perf_counter() - sent
                    noted += [now for choice in event["choices"] if choice["delta"].get("content")]
            except (sse.StreamError, OSError):
                noted.clear()  # an answer that broke off is a failed one
                return
        if noted:
            _hooks.request.fire(
                request_type="LLM", name="first token", response_time=1000 * noted[0], response_length=0,
                exception=None, context={},
            )  # fmt: skip


def _write(**_: Any) -> None:
    Path(_PLAN["out"]).write_text(json.dumps(_SEEN))


_hooks.quitting.add_listener(_write)
