"""Plots of serving: latency against offered load, and the cost of a model call against its batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from course_lib.loadtest.results import Load

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["batch_cost", "latency_against_load"]


def latency_against_load(curves: Mapping[str, Sequence[Load]], *, pace: float, budget_ms: float = 100.0) -> Figure:
    """Draw p50 and p99 over the load that the users wanted to send, on logarithmic axes.

    Parameters
    ----------
    curves
        Measured steps by name of the service.
    pace
        Requests a second that each user wanted to send.
    budget_ms
        The latency budget, drawn as a line.
    """
    import matplotlib.pyplot as plt

    from course_lib import plots

    with plots.style(width=7.5, height=4.0):
        figure, axes = plt.subplots()
        for (name, loads), colour, marker in zip(curves.items(), plots.COLOURS, plots.MARKERS, strict=False):
            wanted = [load.connections * pace for load in loads]
            for share, line in ((0.99, "-"), (0.5, ":")):
                values = [load.ms(share) for load in loads]
                label = f"{name}, p{100 * share:.0f}"
                axes.plot(wanted, values, color=colour, linestyle=line, marker=marker, markersize=4, label=label)
        axes.axhline(budget_ms, color="0.4", linewidth=1, linestyle="--", label=f"budget {budget_ms:g} ms")
        axes.set(xscale="log", yscale="log", xlabel="offered load (requests/s)", ylabel="latency (ms)")
        axes.set_title("Latency against load")
        axes.legend(fontsize=8)
    plt.close(figure)
    return figure


def batch_cost(seconds: Mapping[int, float]) -> Figure:
    """Draw what one call of the model costs, and what that is per flight, over the number of flights in it.

    Parameters
    ----------
    seconds
        Measured seconds of a call, by number of flights.
    """
    import matplotlib.pyplot as plt

    from course_lib import plots

    with plots.style(width=7.0, height=3.6):
        figure, axes = plt.subplots()
        sizes = list(seconds)
        axes.plot(sizes, [1e6 * seconds[size] for size in sizes], marker="o", markersize=4, label="the whole call")
        each = [1e6 * seconds[size] / size for size in sizes]
        axes.plot(sizes, each, marker="s", markersize=4, label="per flight")
        axes.set(xscale="log", yscale="log", xlabel="flights in one call", ylabel="time (microseconds)")
        axes.set_title("What company saves")
        axes.legend()
    plt.close(figure)
    return figure
