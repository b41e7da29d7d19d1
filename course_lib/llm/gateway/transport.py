"""Notice that a caller has left: what nobody waits for must not keep the model busy.

Each helper runs its work beside a watch on the connection; whichever ends first ends the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from course_lib.llm.gateway.errors import Disconnected

__all__ = ["StreamedAnswer", "unless_disconnected"]

T = TypeVar("T")


async def unless_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what ``work`` returns, unless the caller leaves first: then ``work`` is cancelled.

    Raises
    ------
    Disconnected
        The caller left.
    """
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_left(request.receive))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            request.scope["cancelled"] = True
            raise Disconnected("The caller left before the answer was complete.")
        return task.result()
    finally:
        await _end(task, watch)


class StreamedAnswer(Response):
    """A response that grows; its source is closed when the caller leaves, and in any other case too.

    Parameters
    ----------
    source
        The pieces.
    media_type
        Content type.
    done
        Called once, when the answer has ended in whatever way.
    """

    def __init__(self, source: AsyncGenerator[bytes], *, media_type: str, done: Callable[[], object]) -> None:
        self.body = b""
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self._source = source
        self._ended = done
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})  # proxies pass pieces on at once
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces as they come."""
        pump = asyncio.ensure_future(self._pump(send))
        watch = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({pump, watch}, return_when=asyncio.FIRST_COMPLETED)
            if pump.done():
                pump.result()
            else:
                scope["cancelled"] = True
        finally:
            await _end(pump, watch)
            self._ended()

    async def _pump(self, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for piece in self._source:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await self._source.aclose()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
