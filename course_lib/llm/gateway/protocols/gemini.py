"""The Gemini API's generateContent and streamGenerateContent. Source: Gemini API reference, "Generating content"."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from course_lib.llm.gateway.errors import GatewayError, PromptTooLong, UnknownModel
from course_lib.llm.gateway.neutral import Call, ChatRequest, Completion, Delta, Exchange, Message, Usage
from course_lib.llm.gateway.protocols.base import Body, Failure, Protocol, Route, parse, sse

__all__ = ["Gemini"]

# kind of error: HTTP status, canonical code (google.rpc.Code)
_ERRORS = {
    "bad_request": (400, "INVALID_ARGUMENT"),
    "prompt_too_long": (400, "INVALID_ARGUMENT"),
    "too_large": (400, "INVALID_ARGUMENT"),
    "unknown_model": (404, "NOT_FOUND"),
    "overloaded": (429, "RESOURCE_EXHAUSTED"),
    "internal": (500, "INTERNAL"),
    "backend_failed": (500, "INTERNAL"),
    "backend_down": (503, "UNAVAILABLE"),
    "deadline": (504, "DEADLINE_EXCEEDED"),
}
_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
_UNSUPPORTED = ("tools", "cachedContent")


class _Part(Body):
    text: str


class _Content(Body):
    role: Literal["user", "model"] | None = None
    parts: list[_Part] = Field(min_length=1)

    def text(self) -> str:
        return "".join(part.text for part in self.parts)


class _System(Body):
    parts: list[_Part] = Field(min_length=1)


class _Config(Body):
    max_tokens: int | None = Field(default=None, alias="maxOutputTokens", ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, alias="topP", ge=0, le=1)
    top_k: float | None = Field(default=None, alias="topK", ge=1)
    seed: int | None = None
    stop: list[str] = Field(default_factory=list, alias="stopSequences")
    candidates: int | None = Field(default=None, alias="candidateCount", ge=1, le=1)


class _Body(Body):
    contents: list[_Content] = Field(min_length=1)
    system: _System | None = Field(default=None, alias="systemInstruction")
    config: _Config = Field(default=_Config(), alias="generationConfig")


class Gemini(Protocol):
    """JSON for whole answers, server-sent events for streamed ones; an event is a response with a part of it."""

    name: ClassVar[str] = "gemini"
    routes: ClassVar[Sequence[Route]] = (
        Route("/{version}/models/{model}:generateContent", streams=False),
        Route("/{version}/models/{model}:streamGenerateContent", streams=True),
    )
    list_path: ClassVar[str] = "/v1beta/models"  # /v1/models is OpenAI's, on an address that both share
    media_type: ClassVar[str] = "text/event-stream"

    def read(self, call: Call) -> ChatRequest:
        """Read a question; the path says which model, and whether it is to be streamed."""
        body = parse(_Body, call.body, unsupported=_UNSUPPORTED)
        config = body.config
        system = (Message("system", "".join(part.text for part in body.system.parts)),) if body.system else ()
        turns = (Message("assistant" if one.role == "model" else "user", one.text()) for one in body.contents)
        return ChatRequest(
            model=call.path["model"],
            messages=(*system, *turns),
            max_tokens=config.max_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
            top_k=int(config.top_k) if config.top_k else None,
            seed=config.seed,
            stop=tuple(config.stop),
            stream=bool(call.streams),
        )

    def answer(self, exchange: Exchange, completion: Completion) -> dict[str, Any]:
        """Write a ``GenerateContentResponse``."""
        return _response(exchange, completion.text, completion.finish, completion.usage)

    async def events(self, exchange: Exchange, deltas: AsyncIterator[Delta]) -> AsyncIterator[bytes]:
        """Write one response a piece; the last one has the reason and the counts."""
        finish, usage = "stop", Usage()
        async for delta in deltas:
            finish, usage = delta.finish or finish, delta.usage or usage
            if delta.text:
                yield sse(_response(exchange, delta.text))
        yield sse(_response(exchange, "", finish, usage))

    def failure(self, error: GatewayError, call: Mapping[str, str]) -> Failure:
        """Write a ``google.rpc.Status``."""
        return Failure(_ERRORS[error.kind][0], self._error(error, call), {})

    def broken(self, error: GatewayError) -> bytes:
        """Write an event with the status."""
        return sse(self._error(error, {}))

    def listing(self, models: Iterable[str]) -> dict[str, Any]:
        """Write a list of ``Model`` objects."""
        methods = ["generateContent"]
        return {"models": [{"name": f"models/{name}", "supportedGenerationMethods": methods} for name in models]}

    def _error(self, error: GatewayError, call: Mapping[str, str]) -> dict[str, Any]:
        code, status = _ERRORS[error.kind]
        return {"error": {"code": code, "message": self._message(error, call), "status": status}}

    def _message(self, error: GatewayError, call: Mapping[str, str]) -> str:
        if isinstance(error, UnknownModel):
            return self._unknown(error.model, call)
        if isinstance(error, PromptTooLong) and error.tokens and error.limit:
            return (
                f"The input token count ({error.tokens}) exceeds the maximum number of tokens allowed ({error.limit})."
            )
        return error.happened

    def _unknown(self, model: str, call: Mapping[str, str]) -> str:
        return (
            f"models/{model} is not found for API version {call.get('version')}, or is not supported for "
            "generateContent. Call ListModels to see the list of available models and their supported methods."
        )


def _response(exchange: Exchange, text: str, finish: str | None = None, usage: Usage | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = _FINISH[finish]
    response = {"candidates": [candidate], "modelVersion": exchange.request.model, "responseId": exchange.id}
    return response | ({"usageMetadata": _usage(usage)} if usage else {})


def _usage(usage: Usage) -> dict[str, int]:
    counts = {"promptTokenCount": usage.prompt, "candidatesTokenCount": usage.completion}
    cached = {"cachedContentTokenCount": usage.cached} if usage.cached else {}
    return counts | {"totalTokenCount": usage.total} | cached
