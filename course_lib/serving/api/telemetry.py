"""What the service says about itself: one JSON log line a request, and Prometheus metrics.

The middleware is plain ASGI: Starlette's ``BaseHTTPMiddleware`` would cost a task and two queues a request. It is also
the last line of defence: an unforeseen error becomes a 500 that says nothing but the id to look for in the log.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from course_lib.serving.api.responses import problem

__all__ = ["LOGGER", "JsonLines", "Metrics", "Telemetry", "log_to"]

LOGGER = logging.getLogger("course_lib.serving")
ROUTES = frozenset({"/predict", "/predict/batch", "/predict/stream", "/health", "/ready", "/metrics", "/model"})

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # 0.1 s is the budget
_PROBABILITY_BUCKETS = tuple(step / 20 for step in range(1, 21))
_SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Metrics:
    """The metrics of one service: rate, errors and duration of requests, and what the model answers.

    Each service has a registry of its own, so that two in one process do not mix.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("desk_requests_total", "Requests answered.", ("route", "status"), **own)
        self.seconds = Histogram(
            "desk_request_seconds", "Time from request to answer.", ("route",), buckets=_LATENCY_BUCKETS, **own
        )
        self.in_flight = Gauge("desk_requests_in_flight", "Requests being answered now.", **own)
        self.predictions = Histogram("desk_prediction", "Probabilities given out.", buckets=_PROBABILITY_BUCKETS, **own)
        self.batches = Histogram("desk_batch_rows", "Flights per call of the model.", buckets=_SIZE_BUCKETS, **own)
        self.refused = Counter("desk_fields_refused_total", "Fields refused with 422.", ("field",), **own)
        self.ready = Gauge("desk_ready", "1 when the model is loaded and the service takes traffic.", **own)
        self.model = Info("desk_model", "The model in service.", **own)
        self._children: dict[tuple[str, int], tuple[Any, Any]] = {}

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        children = self._children.get((route, status))
        if children is None:  # looking a child up by its labels takes longer than counting
            children = (self.requests.labels(route, str(status)), self.seconds.labels(route))
            self._children[route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def predicted(self, probabilities: Iterable[float]) -> None:
        """Record probabilities that were given out."""
        for probability in probabilities:
            self.predictions.observe(probability)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class Telemetry:
    """ASGI middleware: request id, log line, metrics, and the 500 that leaks nothing.

    Parameters
    ----------
    app
        The application inside.
    metrics
        Where to count.
    closing
        Returns whether answers should ask the caller to close the connection.
    """

    def __init__(self, app: App, *, metrics: Metrics, closing: Callable[[], bool]) -> None:
        self._app = app
        self._metrics = metrics
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; what is not HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope["headers"])
        scope["request_id"] = request_id
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
                if self._closing():
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, answer)
        except Exception:
            LOGGER.exception("unforeseen error", extra={"request_id": request_id, "path": scope["path"]})
            if status:
                raise  # part of the answer is out: only cutting the connection tells the caller
            await problem(500, "The service failed; the cause is in its log.", request_id)(scope, receive, answer)
        finally:
            self._metrics.in_flight.dec()
            self._done(scope, request_id, status, time.perf_counter() - started)

    def _done(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        path = scope["path"]
        self._metrics.answered(path if path in ROUTES else "other", status, seconds)
        if LOGGER.isEnabledFor(logging.INFO):
            # Not LOGGER.info: looking up the calling line for every request would take longer than the rest of this.
            record = logging.LogRecord(LOGGER.name, logging.INFO, __file__, 0, "request", (), None)
            record.__dict__.update(request_id=request_id, method=scope["method"], path=path, status=status)
            record.__dict__.update(scope.get("log", ()), ms=round(1000 * seconds, 3))
            LOGGER.handle(record)


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the caller's id if it is harmless, else a new one."""
    given = next((value for name, value in headers if name == b"x-request-id"), b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else os.urandom(8).hex()


_FIELDS = ("request_id", "method", "path", "status", "ms", "rows", "model_version", "refused", "reason")


class JsonLines(logging.Formatter):
    """Formats a log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record with its time (UTC, ISO 8601), level, event and fields."""
        moment = f"{_second(int(record.created))}.{int(record.msecs):03d}Z"
        line: dict[str, Any] = {"time": moment, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= {name: record.__dict__[name] for name in _FIELDS if name in record.__dict__}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return _DUMPS(line)


_DUMPS = json.JSONEncoder(separators=(",", ":"), default=str).encode  # json.dumps would build an encoder per line


@lru_cache(maxsize=2)
def _second(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))


class _PerTurn(logging.StreamHandler):
    """Writes all lines of one turn of the event loop with one system call."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line until the turn ends; outside an event loop write it at once."""
        self._lines.append(self.format(record))
        if len(self._lines) > 1:
            return
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:
            self.flush()

    def flush(self) -> None:
        """Write what was kept."""
        with self.lock or nullcontext():
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("\n".join(lines) + "\n")
            super().flush()


def log_to(stream: Any = None, *, level: str = "INFO") -> None:
    """Write the service's log as JSON lines to ``stream`` (by default standard output)."""
    handler = _PerTurn(stream or sys.stdout)
    handler.setFormatter(JsonLines())
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(level)
    LOGGER.propagate = False
