"""Traffic for a rollout: clients that ask again as soon as they are answered, and count what they don't get."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from course_lib.errors import RolloutError

__all__ = ["Sample", "Traffic", "TrafficReport"]

_VERSION = re.compile(rb'"model_version"\s*:\s*"?([\w.-]+)')


@dataclass(frozen=True)
class Sample:
    """One request.

    Attributes
    ----------
    at
        Seconds since the traffic began, when the answer was complete.
    seconds
        How long the client waited.
    outcome
        The status, or what went wrong: ``refused``, ``closed``, ``timed out``.
    version
        The model version that answered, empty if the answer names none.
    """

    at: float
    seconds: float
    outcome: str
    version: str

    @property
    def failed(self) -> bool:
        """Whether the client did not get what it asked for: no answer, or a status other than 2xx."""
        return not self.outcome.startswith("2")


@dataclass(frozen=True)
class TrafficReport:
    """What the clients saw."""

    samples: tuple[Sample, ...]

    @property
    def sent(self) -> int:
        """Requests sent."""
        return len(self.samples)

    @property
    def failed(self) -> int:
        """Requests that failed."""
        return sum(sample.failed for sample in self.samples)

    @property
    def reasons(self) -> dict[str, int]:
        """Failures by reason."""
        return dict(Counter(sample.outcome for sample in self.samples if sample.failed))

    @property
    def versions(self) -> dict[str, int]:
        """Answers by model version, in the order of their first answer."""
        return dict(Counter(sample.version for sample in self.samples if not sample.failed))

    def percentile(self, percent: float) -> float:
        """Return a percentile of the time that answered requests took, in milliseconds."""
        import numpy as np

        waits = [sample.seconds for sample in self.samples if not sample.failed]
        return float(np.percentile(waits, percent) * 1000) if waits else float("nan")


class Traffic:
    """Clients on keep-alive connections, each with one request on its way (a closed loop), in a thread of their own.

    Parameters
    ----------
    url
        Where to send requests, path included.
    bodies
        JSON bodies for POST requests, used in turn.
    connections
        Number of clients.
    pause
        Seconds a client rests between an answer and its next request.
    timeout
        Seconds after which a client gives a request up and counts it as failed.

    Examples
    --------
    >>> with Traffic(proxy.url + "/predict", [flight], connections=4) as traffic:  # doctest: +SKIP
    ...     desk.deploy(bundle)
    >>> traffic.report().failed  # doctest: +SKIP
    0
    """

    def __init__(
        self,
        url: str,
        bodies: Sequence[Mapping[str, Any]],
        *,
        connections: int = 4,
        pause: float = 0.01,
        timeout: float = 10.0,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or not parts.port:
            raise RolloutError(f"Traffic cannot be sent to {url!r}.", expected="http://127.0.0.1:PORT/path")
        self._host, self._port, self._timeout = parts.hostname, parts.port, timeout
        self._requests = [_request(parts.path or "/", parts.netloc, body) for body in bodies]
        self._connections, self._pause = connections, pause
        self._samples: list[Sample] = []
        self._over = threading.Event()
        self._began = 0.0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="traffic", daemon=True)

    def report(self) -> TrafficReport:
        """Return what was seen so far."""
        return TrafficReport(tuple(self._samples))

    def wait_for(self, requests: int, *, timeout: float = 30.0) -> None:
        """Wait until ``requests`` more requests have ended.

        Raises
        ------
        RolloutError
            They have not after ``timeout`` seconds.
        """
        goal, deadline = len(self._samples) + requests, time.monotonic() + timeout
        while len(self._samples) < goal:
            if time.monotonic() > deadline:
                raise RolloutError(f"{goal - len(self._samples)} requests were not answered within {timeout:.0f} s.")
            time.sleep(0.005)

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    async def _run(self) -> None:
        await asyncio.gather(*(self._client(number) for number in range(self._connections)))

    async def _client(self, number: int) -> None:
        """Send requests until the traffic is over; the last one is waited for."""
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        turn = number
        while not self._over.is_set():
            started = time.perf_counter()
            outcome, version = "closed", ""
            try:
                async with asyncio.timeout(self._timeout):
                    connection = connection or await asyncio.open_connection(self._host, self._port)
                    connection[1].write(self._requests[turn % len(self._requests)])
                    outcome, version, keep = await _answer(connection[0])
            except TimeoutError:
                outcome, keep = "timed out", False
            except ConnectionRefusedError:
                outcome, keep = "refused", False
            except (OSError, asyncio.IncompleteReadError, ValueError):
                outcome, keep = "closed", False
            now = time.perf_counter()
            self._samples.append(Sample(now - self._began, now - started, outcome, version))
            if not keep and connection is not None:
                connection[1].close()
                connection = None
            turn += 1
            # A client whose request failed waits a little: nobody hammers a closed door
            await asyncio.sleep(self._pause if outcome.startswith("2") else max(self._pause, 0.01))
        if connection is not None:
            connection[1].close()
            with contextlib.suppress(OSError):
                await connection[1].wait_closed()


def _request(path: str, host: str, body: Mapping[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


async def _answer(reader: asyncio.StreamReader) -> tuple[str, str, bool]:
    """Return status, model version, and whether the connection stays open."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = re.search(rb"\r\ncontent-length:\s*(\d+)", head)
    body = await (reader.readexactly(int(length[1])) if length else reader.read())
    version = _VERSION.search(body)
    keep = length is not None and b"\r\nconnection: close" not in head
    return head.split(b" ", 2)[1].decode(), version[1].decode() if version else "", keep
