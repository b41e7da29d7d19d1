"""Load tests: many connections that each send the next request when the last answer is in (a closed loop).

Two generators. The light one below is plain asyncio and reaches a few thousand requests a second. Locust, the field's
tool, describes users in Python; it runs as a process of its own, because it patches sockets and TLS when imported.
Either way the generator has a process to itself: sharing one with a notebook would measure the notebook.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from course_lib.serving.errors import ServingError

__all__ = ["Load", "closed_loop", "percentile", "steps"]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` of the values do not exceed (nearest rank).

    Examples
    --------
    >>> percentile([4, 1, 3, 2], 0.5), percentile([4, 1, 3, 2], 0.99)
    (2, 4)

    Raises
    ------
    ValueError
        ``share`` is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share:g}, not 0 to 1: the 95th percentile is percentile(values, 0.95)")
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    rank = -(-len(ordered) * round(share * 10_000) // 10_000)  # ceil, without the rounding errors of a float product
    return ordered[max(rank, 1) - 1]


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one load test measured.

    Attributes
    ----------
    connections
        Connections that sent requests at the same time.
    seconds
        How long it ran.
    statuses
        Number of answers by HTTP status.
    lost
        Requests that were sent and got no answer.
    latencies_ms
        Milliseconds from sending a request to the last byte of its answer, for every answer.
    """

    connections: int
    seconds: float
    statuses: dict[int, int]
    lost: int
    latencies_ms: tuple[float, ...] = field(repr=False)

    @property
    def requests(self) -> int:
        """Requests sent."""
        return sum(self.statuses.values()) + self.lost

    @property
    def failed(self) -> int:
        """Requests without answer, or with one that blames the server."""
        return self.lost + sum(count for status, count in self.statuses.items() if status >= 500)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies_ms) / self.seconds

    def ms(self, share: float) -> float:
        """Return a percentile of the latencies in milliseconds, such as ``ms(0.99)``."""
        return percentile(self.latencies_ms, share)


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
    ServingError
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
    command = [sys.executable, "-m", "course_lib.serving.loadtest", url, "--path", path, "--seconds", str(seconds)]
    command += ["--connections", ",".join(map(str, connections)), "--pace", str(pace)]
    done = subprocess.run(command, input=json.dumps(list(bodies)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServingError(
            f"The load test of {url} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}",
            expected="a service that listens there",
            next_step="start it, and wait until /ready answers 200",
        )
    found = json.loads(done.stdout)
    return [Load(**one | {"statuses": {int(k): v for k, v in one["statuses"].items()}}) for one in found]


class _Caller(asyncio.Protocol):
    """One connection: sends the next request as soon as the answer to the last one is complete."""

    def __init__(self, test: _Test) -> None:
        self._test = test
        self._buffer = b""
        self._sent = 0.0
        self._transport: Any = None
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._test.open.add(self)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        start = head.find(b"content-length:") + 15
        size = int(head[start : head.find(b"\r", start) if b"\r" in head[start:] else None])
        if len(self._buffer) < end + 4 + size:
            return
        self._waiting = False
        self._buffer = b""
        self._test.answered(int(head[9:12]), self._sent)
        if b"connection: close" in head or not self._test.running:
            self._transport.close()  # the server is leaving, or the test is over
        elif self._test.pause_s:
            due = self._test.pause_s - (time.perf_counter() - self._sent)
            asyncio.get_running_loop().call_later(max(due, 0), self._next)
        else:
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the signature is asyncio's
        if self._waiting and self._test.running:
            self._test.lost += 1
        self._test.left(self)

    def _next(self) -> None:
        if not self._test.running:
            self._transport.close()
            return
        self._waiting = True
        self._sent = time.perf_counter()
        self._transport.write(self._test.request())


class _Test:
    """One closed loop with a fixed number of connections."""

    def __init__(self, url: str, path: str, bodies: Sequence[bytes], pace: float) -> None:
        where = urlsplit(url)
        self.host, self.port = where.hostname or "127.0.0.1", where.port or 80
        head = f"POST {path} HTTP/1.1\r\nhost: {where.netloc}\r\ncontent-type: application/json\r\ncontent-length: "
        self._requests = [head.encode() + str(len(body)).encode() + b"\r\n\r\n" + body for body in bodies]
        self._turn = 0
        self.pause_s = 1 / pace if pace else 0.0
        self.open: set[_Caller] = set()
        self.gone = asyncio.Event()
        self.running = True
        self.reset()

    def reset(self) -> None:
        """Forget what was measured so far: it was the warm-up."""
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.lost = 0

    def request(self) -> bytes:
        self._turn = (self._turn + 1) % len(self._requests)
        return self._requests[self._turn]

    def answered(self, status: int, sent: float) -> None:
        self.statuses[status] += 1
        self.latencies.append(1000 * (time.perf_counter() - sent))

    def left(self, caller: _Caller) -> None:
        self.open.discard(caller)
        if not self.open:
            self.gone.set()

    async def run(self, connections: int, seconds: float) -> Load:
        """Load for ``seconds``, or until the server has sent every connection away."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            await loop.create_connection(lambda: _Caller(self), self.host, self.port)
        await self._wait(seconds / 5)
        if not self.gone.is_set():
            self.reset()
        started = time.perf_counter()
        await self._wait(seconds * 4 / 5)
        elapsed = time.perf_counter() - started
        self.running = False
        await self._wait(10)
        found = {"statuses": dict(self.statuses), "lost": self.lost, "latencies_ms": tuple(self.latencies)}
        return Load(connections=connections, seconds=elapsed, **found)  # type: ignore[arg-type]

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.gone.wait(), seconds)
        except TimeoutError:
            return


async def _steps(options: argparse.Namespace, bodies: Sequence[bytes]) -> list[Load]:
    counts = [int(count) for count in options.connections.split(",")]
    tests = [(_Test(options.url, options.path, bodies, options.pace), count) for count in counts]
    return [await test.run(count, options.seconds) for test, count in tests]


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m course_lib.serving.loadtest")
    parser.add_argument("url")
    parser.add_argument("--connections", default="16")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--path", default="/predict")
    parser.add_argument("--pace", type=float, default=0.0)
    options = parser.parse_args()
    bodies = [json.dumps(body).encode() for body in json.load(sys.stdin)] or [_typical()]
    gc.disable()  # a pause of the generator would count as the server's
    try:
        found = asyncio.run(_steps(options, bodies))
    except OSError as error:
        raise SystemExit(f"{error}") from error
    json.dump([asdict(one) for one in found], sys.stdout)


def _typical() -> bytes:
    from course_lib.serving.api.schemas import EXAMPLE

    return json.dumps(EXAMPLE).encode()


if __name__ == "__main__":
    _main()
