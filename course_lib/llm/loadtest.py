"""Load tests with Locust: users that stream one answer after the other, more of them step by step.

Locust patches sockets and TLS when it is imported, so it runs as a process of its own (`locustfile.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from course_lib.llm.errors import LLMError
from course_lib.llm.servers.timing import Latencies, Timing, summarise

__all__ = ["Step", "curve"]

_PATIENCE_S = 60  # seconds that users may still wait for the end of an answer after the last step


@dataclass(frozen=True)
class Step:
    """What one number of users measured.

    Attributes
    ----------
    users
        Users at the same time, each with one answer in the making.
    latencies
        Of the requests that were sent while there were that many users.
    """

    users: int
    latencies: Latencies


def curve(
    url: str,
    model: str,
    users: Sequence[int],
    *,
    prompts: Sequence[str],
    max_tokens: int = 24,
    step_s: float = 6.0,
) -> list[Step]:
    """Measure throughput and latency against the number of users.

    Parameters
    ----------
    url
        Base URL of the server, ending in ``/v1``.
    model
        Name of the model there.
    users
        Numbers of users, one step each, ascending.
    prompts
        Asked in turn.
    max_tokens
        Length of each answer; the model is told not to stop earlier.
    step_s
        Seconds per step, and longer until as many requests were sent as there are users. Answers that take longer are
        waited for, and counted for the step they were asked in.

    Raises
    ------
    LLMError
        Locust failed, or a step got no answer.
    """
    settings = {
        "LLM_MODEL": model,
        "LLM_STEPS": ",".join(map(str, users)),
        "LLM_STEP_S": str(step_s),
        "LLM_TOKENS": str(max_tokens),
    }
    seen = _locust(url, settings, list(prompts))
    steps = []
    for number, count in enumerate(users):
        asked = [Timing(sent, tuple(times)) for step, sent, times in seen if step == number]
        steps.append(Step(count, summarise(asked)))
    return steps


def _locust(url: str, settings: dict[str, str], prompts: list[str]) -> list[tuple[int, float, list[float]]]:
    """Run Locust, and return for every request its step, when it was sent, and when its tokens came."""
    with tempfile.TemporaryDirectory(prefix="locust-") as scratch:
        folder = Path(scratch)
        (folder / "prompts.json").write_text(json.dumps(prompts))
        settings |= {"LLM_PROMPTS": str(folder / "prompts.json"), "LLM_OUT": str(folder / "seen.json")}
        command = [sys.executable, "-m", "locust", "--headless", "--only-summary", "--host", url]
        command += ["--stop-timeout", str(_PATIENCE_S), "--locustfile"]
        command += [str(Path(__file__).with_name("locustfile.py"))]
        done = subprocess.run(
            command, env=os.environ | settings, capture_output=True, text=True, check=False, cwd=scratch, timeout=600
        )
        out = folder / "seen.json"
        if not out.exists():
            raise LLMError(
                f"Locust failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}",
                expected="a load test from start to end",
                next_step="check that the server runs, and that Locust is installed",
            )
        seen: list[tuple[int, float, list[float]]] = json.loads(out.read_text())
        return seen
