"""What can go wrong between a caller and a model, in words that no provider owns; each protocol has its own."""

from __future__ import annotations

from course_lib.llm.errors import LLMError

__all__ = [
    "BackendDown",
    "BackendFailed",
    "BadRequest",
    "Deadline",
    "Disconnected",
    "GatewayError",
    "Overloaded",
    "PromptTooLong",
    "TooLarge",
    "UnknownModel",
]


class GatewayError(LLMError):
    """Base class, and what an unforeseen error is told as.

    Attributes
    ----------
    kind
        Short name, for metrics and for the table of a protocol.
    """

    kind = "internal"


class BadRequest(GatewayError):
    """A field is missing, of the wrong type, out of range, or asks for what this gateway cannot do.

    Attributes
    ----------
    field
        Path of the field, ``messages.0.content``; empty where the whole body is meant.
    """

    kind = "bad_request"

    def __init__(self, happened: str, *, field: str = "", expected: str = "", next_step: str = "") -> None:
        super().__init__(happened, expected=expected, next_step=next_step)
        self.field = field


class UnknownModel(GatewayError):
    """There is no model of that name.

    Attributes
    ----------
    model
        The name that was asked for.
    """

    kind = "unknown_model"

    def __init__(self, model: str) -> None:
        super().__init__(f"There is no model called {model!r}.", next_step="ask for the list of models")
        self.model = model


class PromptTooLong(GatewayError):
    """Prompt and answer do not fit into the model's context.

    Attributes
    ----------
    tokens, limit
        Tokens of the prompt and of the context, where the server told them.
    """

    kind = "prompt_too_long"

    def __init__(self, tokens: int | None, limit: int | None) -> None:
        size = f"The prompt has {tokens:,} tokens" if tokens else "The prompt has too many tokens"
        super().__init__(
            f"{size} and does not fit.",
            expected=f"at most {limit:,} tokens" if limit else "a prompt that fits into the model's context",
            next_step="shorten the messages, or ask for fewer tokens",
        )
        self.tokens = tokens
        self.limit = limit


class TooLarge(GatewayError):
    """The body has more bytes than the gateway reads."""

    kind = "too_large"


class Overloaded(GatewayError):
    """As many requests as the gateway takes are being answered."""

    kind = "overloaded"


class BackendDown(GatewayError):
    """Nothing answers where the model's server should be."""

    kind = "backend_down"


class BackendFailed(GatewayError):
    """The model's server broke off, or answered with an error of its own."""

    kind = "backend_failed"


class Deadline(GatewayError):
    """The model's server took longer than it may."""

    kind = "deadline"


class Disconnected(GatewayError):
    """The caller left before the answer was complete; nobody is there to be told."""

    kind = "cancelled"
