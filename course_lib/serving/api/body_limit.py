"""Body size limit (ASGI middleware): stop reading as soon as a body is too large."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BodyLimit"]


class BodyLimit:
    """Refuses bodies of more than ``limit`` bytes with 413, whether their length is announced, missing or a lie.

    FastAPI's own ``max_body_size`` does the same, but answers in plain text; here every error has one shape. So the
    error is raised where the application reads, and its exception handler answers.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; a request without a body passes through."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD"}:
            await self._app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        too_large = announced.isdigit() and int(announced) > self._limit
        received = 0

        async def limited() -> Message:
            nonlocal received
            if not too_large:
                message = await receive()
                received += len(message.get("body", b""))
                if received <= self._limit:
                    return message
            raise HTTPException(413, f"The body is larger than {self._limit:,} bytes; send fewer flights at a time.")

        await self._app(scope, limited, send)
