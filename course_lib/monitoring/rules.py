"""Alert rules as data: one source for Prometheus' YAML, for its unit tests, and for an evaluation in Python.

A rule compares one signal with a limit, waits ``for_s`` seconds before it fires, so that one bad scrape wakes nobody,
and keeps firing for ``keep_s`` seconds, so that a signal that wavers around the limit is one alert and not ten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from course_lib.errors import MonitoringError
from course_lib.monitoring.samples import Scrape, quantile, ratio, value

__all__ = ["DESK_RULES", "Rule", "Signal", "Transition", "as_yaml", "play"]

State = Literal["pending", "firing", "resolved"]


@dataclass(frozen=True, kw_only=True)
class Signal:
    """A number computed from metrics.

    Attributes
    ----------
    kind
        ``value`` of a gauge, ``ratio`` of the increase of some of a counter's series to all, or ``quantile`` of a
        histogram.
    metric
        Name of the metric; of a histogram without ``_bucket``.
    where
        Labels that select series, by label name; a value is matched as a regular expression.
    window_s
        Time over which increases are taken, for ``ratio`` and ``quantile``.
    q
        Which quantile, 0 to 1.
    """

    kind: Literal["value", "ratio", "quantile"]
    metric: str
    where: Mapping[str, str] = field(default_factory=dict)
    window_s: float = 60.0
    q: float = 0.99

    @property
    def promql(self) -> str:
        """The signal as a PromQL expression."""
        chosen = "{" + ", ".join(f'{name}=~"{text}"' for name, text in self.where.items()) + "}" if self.where else ""
        window = _duration(self.window_s)
        if self.kind == "value":
            return f"{self.metric}{chosen}"
        if self.kind == "ratio":
            return f"sum(rate({self.metric}{chosen}[{window}])) / sum(rate({self.metric}[{window}]))"
        return f"histogram_quantile({self.q:g}, sum by (le) (rate({self.metric}_bucket{chosen}[{window}])))"

    def at(self, scrapes: Sequence[Scrape]) -> float | None:
        """Return the signal at the last of ``scrapes``; ``None`` where there is nothing to compute it from."""
        if self.kind == "value":
            return value(scrapes, self.metric, self.where)
        if self.kind == "ratio":
            return ratio(scrapes, self.metric, self.where, self.window_s)
        return quantile(scrapes, self.metric, self.where, self.window_s, self.q)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When somebody, or something, is to be told.

    Attributes
    ----------
    name
        Name of the alert.
    signal, above, below
        It holds when the signal is above the one limit or below the other.
    for_s
        Seconds that it must hold without interruption before the alert fires.
    keep_s
        Seconds that it must not hold before the alert is over.
    severity
        ``page`` wakes a person, ``ticket`` waits for the morning, ``retrain`` starts a machine.
    summary
        What a tired person reads at night.
    """

    name: str
    signal: Signal
    above: float | None = None
    below: float | None = None
    for_s: float = 0.0
    keep_s: float = 0.0
    severity: Literal["page", "ticket", "retrain"] = "ticket"
    summary: str = ""

    def __post_init__(self) -> None:
        if (self.above is None) == (self.below is None) or self.for_s < 0 or self.keep_s < 0:
            raise MonitoringError(
                f"The rule {self.name} has limits above={self.above} and below={self.below}, waits {self.for_s} s and "
                f"keeps {self.keep_s} s.",
                expected="exactly one limit, and no negative time",
                next_step="write two rules where both sides matter",
            )

    @property
    def promql(self) -> str:
        """The condition as a PromQL expression."""
        return f"{self.signal.promql} " + (f"> {self.above:g}" if self.above is not None else f"< {self.below:g}")

    def holds(self, number: float | None) -> bool:
        """Whether the condition holds for a value of the signal; a missing one is no alert, as in Prometheus."""
        if number is None:
            return False
        return number > self.above if self.above is not None else number < (self.below or 0.0)

    def as_dict(self) -> dict[str, Any]:
        """Return the rule as Prometheus' configuration has it."""
        entry: dict[str, Any] = {"alert": self.name, "expr": self.promql}
        if self.for_s:
            entry["for"] = _duration(self.for_s)
        if self.keep_s:
            entry["keep_firing_for"] = _duration(self.keep_s)
        return entry | {"labels": {"severity": self.severity}, "annotations": {"summary": self.summary}}


def as_yaml(rules: Sequence[Rule], *, group: str = "desk", interval_s: float = 1.0) -> str:
    """Return rules as the text of a Prometheus rule file.

    Raises
    ------
    MonitoringError
        There is no rule, or two have the same name.
    """
    import yaml

    names = [rule.name for rule in rules]
    if not names or len(set(names)) < len(names):
        raise MonitoringError(
            f"The rules {names} make no rule file.", expected="one rule or more, each with its own name"
        )
    entries = [rule.as_dict() for rule in rules]
    content = {"groups": [{"name": group, "interval": _duration(interval_s), "rules": entries}]}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)


@dataclass(frozen=True)
class Transition:
    """A change of state of one alert."""

    at: float
    rule: str
    state: State
    value: float | None


def play(rules: Sequence[Rule], scrapes: Sequence[Scrape]) -> tuple[Transition, ...]:
    """Evaluate rules over scraped samples, as Prometheus would, and return every change of state.

    Raises
    ------
    MonitoringError
        The clock of the scrapes runs backwards.
    """
    times = [scrape.at for scrape in scrapes]
    for before, after in pairwise(times):
        if after < before:
            raise MonitoringError(
                f"The clock of the scrapes runs backwards: {before:g} s is followed by {after:g} s.",
                expected="scrapes in the order of time",
                next_step="use a monotonic clock, or sort what several machines collected",
            )
    changes = [change for rule in rules for change in _play_one(rule, scrapes)]
    return tuple(sorted(changes, key=lambda change: change.at))


def _play_one(rule: Rule, scrapes: Sequence[Scrape]) -> list[Transition]:
    changes: list[Transition] = []
    since: float | None = None  # when the condition began to hold
    ended: float | None = None  # when it ceased to hold
    firing = False
    for index, scrape in enumerate(scrapes):
        number = rule.signal.at(scrapes[: index + 1])
        now = scrape.at
        if rule.holds(number):
            ended = None
            if since is None:
                since = now
                if rule.for_s:
                    changes.append(Transition(now, rule.name, "pending", number))
            if not firing and now - since >= rule.for_s:
                firing = True
                changes.append(Transition(now, rule.name, "firing", number))
        elif since is not None:
            ended = now if ended is None else ended
            if firing and now - ended >= rule.keep_s:
                changes.append(Transition(now, rule.name, "resolved", number))
            if not firing or now - ended >= rule.keep_s:
                since, firing = None, False
    return changes


def _duration(seconds: float) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 1000}s" if whole % 1000 == 0 else f"{whole}ms"


DESK_RULES: tuple[Rule, ...] = (
    Rule(
        name="DeskDown",
        signal=Signal(kind="value", metric="up", where={"job": "desk"}),
        below=1,
        for_s=2,
        severity="page",
        summary="Prometheus cannot reach the API: nobody gets a prediction",
    ),
    Rule(
        name="DeskErrors",
        signal=Signal(kind="ratio", metric="desk_requests_total", where={"status": "5.."}, window_s=30),
        above=0.01,
        for_s=2,
        severity="page",
        summary="more than 1 % of requests fail",
    ),
    Rule(
        name="DeskSlow",
        signal=Signal(kind="quantile", metric="desk_request_seconds", where={"route": "/predict"}, window_s=30),
        above=0.1,
        for_s=5,
        severity="ticket",
        summary="the slowest hundredth of requests takes more than the budget of 100 ms",
    ),
    Rule(
        name="DeskInputsDrifted",
        signal=Signal(kind="value", metric="desk_drifted_features"),
        above=0,
        for_s=2,
        severity="ticket",
        summary="flights no longer look like those the model learnt from: look at the feed first",
    ),
    Rule(
        name="DeskRankingDecayed",
        signal=Signal(kind="value", metric="desk_auc"),
        below=0.65,
        for_s=1,
        keep_s=5,
        severity="retrain",
        summary="AUC on landed flights is below 0.65",
    ),
)
