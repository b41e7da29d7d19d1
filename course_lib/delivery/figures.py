"""The figure of notebook 7: horizontal bars by name, one colour and hatch per series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from course_lib import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bars"]

_HATCHES = ("", "//", "..")


def bars(
    series: Mapping[str, Mapping[str, float]], *, xlabel: str, title: str, line: float | None = None, low: float = 0.0
) -> Figure:
    """Draw the values of each series by name.

    Parameters
    ----------
    series
        Values by name, by legend label.
    xlabel, title
        What is measured, with its unit, and what is shown.
    line
        A value to mark with a vertical line.
    low
        Where the axis begins.
    """
    names = list(next(iter(series.values())))
    thick = 0.8 / len(series)
    with plots.subplots(height=0.6 + 0.34 * len(names) * max(1, len(series) * 0.75)) as (figure, axes):
        for number, (label, values) in enumerate(series.items()):
            places = [place + (number - (len(series) - 1) / 2) * thick for place in range(len(names))]
            colour = plots.COLOURS[number]
            axes.barh(places, [values[n] for n in names], thick, label=label, color=colour, hatch=_HATCHES[number])
        if line is not None:
            axes.axvline(line, color="black", linestyle="--", linewidth=1)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlim(left=low)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(xlabel)
        axes.set_title(title)
        if len(series) > 1:
            axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
