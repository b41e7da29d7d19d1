"""A closed loop: many connections that each send the next request when the last answer is in.

It is plain asyncio and reaches a few thousand requests a second. The generator has a process to itself: sharing one
with a notebook would measure the notebook. (Locust, the field's tool, is in `locust_runner`.)
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from course_lib.errors import LoadTestError
from course_lib.features import EXAMPLE
from course_lib.loadtest.results import Load
from course_lib.loadtest.traffic import Traffic

__all__ = ["closed_loop", "steps"]

_WARM_UP = 0.2  # share of the time that is not counted


def closed_loop(
    url: str,
    *,
    connections: int = 16,
    seconds: float = 2.0,
    path: str = "/predict",
    bodies: Iterable[Mapping[str, Any]] = (),
) -> Load:
    """Load a service from a process of its own.

    Parameters
    ----------
    url
        Base URL on this machine, such as ``http://127.0.0.1:8000``.
    connections
        Connections at the same time.
    seconds
        How long; the first fifth warms up and is not counted.
    path
        Where to POST.
    bodies
        JSON bodies to send in turn; by default one typical flight.

    Raises
    ------
    LoadTestError
        Nothing listens there.
    """
    return steps(url, [connections], seconds=seconds, path=path, bodies=bodies)[0]


def steps(
    url: str,
    connections: Sequence[int],
    *,
    seconds: float = 2.0,
    path: str = "/predict",
    pace: float = 0.0,
    bodies: Iterable[Mapping[str, Any]] = (),
) -> list[Load]:
    """Run :func:`closed_loop` at several numbers of connections, one after the other, in one process.

    With a ``pace`` above 0 each connection sends at most that many requests a second.
    """
    plan = {"url": url + path, "connections": list(connections), "seconds": seconds, "pace": pace}
    plan["bodies"] = list(bodies) or [EXAMPLE]
    command = [sys.executable, "-m", "course_lib.loadtest.generator"]
    done = subprocess.run(command, input=json.dumps(plan), capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadTestError(
            f"The load test of {url} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}",
            expected="a service that listens there",
            next_step="start it, and wait until /ready answers 200",
        )
    found = json.loads(done.stdout)
    return [Load(**one | {"statuses": {int(k): v for k, v in one["statuses"].items()}}) for one in found]


async def _load(
    connections: int, *, url: str, seconds: float, pace: float, bodies: Sequence[Mapping[str, Any]]
) -> Load:
    """Load for ``seconds``, or until the server has sent every connection away."""
    traffic = Traffic(url, bodies, connections=connections, pause=0.0, pace=pace, reconnect=False)
    elapsed = await traffic.run(seconds)
    begin = _WARM_UP * seconds if elapsed > _WARM_UP * seconds else 0.0
    samples = [sample for sample in traffic.report().samples if sample.at >= begin]
    answered = [sample for sample in samples if sample.outcome.isdigit()]
    if not answered and any(sample.outcome == "refused" for sample in samples):
        raise SystemExit("Connection refused")
    return Load(
        connections=connections,
        seconds=elapsed - begin,
        statuses=dict(Counter(int(sample.outcome) for sample in answered)),
        lost=len(samples) - len(answered),
        latencies_ms=tuple(1000 * sample.seconds for sample in answered),
    )


def _main() -> None:
    plan = json.load(sys.stdin)
    gc.disable()  # a pause of the generator would count as the server's
    found = [asyncio.run(_load(count, **plan)) for count in plan.pop("connections")]
    json.dump([asdict(one) for one in found], sys.stdout)


if __name__ == "__main__":
    _main()
