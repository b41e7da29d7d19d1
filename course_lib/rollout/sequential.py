"""A sequential test for canaries, which may be looked at after every request without crying wolf.

A fixed-size test (a z test, Fisher's test) keeps its false-alarm rate for *one* look. Looked at again and again until
it says yes, it says yes far too often: "peeking". The rule here is built from e-values, which allow any number of
looks: Turner, Ly & Grünwald 2024, "Generic E-variables for exact sequential k-sample tests that allow for optional
stopping", Journal of Statistical Planning and Inference 230 (arXiv:2106.02693). Their product is evidence that grows
only if the canary is worse. By Ville's inequality (1939) it ever reaches 1/α with probability α at most, if it is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from course_lib.errors import RolloutError

__all__ = ["HARMS", "Window", "Witness", "first_alarm", "peeking_alarm", "simulate"]

# Differences of the failure rate that the rule bets on, from one in two hundred to one in two.
HARMS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True)
class Window:
    """What both versions did between two looks.

    Attributes
    ----------
    champion, champion_failed
        Requests answered by the version in service, and how many of them failed.
    canary, canary_failed
        The same for the new version.
    """

    champion: int
    champion_failed: int
    canary: int
    canary_failed: int

    def __post_init__(self) -> None:
        if not (0 <= self.champion_failed <= self.champion and 0 <= self.canary_failed <= self.canary):
            raise RolloutError(f"{self} is no count of requests.", expected="0 ≤ failed ≤ requests, for both versions")


class Witness:
    """Evidence, gathered window by window, that a canary fails more often than the champion.

    Parameters
    ----------
    alpha
        Largest probability of ever raising an alarm against a canary that is as good as the champion, or better.
    harms
        Differences of the failure rate to bet on, 0 to 1; the evidence is the mean over all bets, so that none has to
        be chosen in advance.

    Notes
    -----
    For a window with ``a`` champion and ``b`` canary requests, the bet on failure rates ``p`` and ``q > p`` multiplies
    the evidence by the likelihood of the window under ``(p, q)``, over its likelihood if both rates were
    ``(a·p + b·q) / (a + b)``. Whatever the common rate really is, the factor's expectation is at most 1 (Turner et al.,
    theorem 1); if the canary is better than the champion, it is smaller still. ``p`` is estimated from the windows
    before, never from the window it is used on.
    """

    def __init__(self, *, alpha: float = 0.05, harms: Iterable[float] = HARMS) -> None:
        if not 0 < alpha < 1:
            raise RolloutError(f"alpha is {alpha}.", expected="a probability between 0 and 1")
        self.alpha = alpha
        self._logs = dict.fromkeys(harms, 0.0)
        self._seen = self._failed = 0

    @property
    def evidence(self) -> float:
        """Evidence against the canary: 1 at the start, an alarm at ``1 / alpha``."""
        top = max(self._logs.values())
        mean = sum(math.exp(value - top) for value in self._logs.values()) / len(self._logs)
        return math.exp(min(top + math.log(mean), 700.0))  # e**709 is the largest float

    @property
    def alarm(self) -> bool:
        """Whether the evidence suffices to roll back."""
        return self.evidence >= 1 / self.alpha

    def add(self, window: Window) -> float:
        """Take one more window into account and return the evidence."""
        # The champion's rate so far; half a failure is added so that a rate of 0 never makes a failure impossible.
        rate = (self._failed + 0.5) / (self._seen + 1.0) if self._seen else 0.01
        for harm in self._logs:
            self._logs[harm] += _log_factor(window, rate, min(rate + harm, 0.999))
        self._seen += window.champion
        self._failed += window.champion_failed
        return self.evidence


def first_alarm(windows: Iterable[Window], *, alpha: float = 0.05) -> int | None:
    """Return the index of the first window after which a canary should be rolled back, or ``None``.

    Examples
    --------
    >>> first_alarm([Window(90, 0, 10, 10)] * 3)
    0
    >>> first_alarm([Window(90, 1, 10, 0)] * 30) is None
    True
    """
    witness = Witness(alpha=alpha)
    for index, window in enumerate(windows):
        witness.add(window)
        if witness.alarm:
            return index
    return None


def peeking_alarm(windows: Iterable[Window], *, alpha: float = 0.05) -> int | None:
    """Return the first window after which a one-sided z test of all requests so far says "worse": the wrong way.

    Each look is a test at level ``alpha``; the first of many looks to say yes decides. It is here to be measured.
    """
    from statistics import NormalDist

    limit = NormalDist().inv_cdf(1 - alpha)
    total = [0, 0, 0, 0]
    for index, window in enumerate(windows):
        seen = (window.champion, window.champion_failed, window.canary, window.canary_failed)
        total = [sum(pair) for pair in zip(total, seen, strict=True)]
        champion, champion_failed, canary, canary_failed = total
        both = (champion_failed + canary_failed) / max(champion + canary, 1)
        spread = math.sqrt(both * (1 - both) * (1 / max(champion, 1) + 1 / max(canary, 1)))
        if spread > 0 and (canary_failed / canary - champion_failed / champion) / spread > limit:
            return index
    return None


def simulate(
    champion_rate: float,
    canary_rate: float,
    *,
    releases: int = 200,
    windows: int = 40,
    requests: int = 100,
    share: float = 0.25,
    seed: int = 0,
) -> list[list[Window]]:
    """Return simulated releases, each a list of windows.

    Parameters
    ----------
    champion_rate, canary_rate
        True failure rates, 0 to 1.
    releases, windows
        How many releases, and looks at each.
    requests
        Requests in a window, both versions together.
    share
        The canary's share of them, 0 to 1.
    seed
        Seed of the random numbers.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    canary = round(requests * share)
    champion = requests - canary
    failed = random.binomial(champion, champion_rate, (releases, windows)).tolist()
    new_failed = random.binomial(canary, canary_rate, (releases, windows)).tolist()
    return [
        [Window(champion, old, canary, new) for old, new in zip(*pair, strict=True)]
        for pair in zip(failed, new_failed, strict=True)
    ]


def _log_factor(window: Window, p: float, q: float) -> float:
    """Return the logarithm of the window's likelihood ratio: rates ``(p, q)`` against one rate for both."""
    if window.champion == 0 or window.canary == 0:
        return 0.0  # nothing to compare
    both = (window.champion * p + window.canary * q) / (window.champion + window.canary)
    return _log_ratio(window.champion, window.champion_failed, p, both) + _log_ratio(
        window.canary, window.canary_failed, q, both
    )


def _log_ratio(requests: int, failed: int, rate: float, other: float) -> float:
    return failed * math.log(rate / other) + (requests - failed) * math.log((1 - rate) / (1 - other))
