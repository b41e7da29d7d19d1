"""What a protocol has to do: read a call into neutral words, and write answers, streams and errors in its own."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from course_lib.llm.gateway.errors import BadRequest, GatewayError
from course_lib.llm.gateway.neutral import Call, ChatRequest, Completion, Delta, Exchange
from course_lib.sse import encode_text

__all__ = ["Body", "Failure", "Protocol", "Route", "as_json", "parse", "sse"]

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class Route:
    """A path of the protocol; ``streams`` is ``None`` where the body says whether the answer is streamed."""

    path: str
    streams: bool | None = None


@dataclass(frozen=True)
class Failure:
    """An error in a protocol's own shape."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]


class Protocol(ABC):
    """One provider's way of asking a model.

    Attributes
    ----------
    name
        Label in metrics and in the log.
    routes
        Where questions arrive, by POST.
    list_path
        Where the models are listed, by GET; empty where the provider lists them in another service.
    media_type
        Content type of its streams.
    """

    name: ClassVar[str]
    routes: ClassVar[Sequence[Route]]
    list_path: ClassVar[str] = ""
    media_type: ClassVar[str]

    @abstractmethod
    def read(self, call: Call) -> ChatRequest:
        """Read a question.

        Raises
        ------
        GatewayError
            It is not one of this protocol, or asks for what the gateway cannot do.
        """

    @abstractmethod
    def answer(self, exchange: Exchange, completion: Completion) -> dict[str, Any]:
        """Write a whole answer as JSON."""

    @abstractmethod
    def events(self, exchange: Exchange, deltas: AsyncIterator[Delta]) -> AsyncIterator[bytes]:
        """Write an answer piece by piece."""

    @abstractmethod
    def failure(self, error: GatewayError, call: Mapping[str, str]) -> Failure:
        """Write an error that comes before any answer; ``call`` is the path's part of :class:`Call`."""

    @abstractmethod
    def broken(self, error: GatewayError) -> bytes:
        """Write an error that comes after a stream began: the last event."""

    def listing(self, models: Iterable[str]) -> dict[str, Any]:
        """Write the list of models."""
        raise NotImplementedError


class Body(BaseModel):
    """Base of the bodies: unknown fields pass, as providers add some every month; wrong types don't."""

    model_config = ConfigDict(extra="allow", strict=True, populate_by_name=True)


def parse(schema: type[T], body: Mapping[str, Any], *, unsupported: Iterable[str] = ()) -> T:
    """Read a body.

    Parameters
    ----------
    schema
        What it must look like.
    body
        The decoded JSON.
    unsupported
        Fields that the gateway would have to ignore. Refusing them is better: an answer that ignored the caller's tools
        looks like one of a model that did not want them.

    Raises
    ------
    BadRequest
        A field is wrong or not supported; the first one is named.
    """
    for name in unsupported:
        if body.get(name):
            raise BadRequest(
                f"{name} is not supported by this gateway.",
                field=name,
                next_step=f"leave {name} out; text is supported",
            )
    try:
        return schema.model_validate(dict(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # Names of union branches are ours, not the caller's.
    path = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("list[", "str", "function-")))
    raise BadRequest(f"{path or 'body'}: {first['msg']}.", field=path)


def as_json(data: Any) -> str:
    """Return compact JSON, in ASCII: a line separator inside a text must not end a line of the stream."""
    return json.dumps(data, separators=(",", ":"))


def sse(data: Any) -> bytes:
    """Return one server-sent event without a name."""
    return encode_text("message", data if isinstance(data, str) else as_json(data))
