"""Load tests of a language model: Locust's users stream one answer after the other, more of them step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from course_lib.llm.servers.timing import Latencies, Timing, summarise
from course_lib.loadtest import locust_runner

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
    LoadTestError
        Locust failed.
    LLMError
        A step got no answer.
    """
    body = {"model": model, "max_tokens": max_tokens, "temperature": 0.0, "stream": True, "ignore_eos": True}
    bodies = [body | {"messages": [{"role": "user", "content": prompt}]} for prompt in prompts]
    plan = {"path": "/chat/completions", "bodies": bodies}
    seen = locust_runner.run("Reader", url, users, step_s=step_s, plan=plan, patience_s=_PATIENCE_S)
    return [
        Step(count, summarise([Timing(sent, tuple(sent + time for time in times)) for sent, times in asked]))
        for count, asked in zip(users, seen, strict=True)
    ]
