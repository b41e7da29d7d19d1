"""Figures of monitoring: how often detectors cry wolf and what they find, and what one alert did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_lib import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["alert_figure", "detector_figure"]


def detector_figure(
    false_alarms: Mapping[str, Mapping[int, float]],
    power: Mapping[str, Mapping[float, float]],
    *,
    promised: float = 0.05,
) -> Figure:
    """Draw false-alarm rates over the number of features, and power over the size of the shift.

    Parameters
    ----------
    false_alarms
        By detector: share of windows without drift that alarm, by number of features.
    power
        By detector: share of windows with drift that alarm, by shift in standard deviations.
    promised
        The false-alarm rate that was promised, drawn as a dotted line.
    """
    with plots.subplots(1, 2, width=9.0, height=3.4) as (figure, (left, right)):
        panels: list[tuple[Any, Mapping[str, Mapping[Any, float]]]] = [(left, false_alarms), (right, power)]
        for axes, found in panels:
            for (name, points), marker in zip(found.items(), plots.MARKERS, strict=False):
                axes.plot(list(points), list(points.values()), label=name, marker=marker, markersize=5)
            axes.set_ylim(-0.03, 1.05)
        right.legend(loc="center right")  # the same lines in both panels; on the left they leave no room
        left.axhline(promised, color="0.4", linewidth=1, linestyle=":")
        left.set(xlabel="number of features", ylabel="share of quiet windows that alarm (0–1)", title="False alarms")
        right.set(xlabel="shift of one feature (σ)", ylabel="share of shifted windows found (0–1)", title="Power")
    return figure


def alert_figure(
    points: Sequence[tuple[float, float]], *, limit: float, events: Mapping[str, float], ylabel: str, title: str
) -> Figure:
    """Draw one signal over time with its limit and what happened, as labelled vertical lines.

    Parameters
    ----------
    points
        Time in seconds, and value.
    limit
        Where the rule draws the line.
    events
        Time in seconds by what happened.
    ylabel, title
        What the signal is, and what the figure shows.
    """
    with plots.subplots(height=3.2) as (figure, axes):
        if points:
            times, values = zip(*points, strict=True)
            axes.step(times, values, where="post", marker="o", markersize=3)
        axes.axhline(limit, color="0.4", linewidth=1, linestyle=":", label=f"limit {limit:g}")
        for (name, at), line, colour in zip(events.items(), plots.LINES[1:], plots.COLOURS[1:], strict=False):
            axes.axvline(at, color=colour, linewidth=1.4, linestyle=line, label=name)
        axes.set(xlabel="time (s)", ylabel=ylabel, title=title)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
