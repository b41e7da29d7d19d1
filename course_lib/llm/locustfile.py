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
_PATIENCE_S = 60.0  # after which a step ends although not every user has asked
_SEEN: list[tuple[int, float, list[float]]] = []  # step, and seconds: when it was sent, and when its tokens came
_STEP = [0, 0.0]  # the step, and when its first request was sent (0: none was)
_hooks: Any = events  # Locust's have no annotations


class Reader(HttpUser):
    """Asks, reads the answer to its end, and asks again."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        """Stream one answer, and report the time to its first token to Locust as a request of its own."""
        sent = time.perf_counter()
        _STEP[1] = _STEP[1] or sent
        times: list[float] = []
        message = {"role": "user", "content": _PROMPTS[len(_SEEN) % len(_PROMPTS)]}
        _SEEN.append((int(_STEP[0]), sent, times))
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
                    times += [time.perf_counter() for choice in event["choices"] if choice["delta"].get("content")]
            except (LLMError, OSError):
                times.clear()  # an answer that broke off is a failed one
                return
        if times:
            _hooks.request.fire(
                request_type="LLM", name="first token", response_time=1000 * (times[0] - sent), response_length=0,
                exception=None, context={},
            )  # fmt: skip


class Stairs(LoadTestShape):
    """More users, step by step. A step lasts its time, and until as many requests were sent as there are users."""

    def tick(self) -> tuple[int, float] | None:
        """Return the number of users for now, and how quickly they appear."""
        step = int(_STEP[0])
        elapsed = time.perf_counter() - _STEP[1] if _STEP[1] else 0.0
        sent = sum(one[0] == step for one in _SEEN)
        if elapsed >= _STEP_S and (sent >= _STEPS[step] or elapsed >= _PATIENCE_S):
            step += 1
            _STEP[:] = [step, 0.0]
        return (_STEPS[step], 100.0) if step < len(_STEPS) else None


def _write(**_: Any) -> None:
    Path(os.environ["LLM_OUT"]).write_text(json.dumps(_SEEN))


_hooks.quitting.add_listener(_write)
