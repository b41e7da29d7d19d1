"""When the tokens of an answer came, and what a load test makes of many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from course_lib.llm.errors import LLMError
from course_lib.loadtest import percentile

__all__ = ["Latencies", "Timing", "percentile", "summarise"]


@dataclass(frozen=True)
class Timing:
    """When a request was sent and when each of its tokens came, in seconds on one clock.

    Attributes
    ----------
    sent_s
        When the request was sent.
    tokens_s
        When each token came; empty if the request failed.
    """

    sent_s: float
    tokens_s: tuple[float, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether no token came."""
        return not self.tokens_s

    @property
    def ttft_s(self) -> float:
        """Time to first token: what a user waits before anything moves."""
        return self.tokens_s[0] - self.sent_s if self.tokens_s else float("nan")

    @property
    def tpot_s(self) -> float:
        """Mean time per output token *after* the first; nan for fewer than two tokens."""
        if len(self.tokens_s) < 2:
            return float("nan")
        return (self.tokens_s[-1] - self.tokens_s[0]) / (len(self.tokens_s) - 1)


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """What many requests had in common; times in milliseconds.

    Attributes
    ----------
    requests, failed
        Requests sent, and those that got no token.
    ttft_p50_ms, ttft_p95_ms
        Percentiles of the time to first token, over the requests that got one.
    tpot_p50_ms
        Median time per output token, over the requests with two tokens or more.
    tokens_per_s
        All tokens, divided by the seconds from the first request sent to the last token.
    """

    requests: int
    failed: int
    ttft_p50_ms: float
    ttft_p95_ms: float
    tpot_p50_ms: float
    tokens_per_s: float

    def row(self) -> dict[str, float]:
        """Return the numbers for a table."""
        return {
            "requests": self.requests,
            "failed": self.failed,
            "TTFT p50 (ms)": round(self.ttft_p50_ms),
            "TTFT p95 (ms)": round(self.ttft_p95_ms),
            "TPOT p50 (ms)": round(self.tpot_p50_ms, 1),
            "tokens/s": round(self.tokens_per_s, 1),
        }


def summarise(timings: Sequence[Timing]) -> Latencies:
    """Return percentiles and throughput.

    Raises
    ------
    LLMError
        There is no request, or none got a token.
    """
    answered = [one for one in timings if not one.failed]
    if not answered:
        raise LLMError(
            f"None of {len(timings)} requests got a token.",
            expected="at least one answer",
            next_step="read the server's log, and send one request by hand",
        )
    first = [1000 * one.ttft_s for one in answered]
    later = [1000 * one.tpot_s for one in answered if len(one.tokens_s) > 1]
    seconds = max(one.tokens_s[-1] for one in answered) - min(one.sent_s for one in timings)
    return Latencies(
        requests=len(timings),
        failed=len(timings) - len(answered),
        ttft_p50_ms=percentile(first, 0.5),
        ttft_p95_ms=percentile(first, 0.95),
        tpot_p50_ms=percentile(later, 0.5),
        tokens_per_s=sum(len(one.tokens_s) for one in answered) / seconds if seconds else float("nan"),
    )
