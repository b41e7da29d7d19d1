"""Limits of the gateway: every body, queue and wait has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits and names of one gateway.

    Attributes
    ----------
    models
        What callers may ask for, and the server's name for it: ``{"gpt-4o-mini": "smollm2-135m"}``.
    max_body_bytes
        Larger bodies are refused unread.
    max_completion_tokens
        Most tokens a caller may ask for.
    max_concurrent
        Requests answered at the same time; the next one is refused at once rather than kept waiting.
    connect_timeout_s
        Seconds to reach the model's server.
    read_timeout_s
        Seconds the model's server may be silent.
    """

    models: Mapping[str, str] = field(default_factory=dict)
    max_body_bytes: int = 1_048_576
    max_completion_tokens: int = 4_096
    max_concurrent: int = 64
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 120.0
