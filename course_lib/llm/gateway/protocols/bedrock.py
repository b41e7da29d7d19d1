"""Amazon Bedrock's Converse and ConverseStream. Source: Amazon Bedrock API reference, "Converse", "ConverseStream"."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from course_lib.llm.gateway import eventstream
from course_lib.llm.gateway.errors import BadRequest, GatewayError, PromptTooLong, UnknownModel
from course_lib.llm.gateway.neutral import Call, ChatRequest, Completion, Delta, Exchange, Message, Usage
from course_lib.llm.gateway.protocols.base import Body, Failure, Protocol, Route, parse

__all__ = ["Bedrock"]

# kind of error: HTTP status, exception before the stream, exception inside it
_ERRORS = {
    "bad_request": (400, "ValidationException", "validationException"),
    "prompt_too_long": (400, "ValidationException", "validationException"),
    "unknown_model": (400, "ValidationException", "validationException"),
    "too_large": (400, "ValidationException", "validationException"),
    "deadline": (408, "ModelTimeoutException", "modelStreamErrorException"),
    "backend_failed": (424, "ModelErrorException", "modelStreamErrorException"),
    "overloaded": (429, "ThrottlingException", "throttlingException"),
    "internal": (500, "InternalServerException", "internalServerException"),
    "backend_down": (503, "ServiceUnavailableException", "serviceUnavailableException"),
}
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "content_filtered"}
_UNSUPPORTED = ("toolConfig", "guardrailConfig", "additionalModelRequestFields", "promptVariables", "outputConfig")


class _Block(Body):
    text: str = Field(min_length=1)


class _Message(Body):
    role: Literal["user", "assistant"]
    content: list[_Block] = Field(min_length=1)

    def neutral(self) -> Message:
        return Message(self.role, "".join(block.text for block in self.content))


class _Inference(Body):
    max_tokens: int | None = Field(default=None, alias="maxTokens", ge=1)
    temperature: float | None = Field(default=None, ge=0, le=1)
    top_p: float | None = Field(default=None, alias="topP", ge=0, le=1)
    stop: list[str] = Field(default_factory=list, alias="stopSequences")


class _Body(Body):
    messages: list[_Message] = Field(min_length=1)
    system: list[_Block] = Field(default_factory=list)
    inference: _Inference = Field(default=_Inference(), alias="inferenceConfig")


class Bedrock(Protocol):
    """JSON for whole answers, AWS's binary event stream for streamed ones."""

    name: ClassVar[str] = "bedrock"
    routes: ClassVar[Sequence[Route]] = (
        Route("/model/{model:path}/converse", streams=False),  # a model may be an ARN, with slashes in it
        Route("/model/{model:path}/converse-stream", streams=True),
    )
    media_type: ClassVar[str] = eventstream.MEDIA_TYPE

    def read(self, call: Call) -> ChatRequest:
        """Read a question; the path says which model, and whether it is to be streamed."""
        body = parse(_Body, call.body, unsupported=_UNSUPPORTED)
        if body.messages[0].role != "user":
            raise BadRequest(
                "A conversation must start with a user message. Try again with a conversation that starts with a user "
                "message.",
                field="messages.0.role",
            )
        system = tuple(Message("system", block.text) for block in body.system)
        return ChatRequest(
            model=call.path["model"],
            messages=(*system, *(message.neutral() for message in body.messages)),
            max_tokens=body.inference.max_tokens,
            temperature=body.inference.temperature,
            top_p=body.inference.top_p,
            stop=tuple(body.inference.stop),
            stream=bool(call.streams),
        )

    def answer(self, exchange: Exchange, completion: Completion) -> dict[str, Any]:
        """Write a Converse response."""
        message = {"role": "assistant", "content": [{"text": completion.text}]}
        cost = {"usage": _usage(completion.usage), "metrics": _latency(exchange)}
        return {"output": {"message": message}, "stopReason": _STOP_REASONS[completion.finish]} | cost

    async def events(self, exchange: Exchange, deltas: AsyncIterator[Delta]) -> AsyncIterator[bytes]:
        """Write the five events of a text answer, in Bedrock's order."""
        usage, reason = Usage(), "end_turn"
        yield eventstream.event("messageStart", {"role": "assistant"})
        async for delta in deltas:
            usage = delta.usage or usage
            reason = _STOP_REASONS[delta.finish] if delta.finish else reason
            if delta.text:
                block = {"contentBlockIndex": 0, "delta": {"text": delta.text}}
                yield eventstream.event("contentBlockDelta", block)
        yield eventstream.event("contentBlockStop", {"contentBlockIndex": 0})
        yield eventstream.event("messageStop", {"stopReason": reason})
        yield eventstream.event("metadata", {"usage": _usage(usage), "metrics": _latency(exchange)})

    def failure(self, error: GatewayError, _: Mapping[str, str]) -> Failure:
        """Write an AWS error: its name is in a header, its message in the body."""
        status, name, _inside = _ERRORS[error.kind]
        return Failure(status, {"message": _message(error)}, {"x-amzn-ErrorType": name})

    def broken(self, error: GatewayError) -> bytes:
        """Write an exception event."""
        return eventstream.exception(_ERRORS[error.kind][2], _message(error))


def _message(error: GatewayError) -> str:
    if isinstance(error, UnknownModel):
        return "The provided model identifier is invalid."
    if isinstance(error, PromptTooLong):
        return "Input is too long for requested model."
    return error.happened


def _usage(usage: Usage) -> dict[str, int]:
    return {"inputTokens": usage.prompt, "outputTokens": usage.completion, "totalTokens": usage.total}


def _latency(exchange: Exchange) -> dict[str, int]:
    return {"latencyMs": round(1000 * exchange.seconds)}
