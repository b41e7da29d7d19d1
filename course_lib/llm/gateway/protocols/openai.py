"""OpenAI chat completions. Source: OpenAI API reference, "Create chat completion", "Error codes"."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from course_lib.llm.gateway.errors import BadRequest, GatewayError, PromptTooLong, UnknownModel
from course_lib.llm.gateway.neutral import Call, ChatRequest, Completion, Delta, Exchange, Message, Usage
from course_lib.llm.gateway.protocols.base import Body, Failure, Protocol, Route, parse, sse

__all__ = ["OpenAI"]

# kind of error: HTTP status, type, code
_ERRORS: dict[str, tuple[int, str, str | None]] = {
    "bad_request": (400, "invalid_request_error", None),
    "prompt_too_long": (400, "invalid_request_error", "context_length_exceeded"),
    "unknown_model": (404, "invalid_request_error", "model_not_found"),
    "too_large": (413, "invalid_request_error", None),
    "overloaded": (429, "requests", "rate_limit_exceeded"),
    "internal": (500, "server_error", None),
    "backend_failed": (502, "server_error", None),
    "backend_down": (503, "server_error", None),
    "deadline": (504, "server_error", None),
}
_UNSUPPORTED = (
    "tools",
    "functions",
    "audio",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "prediction",
    "response_format",
)


class _Part(Body):
    type: Literal["text"]
    text: str


class _Message(Body):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Part]

    def neutral(self) -> Message:
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Message("system" if self.role == "developer" else self.role, text)


class _StreamOptions(BaseModel):
    include_usage: bool = False


class _Body(Body):
    model: str
    messages: list[_Message] = Field(min_length=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    seed: int | None = None
    stop: str | list[str] | None = None
    n: int | None = Field(default=None, ge=1, le=1)
    stream: bool | None = None
    stream_options: _StreamOptions | None = None


class OpenAI(Protocol):
    """What most clients and all local servers speak."""

    name: ClassVar[str] = "openai"
    routes: ClassVar[Sequence[Route]] = (Route("/v1/chat/completions"),)
    list_path: ClassVar[str] = "/v1/models"
    media_type: ClassVar[str] = "text/event-stream"

    def read(self, call: Call) -> ChatRequest:
        """Read a question; the body says whether it is to be streamed."""
        body = parse(_Body, call.body, unsupported=_UNSUPPORTED)
        stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
        return ChatRequest(
            model=body.model,
            messages=tuple(message.neutral() for message in body.messages),
            max_tokens=body.max_completion_tokens or body.max_tokens,
            temperature=body.temperature,
            top_p=body.top_p,
            seed=body.seed,
            stop=tuple(stops),
            stream=bool(body.stream),
            include_usage=body.stream_options is not None and body.stream_options.include_usage,
        )

    def answer(self, exchange: Exchange, completion: Completion) -> dict[str, Any]:
        """Write a ``chat.completion``."""
        message = {"role": "assistant", "content": completion.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": completion.finish}
        return _envelope(exchange, "chat.completion", [choice]) | {"usage": _usage(completion.usage)}

    async def events(self, exchange: Exchange, deltas: AsyncIterator[Delta]) -> AsyncIterator[bytes]:
        """Write ``chat.completion.chunk`` events: the role, the text, the reason, the usage if asked for, the end."""
        usage = Usage()
        yield sse(_chunk(exchange, {"role": "assistant", "content": ""}))
        async for delta in deltas:
            usage = delta.usage or usage
            if delta.text:
                yield sse(_chunk(exchange, {"content": delta.text}))
            if delta.finish:
                yield sse(_chunk(exchange, {}, delta.finish))
        if exchange.request.include_usage:
            yield sse(_envelope(exchange, "chat.completion.chunk", []) | {"usage": _usage(usage)})
        yield sse("[DONE]")

    def failure(self, error: GatewayError, _: Mapping[str, str]) -> Failure:
        """Write an error object; the client chooses its exception by the status."""
        status = _ERRORS[error.kind][0]
        return Failure(status, self._error(error), {"Retry-After": "1"} if status == 429 else {})

    def broken(self, error: GatewayError) -> bytes:
        """Write an event with the error object."""
        return sse(self._error(error))

    def listing(self, models: Iterable[str]) -> dict[str, Any]:
        """Write a list of ``model`` objects."""
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "gateway"} for name in models]
        return {"object": "list", "data": data}

    def _error(self, error: GatewayError) -> dict[str, Any]:
        _, kind, code = _ERRORS[error.kind]
        field = error.field or None if isinstance(error, BadRequest) else None
        if isinstance(error, UnknownModel):
            field = "model"
        elif isinstance(error, PromptTooLong):
            field = "messages"
        return {"error": {"message": _message(error), "type": kind, "param": field, "code": code}}


def _message(error: GatewayError) -> str:
    if isinstance(error, UnknownModel):
        return f"The model `{error.model}` does not exist or you do not have access to it."
    if isinstance(error, PromptTooLong) and error.limit:
        found = f" However, your messages resulted in {error.tokens} tokens." if error.tokens else ""
        return f"This model's maximum context length is {error.limit} tokens.{found} Please reduce the messages."
    return error.happened


def _envelope(exchange: Exchange, kind: str, choices: list[Any]) -> dict[str, Any]:
    head = {"id": f"chatcmpl-{exchange.id}", "object": kind, "created": int(exchange.created)}
    return head | {"model": exchange.request.model, "choices": choices}


def _chunk(exchange: Exchange, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _envelope(exchange, "chat.completion.chunk", [choice])


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }
