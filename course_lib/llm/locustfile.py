"""Users for Locust that read a streamed answer token by token. Run by :func:`loadtest.curve` only."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from locust import HttpUser, LoadTestShape, constant, events, task

from course_lib.llm import sse
from course_lib.llm.errors import LLMError

_STEPS = [int(users) for users in os.environ["LLM_STEPS"].split(",")]
_STEP_S = float(os.environ["LLM_STEP_S"])
_PROMPTS = json.loads(Path(os.environ["LLM_PROMPTS"]).read_text())
_BODY = {
    "model": os.environ["LLM_MODEL"],
    "max_tokens": int(os.environ["LLM_TOKENS"]),
    "temperature": 0.0,
    "stream": True,
    "ignore_eos": True,
}
_SEEN: list[tuple[float, list[float]]] = []  # seconds since the start: when it was sent, and when its tokens came
_STARTED = [0.0]
_hooks: Any = events  # Locust's have no annotations


def _now() -> float:
    return time.perf_counter() - _STARTED[0]


class Reader(HttpUser):
    """Asks, reads the answer to its end, and asks again."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        """Stream one answer, and report the time to its first token to Locust as a request of its own."""
        sent = _now()
        times: list[float] = []
        message = {"role": "user", "content": _PROMPTS[len(_SEEN) % len(_PROMPTS)]}
        entry = (sent, times)
        _SEEN.append(entry)
        # llama.cpp's server closes kept connections at times, just when the next request is sent.
        options: dict[str, Any] = {
            "headers": {"connection": "close"},
            "stream": True,
            "name": "headers",
            "timeout": 120,
        }
        with closing(self.client.post("/chat/completions", json=_BODY | {"messages": [message]}, **options)) as reply:
            if reply.status_code != 200:
                return
            try:
                for event in sse.payloads(reply.iter_content(None)):
                    times += [_now() for choice in event["choices"] if choice["delta"].get("content")]
            except (LLMError, OSError):
                times.clear()  # an answer that broke off is a failed one
                return
        if times:
            _hooks.request.fire(
                request_type="LLM", name="first token", response_time=1000 * (times[0] - sent), response_length=0,
                exception=None, context={},
            )  # fmt: skip


class Stairs(LoadTestShape):
    """More users, step by step."""

    def tick(self) -> tuple[int, float] | None:
        """Return the number of users for now, and how quickly they appear."""
        if not _STARTED[0]:
            _STARTED[0] = time.perf_counter()
        step = int(_now() / _STEP_S)
        return (_STEPS[step], 100.0) if step < len(_STEPS) else None


def _write(**_: Any) -> None:
    Path(os.environ["LLM_OUT"]).write_text(json.dumps(_SEEN))


_hooks.quitting.add_listener(_write)
