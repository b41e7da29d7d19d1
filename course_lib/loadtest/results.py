"""Results of a load test: percentiles, and what one number of clients measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Load", "percentile"]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` of the values do not exceed (nearest rank).

    Examples
    --------
    >>> percentile([4, 1, 3, 2], 0.5), percentile([4, 1, 3, 2], 0.99)
    (2, 4)

    Raises
    ------
    ValueError
        ``share`` is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share:g}, not 0 to 1: the 95th percentile is percentile(values, 0.95)")
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    rank = -(-len(ordered) * round(share * 10_000) // 10_000)  # ceil, without the rounding errors of a float product
    return ordered[max(rank, 1) - 1]


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one load test measured.

    Attributes
    ----------
    connections
        Connections that sent requests at the same time.
    seconds
        How long it ran.
    statuses
        Number of answers by HTTP status.
    lost
        Requests that were sent and got no answer.
    latencies_ms
        Milliseconds from sending a request to the last byte of its answer, for every answer.
    """

    connections: int
    seconds: float
    statuses: dict[int, int]
    lost: int
    latencies_ms: tuple[float, ...] = field(repr=False)

    @property
    def requests(self) -> int:
        """Requests sent."""
        return sum(self.statuses.values()) + self.lost

    @property
    def failed(self) -> int:
        """Requests without answer, or with one that blames the server."""
        return self.lost + sum(count for status, count in self.statuses.items() if status >= 500)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies_ms) / self.seconds

    def ms(self, share: float) -> float:
        """Return a percentile of the latencies in milliseconds, such as ``ms(0.99)``."""
        return percentile(self.latencies_ms, share)
