"""Plots of a rollout: answers a second by model version, false alarms of stop rules, evidence against a canary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from course_lib import plots
from course_lib.loadtest.traffic import TrafficReport
from course_lib.rollout.canary import CanaryReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["alarm_figure", "evidence_figure", "timeline_figure"]

_BIN = 0.1  # seconds


def timeline_figure(reports: Mapping[str, TrafficReport]) -> Figure:
    """Draw answered requests per second by model version, and failed ones, one panel per report."""
    import numpy as np

    with plots.subplots(len(reports), 1, squeeze=False, height=2.4 * len(reports) + 0.6) as (figure, rows):
        for axes, (title, report) in zip(rows[:, 0], reports.items(), strict=True):
            end = max((sample.at for sample in report.samples), default=_BIN)
            edges = np.arange(0, end + 2 * _BIN, _BIN)
            for version in report.versions:
                times = [s.at for s in report.samples if s.version == version and not s.failed]
                axes.plot(edges[:-1], np.histogram(times, edges)[0] / _BIN, label=f"answered by version {version}")
            lost = np.histogram([s.at for s in report.samples if s.failed], edges)[0] / _BIN
            axes.fill_between(edges[:-1], lost, step="post", color="#D55E00", alpha=0.6, label="failed", hatch="//")
            axes.set(xlabel="time (s)", ylabel="requests per second")
            axes.set_title(f"{title}: {report.failed:,} of {report.sent:,} requests failed")
            axes.set_ylim(0, axes.get_ylim()[1] * 1.3)  # room for the legend above the lines
            axes.legend(loc="upper center", ncols=len(report.versions) + 1)
    return figure


def alarm_figure(alarms: Mapping[str, Sequence[int | None]], *, looks: int, limit: float = 0.05) -> Figure:
    """Draw the share of releases that each rule has stopped by each look.

    Parameters
    ----------
    alarms
        By rule, one entry per release: the look of its alarm, or ``None``.
    looks
        Number of looks at a release.
    limit
        False-alarm rate that was promised, drawn as a dotted line.
    """
    with plots.subplots() as (figure, axes):
        for name, found in alarms.items():
            stopped = [sum(a is not None and a <= look for a in found) / len(found) for look in range(looks)]
            axes.step(range(1, looks + 1), stopped, where="post", label=name)
        axes.axhline(limit, color="0.5", linewidth=1, linestyle=":", label=f"promised: {limit:.0%}")
        axes.set(xlabel="looks at the canary", ylabel="share of good releases stopped (0–1)", ylim=(0, None))
        axes.set_title("Looking again and again makes a 5 % test cry wolf")
        axes.legend()
    return figure


def evidence_figure(report: CanaryReport, *, alpha: float = 0.05) -> Figure:
    """Draw how the evidence against a canary grew, look by look."""
    with plots.subplots(height=2.8) as (figure, axes):
        axes.plot(
            [look.at for look in report.looks], [look.evidence for look in report.looks], marker="o", markersize=3
        )
        axes.axhline(1 / alpha, color="0.5", linewidth=1, linestyle=":")
        axes.set(yscale="log", xlabel="time since the first request (s)", ylabel="evidence against the canary")
        axes.set_title(f"{report.outcome} after {len(report.looks)} looks (dotted: {1 / alpha:.0f} to 1)")
    return figure
