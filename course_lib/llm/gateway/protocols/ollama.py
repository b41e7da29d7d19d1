"""Ollama's /api/chat: newline-delimited JSON, streamed unless the caller says no. Source: Ollama, docs/api.md.

One difference on purpose: Ollama cuts a prompt that is too long, and says nothing. The gateway refuses it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from course_lib.llm.gateway.errors import GatewayError, PromptTooLong, UnknownModel
from course_lib.llm.gateway.neutral import Call, ChatRequest, Completion, Delta, Exchange, Message, Usage
from course_lib.llm.gateway.protocols.base import Body, Failure, Protocol, Route, as_json, parse

__all__ = ["Ollama"]

_STATUS = {
    "bad_request": 400,
    "prompt_too_long": 400,
    "unknown_model": 404,
    "too_large": 413,
    "internal": 500,
    "backend_failed": 500,
    "backend_down": 503,
    "overloaded": 503,
    "deadline": 504,
}
_UNSUPPORTED = ("tools", "format", "think", "logprobs")


class _Message(Body):
    role: Literal["system", "user", "assistant"]
    content: str
    images: list[str] | None = Field(default=None, max_length=0)

    def neutral(self) -> Message:
        return Message(self.role, self.content)


class _Options(Body):
    num_predict: int | None = None
    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=0)
    seed: int | None = None
    stop: list[str] | None = None


class _Body(Body):
    model: str = Field(min_length=1)
    messages: list[_Message] = Field(min_length=1)
    stream: bool | None = None
    options: _Options | None = None


class Ollama(Protocol):
    """A line of JSON a piece; the last one has ``done``, the reason and the counts."""

    name: ClassVar[str] = "ollama"
    routes: ClassVar[Sequence[Route]] = (Route("/api/chat"),)
    list_path: ClassVar[str] = "/api/tags"
    media_type: ClassVar[str] = "application/x-ndjson"

    def read(self, call: Call) -> ChatRequest:
        """Read a question; ``name:latest`` is the same model as ``name``."""
        body = parse(_Body, call.body, unsupported=_UNSUPPORTED)
        options = body.options or _Options()
        wanted = options.num_predict
        return ChatRequest(
            model=body.model.removesuffix(":latest"),
            messages=tuple(message.neutral() for message in body.messages),
            max_tokens=wanted if wanted and wanted > 0 else None,  # -1 is Ollama's "no limit"
            temperature=options.temperature,
            top_p=options.top_p,
            top_k=options.top_k,
            seed=options.seed,
            stop=tuple(options.stop or ()),
            stream=body.stream is not False,
        )

    def answer(self, exchange: Exchange, completion: Completion) -> dict[str, Any]:
        """Write a chat response."""
        return _piece(exchange, completion.text) | _end(exchange, completion.finish, completion.usage)

    async def events(self, exchange: Exchange, deltas: AsyncIterator[Delta]) -> AsyncIterator[bytes]:
        """Write one line a piece, and a last one."""
        finish, usage = "stop", Usage()
        async for delta in deltas:
            finish, usage = delta.finish or finish, delta.usage or usage
            if delta.text:
                yield _line(_piece(exchange, delta.text) | {"done": False})
        yield _line(_piece(exchange, "") | _end(exchange, finish, usage))

    def failure(self, error: GatewayError, _: Mapping[str, str]) -> Failure:
        """Write an error: a text."""
        return Failure(_STATUS[error.kind], {"error": _message(error)}, {})

    def broken(self, error: GatewayError) -> bytes:
        """Write a line with the error."""
        return _line({"error": _message(error)})

    def listing(self, models: Iterable[str]) -> dict[str, Any]:
        """Write a list of local models."""
        return {"models": [{"name": f"{name}:latest", "model": f"{name}:latest"} for name in models]}


def _message(error: GatewayError) -> str:
    if isinstance(error, UnknownModel):
        return f"model '{error.model}' not found"
    if isinstance(error, PromptTooLong):
        return "the input length exceeds the context length"
    return error.happened


def _piece(exchange: Exchange, text: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return {"model": exchange.request.model, "created_at": now, "message": {"role": "assistant", "content": text}}


def _end(exchange: Exchange, finish: str, usage: Usage) -> dict[str, Any]:
    counts = {"prompt_eval_count": usage.prompt, "eval_count": usage.completion}
    reason = "length" if finish == "length" else "stop"
    return {"done": True, "done_reason": reason, "total_duration": round(exchange.seconds * 1e9)} | counts


def _line(data: Mapping[str, Any]) -> bytes:
    return as_json(data).encode() + b"\n"
