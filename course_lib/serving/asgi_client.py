"""Ask any ASGI app in this process, without a port: with its lifespan, from a thread of its own, in plain data."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from course_lib.serving.errors import ServingError

__all__ = ["Answer", "Caller", "hosted", "request"]

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """A response as plain data.

    Attributes
    ----------
    status
        HTTP status.
    body
        Decoded JSON, or text where it is none.
    headers
        Header values by lower-case name.
    """

    status: int
    body: Any
    headers: dict[str, str] = field(repr=False, default_factory=dict)


def request(app: Any, method: str, path: str, json: Any = None, **options: Any) -> Answer:
    """Start an app, send one request, stop the app; options as of :meth:`Caller.__call__`.

    Examples
    --------
    >>> request(create_app("bundle"), "POST", "/predict", {"carrier": "UA"}).status  # doctest: +SKIP
    422
    """
    with hosted(app) as call:
        return call(method, path, json, **options)


@contextmanager
def hosted(app: Any, *, timeout_s: float = 20.0) -> Iterator[Caller]:
    """Run an app inside this process, with its lifespan, and yield a function that calls it.

    Parameters
    ----------
    app
        An ASGI application, or the base URL of a running server.
    timeout_s
        Seconds that starting, stopping, or one answer may take.

    Raises
    ------
    ServingError
        The app failed to start, or did not start in time.
    """
    if isinstance(app, str):
        with Caller.of(app, timeout_s=timeout_s) as caller:
            yield caller
        return
    thread = _LoopThread(timeout_s)
    try:
        lifespan = _Lifespan(app)
        thread.run(lifespan.start())
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        try:
            yield Caller(thread, httpx.AsyncClient(transport=transport, base_url="http://desk", timeout=timeout_s))
        finally:
            thread.run(lifespan.stop())
    finally:
        thread.close()


class Caller:
    """Calls a hosted app and returns plain data."""

    _finish: weakref.finalize[..., Any] | None = None

    def __init__(self, thread: _LoopThread, http: httpx.AsyncClient) -> None:
        self._thread = thread
        self._http = http

    @classmethod
    def of(cls, url: str, *, timeout_s: float = 20.0) -> Self:
        """Return a caller of the server at ``url``; it is closed when it is no longer used."""
        thread = _LoopThread(timeout_s)
        http = httpx.AsyncClient(base_url=url, timeout=timeout_s)
        caller = cls(thread, http)
        caller._finish = weakref.finalize(caller, _close, thread, http)
        return caller

    def close(self) -> None:
        """Close the connections."""
        if self._finish is not None:
            self._finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request: ``json`` is encoded, ``content`` is sent as it is."""
        return self._thread.run(self._send(method, path, json, content, headers))

    def at_once(self, method: str, path: str, bodies: Sequence[Any]) -> list[Answer]:
        """Send several requests at the same time; the answers are in the order of ``bodies``."""

        async def together() -> list[Answer]:
            return list(await asyncio.gather(*(self._send(method, path, body, None, None) for body in bodies)))

        return self._thread.run(together())

    def until(self, status: int, path: str, *, timeout_s: float = 10.0) -> Answer:
        """Ask ``path`` again and again until it answers ``status`` or the time is up; return the last answer."""
        deadline = time.monotonic() + timeout_s
        while True:
            answer = self("GET", path)
            if answer.status == status or time.monotonic() > deadline:
                return answer
            time.sleep(0.02)

    async def _send(
        self, method: str, path: str, json: Any, content: bytes | str | None, headers: Mapping[str, str] | None
    ) -> Answer:
        options: dict[str, Any] = {"headers": dict(headers or {})}
        if content is not None:
            options["content"] = content
            options["headers"].setdefault("content-type", "application/json")
        elif json is not None:
            options["json"] = json
        reply = await self._http.request(method, path, **options)
        try:
            body = reply.json()
        except ValueError:
            body = reply.text
        return Answer(reply.status_code, body, dict(reply.headers))


def _close(thread: _LoopThread, http: httpx.AsyncClient) -> None:
    thread.run(http.aclose())
    thread.close()


class _LoopThread:
    """An event loop in a thread of its own: a notebook's thread already runs one."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hosted-app", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(self._timeout_s)
        except TimeoutError as error:
            future.cancel()
            raise ServingError(
                f"The app did not answer within {self._timeout_s:g} s.",
                expected="an answer",
                next_step="look for code that waits for ever, or blocks the event loop",
            ) from error

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(_cancel_the_rest(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


async def _cancel_the_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()


class _Lifespan:
    """Speaks the lifespan protocol of ASGI with an app."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._to_app: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._speak())
        await self._ask("startup")

    async def stop(self) -> None:
        await self._ask("shutdown")
        if self._task is not None:
            await self._task

    async def _speak(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        try:
            await self._app(scope, self._to_app.get, self._from_app.put)
        except Exception as error:  # a learner's app may raise anything
            await self._from_app.put({"type": "lifespan.failed", "message": f"{type(error).__name__}: {error}"})

    async def _ask(self, what: str) -> None:
        await self._to_app.put({"type": f"lifespan.{what}"})
        reply = await self._from_app.get()
        if not reply["type"].endswith(".complete"):
            last = str(reply.get("message", "")).strip().splitlines() or ["no message"]
            raise ServingError(
                f"The app failed at {what}: {last[-1]}",
                expected="an app that starts even when its model cannot be loaded",
                next_step="look at its lifespan",
            )
