"""One vocabulary for the meters of all engines: what each calls it, and where two use the same word differently.

Three traps, each seen here:

- vLLM's ``kv_cache_usage_perc`` is no percentage: it runs from 0 to 1.
- ``prompt_tokens_total`` counts, in llama.cpp, only what was computed; in vLLM also what came out of the prefix cache.
  The same traffic gives two numbers. Here ``prompt_tokens`` is all of them, ``cached_tokens`` those not computed.
- llama.cpp has no meter of its KV cache: what an engine does not say is ``None``, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from course_lib.llm.errors import LLMError

__all__ = ["VOCABULARY", "Meters", "read"]

Samples = Mapping[str, Mapping[frozenset[tuple[str, str]], float]]


@dataclass(frozen=True, kw_only=True)
class Meters:
    """What a server says of itself at one moment; ``None`` where its engine does not say it.

    Attributes
    ----------
    running, waiting
        Requests that are being answered, and that wait for a place.
    kv_cache_used
        Share of the KV cache in use, from 0 to 1.
    prompt_tokens, cached_tokens
        Tokens of all prompts since the start, and those of them that needed no computing.
    generated_tokens
        Tokens of all answers since the start.
    preemptions
        Times a sequence was put out of the KV cache to make room.
    """

    running: float | None = None
    waiting: float | None = None
    kv_cache_used: float | None = None
    prompt_tokens: float | None = None
    cached_tokens: float | None = None
    generated_tokens: float | None = None
    preemptions: float | None = None


# By the prefix of an engine's metrics: how to reckon each meter from its own names. Labels (model, engine) are summed.
VOCABULARY: dict[str, dict[str, tuple[str, ...]]] = {
    "vllm:": {
        "running": ("vllm:num_requests_running",),
        "waiting": ("vllm:num_requests_waiting",),
        "kv_cache_used": ("vllm:kv_cache_usage_perc",),
        "prompt_tokens": ("vllm:prompt_tokens_total",),
        "cached_tokens": ("vllm:prompt_tokens_cached_total",),
        "generated_tokens": ("vllm:generation_tokens_total",),
        "preemptions": ("vllm:num_preemptions_total",),
    },
    "llamacpp:": {
        "running": ("llamacpp:requests_processing",),
        "waiting": ("llamacpp:requests_deferred",),
        "prompt_tokens": ("llamacpp:prompt_tokens_total", "llamacpp:prompt_tokens_cached_total"),
        "cached_tokens": ("llamacpp:prompt_tokens_cached_total",),
        "generated_tokens": ("llamacpp:tokens_predicted_total",),
    },
}


def read(samples: Samples) -> Meters:
    """Translate an engine's samples (:meth:`course_lib.llm.servers.server.LLMServer.metrics`).

    Raises
    ------
    LLMError
        They are of no known engine, or a name of the vocabulary is gone: the engine was renewed and calls it otherwise.
    """
    words = next(
        (VOCABULARY[prefix] for prefix in VOCABULARY if any(name.startswith(prefix) for name in samples)), None
    )
    if words is None:
        raise LLMError(
            "These metrics are of no engine that is known here.", expected=f"names with {', '.join(VOCABULARY)}"
        )
    if gone := sorted({name for names in words.values() for name in names} - samples.keys()):
        raise LLMError(
            f"The engine no longer exposes {', '.join(gone)}.",
            expected="the names in course_lib.llm.servers.metrics.VOCABULARY",
            next_step="look the new name up in its /metrics, and mend the vocabulary",
        )
    return Meters(**{meter: sum(sum(samples[name].values()) for name in names) for meter, names in words.items()})
