"""A chat in words that no provider owns: every protocol is read into these classes and written from them.

So n protocols and m servers need n + m translations, and none of them knows another.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Call", "ChatRequest", "Completion", "Delta", "Exchange", "Finish", "Message", "Role", "Usage"]

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "content_filter"]


@dataclass(frozen=True)
class Call:
    """A request as HTTP brought it.

    Attributes
    ----------
    path
        What stands in the places of the route's pattern, such as the model's name.
    query
        What follows the question mark.
    body
        The decoded JSON object.
    streams
        Whether the route is one that always (or never) streams; ``None`` where the body says so.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    streams: bool | None = None


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    text: str


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """What is asked of a model; ``None`` leaves a choice to the server.

    Attributes
    ----------
    model
        The name that the caller gave.
    messages
        The conversation so far, the newest last.
    max_tokens
        Most tokens of the answer.
    temperature, top_p, top_k, seed
        How tokens are drawn.
    stop
        Texts that end the answer.
    stream
        Whether the answer is wanted token by token.
    include_usage
        Whether a stream ends with the counts of tokens (a choice in OpenAI's protocol alone).
    """

    model: str
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = True


@dataclass(frozen=True)
class Usage:
    """Tokens read and written; ``cached`` of the prompt's were not computed again."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0

    @property
    def total(self) -> int:
        """Prompt and completion together, the number that bills are made of."""
        return self.prompt + self.completion


@dataclass(frozen=True)
class Delta:
    """A piece of an answer: text, or why it ended, or what it cost."""

    text: str = ""
    finish: Finish | None = None
    usage: Usage | None = None


@dataclass(frozen=True)
class Completion:
    """A whole answer."""

    text: str
    finish: Finish
    usage: Usage


@dataclass(frozen=True)
class Exchange:
    """One request on its way: what a protocol may write into its answer.

    Attributes
    ----------
    request
        What was asked.
    id
        The request id, also in the log.
    created
        When it came, in seconds since 1970.
    started
        The same moment on a clock that only runs forwards.
    """

    request: ChatRequest
    id: str
    created: float = field(default_factory=time.time)
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """How long the answer has taken so far."""
        return time.perf_counter() - self.started
