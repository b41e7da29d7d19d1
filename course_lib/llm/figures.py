"""Plots of LLM serving: static and continuous batches, wasted KV memory, throughput and latency against users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_lib.llm.inside.trace import Request

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from course_lib.llm.inside.batching import Schedule
    from course_lib.llm.loadtest import Step

__all__ = ["batch_rows", "crowd", "waste"]


def batch_rows(requests: Sequence[Request], *, batch: int) -> Figure:
    """Draw which request holds which row of the batch at which step: static batches above, continuous ones below.

    All requests come at once; prompts are left out. White is a row that computes nothing anybody asked for.
    """
    import matplotlib.pyplot as plt

    from course_lib import plots

    static: list[tuple[int, int, int, int]] = []  # row, start, length, request
    start = 0
    for first in range(0, len(requests), batch):
        group = requests[first : first + batch]
        static += [(row, start, one.output, first + row) for row, one in enumerate(group)]
        start += max(one.output for one in group)
    continuous: list[tuple[int, int, int, int]] = []
    free_at = [0] * batch
    for number, one in enumerate(requests):
        row = free_at.index(min(free_at))
        continuous.append((row, free_at[row], one.output, number))
        free_at[row] += one.output
    with plots.style(width=8.0, height=4.2):
        figure, panels = plt.subplots(2, 1, sharex=True)
        for axes, bars, name in ((panels[0], static, "static"), (panels[1], continuous, "continuous")):
            for row, begin, length, number in bars:
                look: dict[str, Any] = {"color": plots.COLOURS[number % 4], "edgecolor": "white", "linewidth": 1}
                axes.barh(row, length, left=begin, height=0.9, **look)
            steps = max(begin + length for _, begin, length, _ in bars)
            axes.set(ylabel="row of the batch", title=f"{name} batching: {steps} steps", yticks=range(batch))
            axes.invert_yaxis()
            axes.grid(visible=False)
        panels[1].set_xlabel("decoding step")
    plt.close(figure)
    return figure


def waste(schedules: Mapping[str, Schedule]) -> Figure:
    """Draw two bars per way to serve: the share of reserved KV memory that held nothing, and tokens a second."""
    import matplotlib.pyplot as plt

    from course_lib import plots

    names = list(schedules)
    values = (
        ([100 * one.kv_waste for one in schedules.values()], "reserved KV memory that held nothing (%)", "{:.1f} %"),
        ([one.tokens_per_s for one in schedules.values()], "throughput (tokens/s)", "{:.0f}"),
    )
    with plots.style(width=8.0, height=2.8):
        figure, panels = plt.subplots(1, 2, sharey=True)
        for axes, (heights, label, form), colour in zip(panels, values, plots.COLOURS, strict=False):
            bars = axes.barh(names, heights, color=colour, height=0.6)
            axes.bar_label(bars, labels=[form.format(v) for v in heights], padding=3)
            axes.set(xlabel=label, xlim=(0, 1.25 * max(heights)))
            axes.grid(visible=False, axis="y")
        panels[0].invert_yaxis()
    plt.close(figure)
    return figure


def crowd(curves: Mapping[str, Sequence[Step]]) -> Figure:
    """Draw throughput, time to first token and time per output token over the number of users, per server."""
    import matplotlib.pyplot as plt

    from course_lib import plots

    with plots.style(width=9.0, height=3.2):
        figure, panels = plt.subplots(1, 3)
        for (name, steps), colour, marker in zip(curves.items(), plots.COLOURS, plots.MARKERS, strict=False):
            users = [step.users for step in steps]
            found = [step.latencies for step in steps]
            rows = (
                [one.tokens_per_s for one in found],
                [one.ttft_p95_ms for one in found],
                [one.tpot_p50_ms for one in found],
            )
            for axes, values in zip(panels, rows, strict=True):
                axes.plot(users, values, color=colour, marker=marker, markersize=4, label=name)
        labels = ("throughput (tokens/s)", "TTFT, 95th percentile (ms)", "TPOT, median (ms)")
        for axes, label in zip(panels, labels, strict=True):
            axes.set(xlabel="users at once", ylabel=label, ylim=(0, None))
        panels[0].legend()
    plt.close(figure)
    return figure
