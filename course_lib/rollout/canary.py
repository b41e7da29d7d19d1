"""Canary: a small share of real requests meets the new version first, and a stop rule decides who gets the rest."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from course_lib.errors import RolloutError
from course_lib.rollout.bluegreen import BlueGreen
from course_lib.rollout.proxy import Counts
from course_lib.rollout.sequential import Window, Witness
from course_lib.rollout.switch import Launch, Smoke, Switch

__all__ = ["CanaryReport", "Look", "release", "watch"]


@dataclass(frozen=True)
class Look:
    """What was seen at one look at a canary.

    Attributes
    ----------
    at
        Seconds since the canary got its first requests.
    weight
        Its share of new requests, in %.
    window
        What both versions did since the look before.
    evidence
        Evidence against the canary after this look; see :class:`course_lib.rollout.sequential.Witness`.
    """

    at: float
    weight: int
    window: Window
    evidence: float


@dataclass(frozen=True)
class CanaryReport:
    """How a canary release ended: ``promoted``, ``rolled back``, or ``refused`` before it got any request."""

    outcome: str
    reason: str
    looks: tuple[Look, ...]


def release(
    desk: BlueGreen,
    bundle: Path,
    *,
    weights: tuple[int, ...] = (5, 25, 50),
    requests: int = 200,
    alpha: float = 0.05,
    every: float = 0.1,
    timeout: float = 120.0,
    smoke: Smoke | None = None,
    start: Launch | None = None,
) -> CanaryReport:
    """Release ``bundle`` through a canary, and roll it back by itself if it fails more often than the live version.

    Parameters
    ----------
    desk
        A blue/green pair with a live version and traffic on its proxy.
    bundle
        The new version.
    weights
        Its share of new requests at each stage, in %.
    requests
        Requests that the canary must have answered to leave a stage.
    alpha
        Largest probability of rolling back a version that is as good as the live one.
    every
        Seconds between looks. The rule allows any number of them.
    timeout
        Seconds for the whole release; without traffic there is no evidence, and the canary is taken out.
    smoke, start
        As for :meth:`course_lib.rollout.BlueGreen.deploy`.
    """
    started = desk.start_canary(bundle, weight=weights[0], smoke=smoke, start=start)
    if desk.idle not in desk.servers:
        return CanaryReport("refused", started.reason, ())
    watched = _Watched(desk, alpha, timeout)
    for weight in weights:
        desk.share(weight)
        if problem := watched.stage(weight, requests, every):
            desk.abandon()
            return CanaryReport("rolled back", problem, tuple(watched.looks))
    finished = desk.finish()
    return CanaryReport("promoted", finished.reason, tuple(watched.looks))


def watch(desk: BlueGreen, *, requests: int = 100, limit: float = 0.02, timeout: float = 60.0) -> Switch | None:
    """Watch a version that has all the traffic, and go back to the one before if it fails too often.

    This is the guard of a switch without a canary: it compares with a fixed limit, once, after ``requests`` answers or
    as soon as more than ``limit`` of them have failed, whichever the answers still to come.

    Parameters
    ----------
    desk
        The pair, just after ``deploy``.
    requests
        Requests to watch.
    limit
        Largest share of failures that is tolerated, 0 to 1.
    timeout
        Seconds to wait for the requests.

    Returns
    -------
    Switch or None
        The rollback, or ``None`` if the version stays.

    Raises
    ------
    RolloutError
        Too few requests came to judge the version.
    """
    if desk.live is None:
        raise RolloutError("No version is live.", next_step="deploy one first")
    first, deadline = desk.proxy.counts()[desk.live], time.monotonic() + timeout
    while True:
        now = desk.proxy.counts()[desk.live]
        answered, failed = _answered(now) - _answered(first), now.failed - first.failed
        if failed > limit * requests:
            return desk.rollback()
        if answered >= requests:
            return None
        if time.monotonic() > deadline:
            raise RolloutError(f"Only {answered} of {requests} requests came within {timeout:.0f} s.")
        time.sleep(0.02)


class _Watched:
    """Looks at the proxy's counts and gathers evidence."""

    def __init__(self, desk: BlueGreen, alpha: float, timeout: float) -> None:
        self.desk = desk
        self.witness = Witness(alpha=alpha)
        self.looks: list[Look] = []
        self._began = time.monotonic()
        self._deadline = self._began + timeout
        self._last = desk.proxy.counts()

    def stage(self, weight: int, requests: int, every: float) -> str:
        """Watch one stage; return why the canary must go, or nothing."""
        first = self._last[self.desk.idle].total
        while self._last[self.desk.idle].total - first < requests:
            if time.monotonic() > self._deadline:
                return "too few requests came to judge it"
            time.sleep(every)
            window = self._window()
            self.looks.append(Look(time.monotonic() - self._began, weight, window, self.witness.add(window)))
            if self.witness.alarm:
                seen = [look.window for look in self.looks]
                failed, asked = sum(w.canary_failed for w in seen), sum(w.canary for w in seen)
                return f"{failed} of {asked} requests failed; evidence {self.witness.evidence:.0f} to 1 against it"
        return ""

    def _window(self) -> Window:
        now, before = self.desk.proxy.counts(), self._last
        self._last = now
        numbers: list[int] = []
        for colour in (str(self.desk.live), self.desk.idle):
            answered = _answered(now[colour]) - _answered(before[colour])
            failed = min(max(0, now[colour].failed - before[colour].failed), max(answered, 0))
            numbers += [max(answered, 0), failed]
        return Window(*numbers)


def _answered(counts: Counts) -> int:
    return counts.total - counts.in_flight
