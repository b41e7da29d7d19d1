"""A fake of a model's server: speaks OpenAI's protocol, always says the same, and fails when told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from course_lib.llm.gateway.transport import StreamedAnswer

__all__ = ["FakeServer"]

_WORDS = ("Flights", " are", " late", " when", " it", " snows", ".", "\u2028Naïve", " ✈")


@dataclass
class FakeServer:
    """A model that says the same words to everybody, one token each.

    Attributes
    ----------
    context
        Tokens that fit; a word is a token.
    break_after
        Cut the connection after so many tokens of a stream.
    error_after
        Send an error event after so many tokens of a stream.
    hold_after
        Wait for ever after so many tokens; for whole answers, before the first.
    status
        Answer everything with this status.
    seen, headers
        The bodies and headers that arrived.
    cancelled
        Requests whose caller left.
    """

    context: int = 64
    break_after: int | None = None
    error_after: int | None = None
    hold_after: int | None = None
    status: int = 200
    seen: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    cancelled: int = 0

    def app(self) -> FastAPI:
        """Return it as an ASGI application."""
        app = FastAPI(openapi_url=None)
        app.router.add_route("/v1/chat/completions", self._chat, methods=["POST"])
        return app

    async def _chat(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.seen.append(body)
        self.headers.append(dict(request.headers))
        if self.status != 200:
            return JSONResponse({"error": {"message": "told to fail", "code": self.status}}, self.status)
        tokens = sum(len(message["content"].split()) for message in body["messages"])
        if tokens + (body.get("max_tokens") or 1) > self.context:
            return JSONResponse(_too_long(tokens, self.context), 400)
        words = _WORDS[: body.get("max_tokens")]
        usage = {"prompt_tokens": tokens, "completion_tokens": len(words), "total_tokens": tokens + len(words)}
        usage["prompt_tokens_details"] = {"cached_tokens": 1}  # type: ignore[assignment]
        finish = "length" if len(words) < len(_WORDS) else "stop"
        if body.get("stream"):
            return StreamedAnswer(
                self._events(words, finish, usage), media_type="text/event-stream", done=lambda: self._left(request)
            )
        if self.hold_after is not None:
            await self._hold(request)
        message = {"role": "assistant", "content": "".join(words)}
        return JSONResponse({"choices": [{"message": message, "finish_reason": finish}], "usage": usage})

    async def _events(self, words: tuple[str, ...], finish: str, usage: dict[str, Any]) -> AsyncGenerator[bytes]:
        yield _event({"choices": [{"delta": {"role": "assistant", "content": None}, "finish_reason": None}]})
        for index, word in enumerate(words):
            if index == self.hold_after:
                await asyncio.Event().wait()
            if index == self.break_after:
                raise ConnectionAbortedError("told to break off")
            if index == self.error_after:
                yield _event({"error": {"message": "told to fail", "code": 500}})
            yield _event({"choices": [{"delta": {"content": word}, "finish_reason": None}]})
        yield _event({"choices": [{"delta": {}, "finish_reason": finish}]})
        yield _event({"choices": [], "usage": usage})
        yield b"data: [DONE]\n\n"

    async def _hold(self, request: Request) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.cancelled += 1

    def _left(self, request: Request) -> None:
        if request.scope.get("cancelled"):
            self.cancelled += 1


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _too_long(tokens: int, limit: int) -> dict[str, Any]:
    message = f"request ({tokens} tokens) exceeds the available context size ({limit} tokens), try increasing it"
    return {"error": {"code": 400, "message": message, "type": "exceed_context_size_error"}}
