"""Traffic: clients on keep-alive connections that ask again as soon as they are answered, and count what they lose."""

from __future__ import annotations

import asyncio
import itertools
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

from course_lib.errors import LoadTestError
from course_lib.loadtest.results import percentile

__all__ = ["Sample", "Traffic", "TrafficReport"]

_VERSION = re.compile(rb'"model_version"\s*:\s*"?([\w.-]+)')
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)")


@dataclass(frozen=True, slots=True)
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
        return percentile([1000 * sample.seconds for sample in self.samples if not sample.failed], percent / 100)


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
    pace
        Requests a second that a client sends at most; 0 for no limit.
    timeout
        Seconds after which a client gives a request up and counts it as failed.
    reconnect
        Whether a client goes on when its connection was closed. If not, the traffic ends when the server has sent
        everybody away.

    Raises
    ------
    LoadTestError
        The URL has no host and port.

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
        pace: float = 0.0,
        timeout: float = 10.0,
        reconnect: bool = True,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or not parts.port:
            raise LoadTestError(f"Traffic cannot be sent to {url!r}.", expected="http://127.0.0.1:PORT/path")
        self._host, self._port, self._timeout = parts.hostname, parts.port, timeout
        self._requests = itertools.cycle([_request(parts.path or "/", parts.netloc, body) for body in bodies])
        self._connections, self._pause, self._reconnect = connections, pause, reconnect
        self._interval = 1 / pace if pace else 0.0
        self._samples: list[Sample] = []
        self._over = threading.Event()
        self._began = 0.0
        self._thread = threading.Thread(target=lambda: asyncio.run(self.run()), name="traffic", daemon=True)

    def report(self) -> TrafficReport:
        """Return what was seen so far."""
        return TrafficReport(tuple(self._samples))

    def wait_for(self, requests: int, *, timeout: float = 30.0) -> None:
        """Wait until ``requests`` more requests have ended.

        Raises
        ------
        LoadTestError
            They have not after ``timeout`` seconds.
        """
        goal, deadline = len(self._samples) + requests, time.monotonic() + timeout
        while len(self._samples) < goal:
            if time.monotonic() > deadline:
                raise LoadTestError(f"{goal - len(self._samples)} requests were not answered within {timeout:.0f} s.")
            time.sleep(0.005)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    async def run(self, seconds: float | None = None) -> float:
        """Send requests in this thread, for ``seconds`` or until the traffic is over; return how long that was."""
        self._began = time.perf_counter()
        ending = asyncio.get_running_loop().call_later(seconds, self._over.set) if seconds is not None else None
        await asyncio.gather(*(self._client() for _ in range(self._connections)))
        if ending:
            ending.cancel()
        elapsed = time.perf_counter() - self._began
        return elapsed if seconds is None else min(elapsed, seconds)

    async def _client(self) -> None:
        """Send requests until the traffic is over; the last one is waited for."""
        connection: _Connection | None = None
        while not self._over.is_set():
            started = time.perf_counter()
            version, keep = "", False
            try:
                async with asyncio.timeout(self._timeout):
                    connection = connection or await self._connect()
                    outcome, version, keep = await connection.ask(next(self._requests))
            except TimeoutError:
                outcome = "timed out"
            except ConnectionRefusedError:
                outcome = "refused"
            except (OSError, ValueError):
                outcome = "closed"
            now = time.perf_counter()
            self._samples.append(Sample(now - self._began, now - started, outcome, version))
            if not keep and connection is not None:
                connection.close()
                connection = None
            if not keep and not self._reconnect:
                return
            # A client whose request failed waits a little: nobody hammers a closed door
            rest = max(self._pause, self._interval - (now - started), 0.0 if outcome.startswith("2") else 0.01)
            if rest:
                await asyncio.sleep(rest)
        if connection is not None:
            connection.close()

    async def _connect(self) -> _Connection:
        return (await asyncio.get_running_loop().create_connection(_Connection, self._host, self._port))[1]


class _Connection(asyncio.Protocol):
    """One keep-alive connection, a third of the cost of asyncio's streams."""

    def __init__(self) -> None:
        self._buffer = b""
        self._head = b""
        self._size: int | None = None
        self._transport: Any = None
        self._answer: asyncio.Future[tuple[str, str, bool]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[tuple[str, str, bool]]:
        """Send a request; return the future of its status, the model's version, and whether the connection stays."""
        self._buffer, self._head, self._size = b"", b"", None
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            self._answer.set_exception(ConnectionResetError("the connection was closed between two requests"))
        else:
            self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._head:
            end = self._buffer.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            self._head, self._buffer = self._buffer[:end].lower(), self._buffer[end:]
            length = _LENGTH.search(self._head)
            self._size = int(length[1]) if length else None
        if self._size is not None and len(self._buffer) >= self._size:
            self._finish(keep=b"\r\nconnection: close" not in self._head)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._head and self._size is None and exc is None:  # the end of the body is the end of the connection
            self._finish(keep=False)
        elif self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the connection was closed before an answer"))

    def close(self) -> None:
        self._transport.close()

    def _finish(self, *, keep: bool) -> None:
        version = _VERSION.search(self._buffer)
        if self._answer is not None and not self._answer.done():
            status = self._head.split(b" ", 2)[1].decode()
            self._answer.set_result((status, version[1].decode() if version else "", keep))


def _request(path: str, host: str, body: Mapping[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content
