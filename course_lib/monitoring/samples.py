"""Metrics as a service exposes them: scraped over HTTP, kept as samples, and asked the questions that rules ask."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from course_lib.errors import MonitoringError

__all__ = ["Scrape", "parse", "quantile", "ratio", "scrape", "value"]

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Scrape:
    """All samples of some services at one moment.

    Attributes
    ----------
    at
        Seconds on a clock that only runs forwards.
    samples
        Values by metric name, then by labels.
    """

    at: float
    samples: Mapping[str, Mapping[Labels, float]] = field(repr=False)


def parse(text: str, *, labels: Mapping[str, str] | None = None) -> dict[str, dict[Labels, float]]:
    """Read Prometheus' text format; ``labels`` are added to every sample, as a scrape adds ``job`` and ``instance``.

    Raises
    ------
    MonitoringError
        The text is not in that format.
    """
    from prometheus_client.parser import text_string_to_metric_families

    extra = tuple((labels or {}).items())
    found: dict[str, dict[Labels, float]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, {})[frozenset((*sample.labels.items(), *extra))] = float(sample.value)
    except (ValueError, KeyError) as error:
        raise MonitoringError(
            f"What the service exposes are no metrics: {error}",
            expected="Prometheus' text format",
            next_step="open its /metrics in a browser and look",
        ) from error
    return found


def scrape(targets: Mapping[str, str], *, at: float | None = None) -> Scrape:
    """Ask services for their metrics, as Prometheus does.

    Parameters
    ----------
    targets
        URL of the metrics by job name. A target that does not answer gives ``up`` 0, and no error: that is news, too.
    at
        Time of the scrape; by default the monotonic clock.
    """
    samples: dict[str, dict[Labels, float]] = {"up": {}}
    for job, url in targets.items():
        try:
            with urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310 - loopback
                for name, values in parse(reply.read().decode(), labels={"job": job}).items():
                    samples.setdefault(name, {}).update(values)
            samples["up"][frozenset({("job", job)})] = 1.0
        except (OSError, ValueError):
            samples["up"][frozenset({("job", job)})] = 0.0
    return Scrape(time.monotonic() if at is None else at, samples)


def value(scrapes: Sequence[Scrape], metric: str, where: Mapping[str, str]) -> float | None:
    """Return the newest value of the one series that matches; ``None`` if there is none."""
    found = [number for labels, number in _series(scrapes[-1], metric) if _matches(labels, where)]
    return found[0] if found else None


def ratio(scrapes: Sequence[Scrape], metric: str, where: Mapping[str, str], window_s: float) -> float | None:
    """Return what share of a counter's increase within the window falls on the series that match."""
    risen = _increase(scrapes, metric, window_s)
    total = sum(risen.values())
    return sum(n for labels, n in risen.items() if _matches(labels, where)) / total if total > 0 else None


def quantile(
    scrapes: Sequence[Scrape], metric: str, where: Mapping[str, str], window_s: float, q: float
) -> float | None:
    """Return a quantile of a histogram's increase, interpolated within its bucket as Prometheus does."""
    counts: dict[float, float] = {}
    for labels, number in _increase(scrapes, f"{metric}_bucket", window_s).items():
        if _matches(labels, where):
            edge = float(dict(labels)["le"])
            counts[edge] = counts.get(edge, 0.0) + number
    edges = sorted(counts)
    if not edges or counts[edges[-1]] <= 0:
        return None
    rank = q * counts[edges[-1]]
    low = below = 0.0
    for edge in edges:
        if counts[edge] >= rank:
            if edge == float("inf"):
                return low
            inside = counts[edge] - below
            return low + (edge - low) * ((rank - below) / inside if inside else 1.0)
        low, below = edge, counts[edge]
    return low


def _increase(scrapes: Sequence[Scrape], metric: str, window_s: float) -> dict[Labels, float]:
    """Return by how much each series rose within the window; a counter that fell was restarted, and counts from 0."""
    window = [scrape for scrape in scrapes if scrape.at > scrapes[-1].at - window_s]
    risen: dict[Labels, float] = {}
    seen: dict[Labels, float] = {}
    for one in window:
        for labels, number in _series(one, metric):
            if labels in seen:
                step = number - seen[labels]
                risen[labels] = risen.get(labels, 0.0) + (step if step >= 0 else number)
            seen[labels] = number
    return risen


def _series(scrape_: Scrape, metric: str) -> Iterable[tuple[Labels, float]]:
    return scrape_.samples.get(metric, {}).items()


def _matches(labels: Labels, where: Mapping[str, str]) -> bool:
    by_name = dict(labels)
    return all(re.fullmatch(pattern, by_name.get(name, "")) for name, pattern in where.items())
