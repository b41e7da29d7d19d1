"""Figures of the container notebook: what a change makes a builder do again, and what an image's layers weigh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from course_lib.containers.engine.results import Build
from course_lib.plots import COLOURS, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["layer_sizes", "rebuild_costs"]

_KINDS = ("base image", "packages", "files", "other")
_LOOKS = dict(zip(_KINDS, ((COLOURS[3], ""), (COLOURS[1], "///"), (COLOURS[5], "..."), ("0.7", "xx")), strict=True))


def rebuild_costs(builds: Mapping[str, Build]) -> Figure:
    """Draw what each build had to do: seconds where an engine built, megabytes of layers to redo in plan mode."""
    real = all(build.seconds is not None for build in builds.values())
    rows = {name: {"packages": 0.0, "files": 0.0, "other": 0.0} for name in builds}
    for name, build in builds.items():
        sizes = dict(build.layers)
        for step in build.steps:
            if not step.cached:
                rows[name][_kind(step.text)] += (step.seconds or 0.0) if real else sizes.get(step.text, 0) / 1e6
        if real and build.seconds is not None:
            rows[name]["other"] += max(build.seconds - sum(rows[name].values()), 0.0)
    title = "What a change makes the builder do again" + ("" if real else " (plan mode)")
    return _bars(rows, "seconds" if real else "size of the layers made again (MB)", title)


def layer_sizes(builds: Mapping[str, Build]) -> Figure:
    """Draw the layers of several images as stacked bars, in megabytes."""
    rows = {name: dict.fromkeys(_KINDS, 0.0) for name in builds}
    for name, build in builds.items():
        for n, (text, size) in enumerate(build.layers):
            rows[name]["base image" if n == 0 else _kind(text)] += size / 1e6
    plan = any(build.mode == "plan" for build in builds.values())
    return _bars(rows, "size of the image (MB)", "What the layers weigh" + (" (estimated)" if plan else ""))


def _kind(text: str) -> str:
    if "pip install" in text or "/venv" in text:
        return "packages"
    return "files" if "COPY" in text.split(" ", 2)[:2] else "other"


def _bars(rows: Mapping[str, Mapping[str, float]], xlabel: str, title: str) -> Figure:
    names = list(rows)
    with subplots(height=1.2 + 0.6 * len(names)) as (figure, axes):
        left = [0.0] * len(names)
        kinds = [kind for kind in _KINDS if any(kind in row for row in rows.values())]
        for kind in kinds:
            colour, hatch = _LOOKS[kind]
            values = [rows[name].get(kind, 0.0) for name in names]
            axes.barh(names, values, left=left, label=kind, color=colour, hatch=hatch, edgecolor="white")
            left = [start + value for start, value in zip(left, values, strict=True)]
        for place, end in enumerate(left):
            axes.annotate(f" {end:.1f}" if end < 10 else f" {end:.0f}", (end, place), va="center")
        axes.set_xlim(0, max(left) * 1.12 or 1)
        axes.invert_yaxis()
        axes.set_xlabel(xlabel)
        axes.set_title(title)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=4)
        axes.grid(axis="y", visible=False)
    return figure
