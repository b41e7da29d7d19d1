"""ASGI applications across the wall: a request goes over as data, the app answers where it lives.

A reply is collected before it is passed on, so a stream arrives in its original chunks but not one by one in time.
Start-up and shut-down run the app's real lifespan. Source: the ASGI specification 3.0, HTTP and Lifespan.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from autograder.sandbox.rpc.interface import Peer

__all__ = ["App", "answer", "drive"]

_SCOPE = (
    "method",
    "path",
    "raw_path",
    "query_string",
    "root_path",
    "scheme",
    "http_version",
    "headers",
    "client",
    "server",
)
_MAX_BODY = 64 << 20


async def drive(peer: Peer, number: int, scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Act as the application ``number`` of the other process."""
    if scope["type"] == "lifespan":
        await _drive_lifespan(peer, number, receive, send)
        return
    if scope["type"] != "http":
        raise RuntimeError("only HTTP requests reach an application in the other process, no websockets")
    body = b""
    while len(body) < _MAX_BODY:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            break
    plain = {key: _plain(scope[key]) for key in _SCOPE if key in scope}
    for message in await peer.ask_async("asgi", number, (plain, body), {}):
        await send(message)


async def _drive_lifespan(peer: Peer, number: int, receive: Any, send: Any) -> None:
    for phase in ("startup", "shutdown"):
        await receive()
        reply = await peer.ask_async("lifespan", number, (phase,), {})
        failed = {"message": str(reply)[:1000]} if reply else {}
        await send({"type": f"lifespan.{phase}.{'failed' if reply else 'complete'}", **failed})


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return value


async def answer(app: Callable[..., Awaitable[None]], scope: dict[str, Any], body: bytes) -> list[dict[str, Any]]:
    """Send one HTTP request to ``app`` and return the messages it answered with."""
    full = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "extensions": {}, "state": {}, **scope}
    full["headers"] = [tuple(pair) for pair in full.get("headers", [])]
    for key in ("client", "server"):
        full[key] = tuple(full[key]) if full.get(key) else None
    messages: list[dict[str, Any]] = []
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.sleep(3600)
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = [(bytes(key), bytes(value)) for key, value in message.get("headers", [])]
            messages.append({"type": message["type"], "status": int(message["status"]), "headers": headers})
        elif message["type"] == "http.response.body":
            more = bool(message.get("more_body", False))
            messages.append({"type": message["type"], "body": bytes(message.get("body", b"")), "more_body": more})

    await app(full, receive, send)
    return messages


class App:
    """The lifespan of one application: started once, and stopped at most once."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {}

    async def phase(self, name: str) -> str:
        """Run "startup" or "shutdown"; return what went wrong, empty if nothing did."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())
        await self._inbox.put({"type": f"lifespan.{name}"})
        reply = await self._outbox.get()
        if name == "shutdown":
            with contextlib.suppress(Exception):
                await self._task
        if "error" in reply:
            raise reply["error"]
        return str(reply.get("message", "failed")) if reply["type"].endswith("failed") else ""

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._inbox.get, self._outbox.put)
        except Exception as error:
            await self._outbox.put({"type": "error", "error": error})
        else:
            await self._outbox.put({"type": "lifespan.shutdown.complete"})
