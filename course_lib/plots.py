"""Figures in one house style: axes with units, and colours that colour-blind readers and grey printers tell apart.

In a notebook each figure of this style has a text for those who cannot see it. JupyterLab gives a PNG output no such
text, whatever its metadata say, so the figure goes out as an HTML image, which carries one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "LINES", "MARKERS", "alt_text", "calibration", "lines", "style", "subplots"]

# Okabe & Ito 2008, ordered so that neighbours differ in lightness too.
COLOURS = ("#0072B2", "#E69F00", "#000000", "#56B4E9", "#D55E00", "#009E73", "#CC79A7")
LINES = ("-", "--", "-.", ":", (0, (1, 1)), (0, (5, 1)), (0, (3, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@contextmanager
def style(*, width: float = 8.0, height: float = 3.6) -> Iterator[None]:
    """Apply the house style to every figure drawn inside the block; sizes in inches."""
    import matplotlib.pyplot as plt
    from cycler import cycler

    settings: dict[Any, Any] = {
        "figure.figsize": (width, height),
        "figure.dpi": 110,
        "figure.constrained_layout.use": True,
        "axes.prop_cycle": cycler(color=COLOURS[:4]) + cycler(linestyle=LINES[:4]),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "legend.frameon": False,
        "font.size": 10,
    }
    with plt.rc_context(settings):
        yield
    _show_with_alt_text()


@contextmanager
def subplots(
    rows: int = 1, columns: int = 1, *, width: float = 8.0, height: float = 3.6, **options: Any
) -> Iterator[tuple[Figure, Any]]:
    """Make a figure in the house style with its axes; options as of :func:`matplotlib.pyplot.subplots`.

    The figure is closed at the end of the block: a notebook shows it once, where it is returned, and not twice.
    """
    import matplotlib.pyplot as plt

    with style(width=width, height=height):
        figure, axes = plt.subplots(rows, columns, **options)
        yield figure, axes
    plt.close(figure)


def alt_text(figure: Figure) -> str:
    """Say what a figure shows: titles, axes with their units, and the names in its legends.

    What follows from it is said by the text below a figure, not here.
    """
    parts = [figure.get_suptitle()]
    for axes in figure.get_axes():
        across, up = axes.get_xlabel(), axes.get_ylabel()
        names = [str(name) for name in axes.get_legend_handles_labels()[1]]
        parts += [axes.get_title(), f"Across: {across}" if across else "", f"Up: {up}" if up else ""]
        parts += ["Shown: " + ", ".join(names) if names else ""]
    return "Figure. " + "".join(f"{part.strip().rstrip('.')}. " for part in parts if part.strip()).strip()


def lines(
    series: Mapping[str, pd.Series],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    events: Sequence[object] = (),
) -> Figure:
    """Draw one line per series over a common axis.

    Parameters
    ----------
    series
        Values by legend label; each series' index is the horizontal axis.
    xlabel, ylabel
        Axis labels, with units.
    title
        What the figure shows.
    events
        Positions on the horizontal axis to mark with a vertical line, such as retrainings.
    """
    with subplots() as (figure, axes):
        for (label, values), marker in zip(series.items(), MARKERS, strict=False):
            axes.plot(values.index, values.to_numpy(), label=label, marker=marker, markersize=3)
        for position in events:
            axes.axvline(position, color="0.6", linewidth=0.8, linestyle=":")
        _finish(axes, xlabel, ylabel, title)
    return figure


def calibration(tables: Mapping[str, pd.DataFrame], *, title: str = "Calibration") -> Figure:
    """Draw predicted against observed late rates; tables as :func:`course_lib.evaluation.calibration_table` returns."""
    with subplots(width=4.6, height=4.2) as (figure, axes):
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=":", label="perfect")
        top = 0.0
        for (label, table), marker in zip(tables.items(), MARKERS, strict=False):
            axes.plot(table["predicted"], table["observed"], label=label, marker=marker, markersize=4)
            top = max(top, float(table[["predicted", "observed"]].to_numpy().max()))
        axes.set_xlim(0, min(1.0, top * 1.1))
        axes.set_ylim(0, min(1.0, top * 1.1))
        _finish(axes, "predicted share of late flights (0–1)", "observed share of late flights (0–1)", title)
    return figure


def _finish(axes: Axes, xlabel: str, ylabel: str, title: str) -> None:
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.set_title(title)
    axes.legend()
    for label in axes.get_xticklabels():
        label.set_rotation(0)


def _show_with_alt_text() -> None:
    """In a notebook, send figures as HTML images. Done after each one: setting up its backend, Matplotlib undoes it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return
    from matplotlib.figure import Figure

    formatters = shell.display_formatter.formatters
    if Figure in formatters["image/png"].type_printers:  # the inline backend is in use, and would send a PNG
        formatters["image/png"].pop(Figure)
        formatters["text/html"].for_type(Figure, _as_html)


def _as_html(figure: Figure) -> str:
    from base64 import b64encode
    from html import escape
    from io import BytesIO

    image = BytesIO()
    figure.savefig(image, format="png", bbox_inches="tight", facecolor=figure.get_facecolor())
    return f'<img alt="{escape(alt_text(figure))}" src="data:image/png;base64,{b64encode(image.getvalue()).decode()}">'
