"""Request traces: who asks when, with how long a prompt, for how long an answer. All lengths in tokens."""

from __future__ import annotations

from dataclasses import dataclass

from course_lib.llm.errors import LLMError

__all__ = ["Request", "skewed", "uniform"]


@dataclass(frozen=True)
class Request:
    """One request of a trace.

    Attributes
    ----------
    arrival_s
        When it comes, in seconds.
    prompt, output
        Tokens of the prompt, and of the answer.
    shared
        How many of the prompt's first tokens are the same in all requests: a system prompt.
    """

    arrival_s: float
    prompt: int
    output: int
    shared: int = 0

    def __post_init__(self) -> None:
        if self.arrival_s < 0 or self.prompt < 1 or self.output < 1 or not 0 <= self.shared <= self.prompt:
            raise LLMError(
                f"{self} cannot be served.",
                expected="a time from 0 on, at least one token each way, and no more shared tokens than the prompt has",
            )

    def token_ids(self, number: int) -> list[int]:
        """Return made-up tokens for its prompt: the shared ones, then some that only request ``number`` has."""
        own = (number + 1) << 32
        return [*range(self.shared), *range(own + self.shared, own + self.prompt)]


def uniform(count: int, *, prompt: int = 64, output: int = 64) -> list[Request]:
    """Return ``count`` requests of one length that all come at once."""
    return [Request(0.0, prompt, output) for _ in range(count)]


def skewed(
    count: int,
    *,
    seed: int,
    prompt: float = 161.0,
    output: float = 338.0,
    sigma: float = 1.0,
    longest: int = 2048,
    rate: float | None = None,
) -> list[Request]:
    """Return requests whose lengths are log-normal: many short answers, a few very long ones.

    The default means are those of the ShareGPT conversations in the PagedAttention paper (Kwon et al. 2023, figure 11).

    Parameters
    ----------
    seed
        Draws the same trace again.
    prompt, output
        Mean lengths before clipping.
    sigma
        Spread of the logarithm; 0 makes all lengths equal.
    longest
        Limit for prompt plus output (the server's ``max-model-len``).
    rate
        Arrivals a second (Poisson); ``None``: all come at once.
    """
    import numpy as np

    draw = np.random.default_rng(seed)
    wanted, made = (draw.lognormal(np.log(mean) - sigma**2 / 2, sigma, count).round() for mean in (prompt, output))
    prompts = np.clip(wanted, 4, longest // 2)
    lengths = prompts.astype(int), np.clip(made, 4, longest - prompts).astype(int)
    times = np.zeros(count) if rate is None else np.cumsum(draw.exponential(1 / rate, count))
    return [Request(float(at), int(p), int(o)) for at, p, o in zip(times, *lengths, strict=True)]
