"""Diagrams without a CDN: Mermaid is taken from the files that JupyterLab ships, the same version that draws notebooks.

JupyterLab's files are chunks of modules. Those that Mermaid needs are copied, and ``mermaid-loader.js`` loads them.
"""

from __future__ import annotations

import html
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive

from course_lib.errors import CourseError

__all__ = ["Diagram", "copy_mermaid"]

CHUNK = re.compile(r"\b\w\.e\((\d+)\)")
ENTRY = re.compile(
    r"Promise\.all\(\[((?:\w\.e\(\d+\),?)+)\]\)\.then\(\w\.bind\(\w,(\d+)\)\)\)\.default;return \w\(\w\)"
)
SHARED = re.compile(
    r"(\d+):\{shareScope:\"default\",[^{}]*?fallback:\(\)=>__webpack_require__\.e\((\d+)\)"
    r"\.then\(\(\)=>\(\)=>__webpack_require__\((\d+)\)\)"
)
ALIASES = re.compile(r"\b(\d+):\[((?:\"\d+\",?)+)\]")


class Diagram(Directive):
    """A fence called ``mermaid``: its text, which the browser replaces by the drawing."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the text as it is; readers without scripts see it too."""
        text = html.escape("\n".join(self.content))
        return [nodes.raw("", f'<pre class="mermaid">{text}</pre>', format="html")]


@dataclass(frozen=True)
class _Plan:
    """Which chunks to load, and how to start."""

    name: str  # of the list in which chunks announce themselves
    entry: int  # the module that is Mermaid
    start: tuple[str, ...]
    files: dict[str, Path]
    virtual: dict[str, list[tuple[str, str, int]]]  # chunk: (alias, chunk that holds it, module)


def copy_mermaid(target: Path, loader: Path, *, jupyterlab: Path | None = None) -> int:
    """Copy Mermaid and its loader to the folder `target`; return the number of files.

    Parameters
    ----------
    target
        Made if it does not exist.
    loader
        The script in which ``{"config": "here"}`` stands for the plan.
    jupyterlab
        JupyterLab's folder ``static``; by default the one of this environment.

    Raises
    ------
    CourseError
        JupyterLab is built in another way than this module knows.
    """
    plan = _plan(jupyterlab or Path(sys.prefix) / "share" / "jupyter" / "lab" / "static")
    target.mkdir(parents=True, exist_ok=True)
    for chunk, path in plan.files.items():
        (target / f"{chunk}.js").write_bytes(path.read_bytes())
    config = {"name": plan.name, "entry": plan.entry, "start": plan.start, "virtual": plan.virtual}
    script = loader.read_text(encoding="utf-8").replace('{"config": "here"}', json.dumps(config))
    (target / "loader.js").write_text(script, encoding="utf-8")
    return len(plan.files) + 1


def _plan(static: Path) -> _Plan:
    try:
        core = next(static.glob("jlab_core.*.js")).read_text(encoding="utf-8")
        main = next(static.glob("main.*.js")).read_text(encoding="utf-8")
        entry = ENTRY.search(core)
        assert entry is not None, "the place that loads Mermaid was not found in jlab_core"
        start = tuple(CHUNK.findall(entry.group(1)))
        files, virtual = _closure(start, static, main)
        announced = re.search(r"self\.(\w+)=", next(iter(files.values())).read_text(encoding="utf-8")[:400])
        assert announced is not None, "the chunks announce themselves in an unknown way"
    except (StopIteration, AssertionError, KeyError) as error:
        raise CourseError(
            f"Mermaid cannot be taken from {static}: {error or 'its files are not there'}.",
            expected="the files of JupyterLab 4.6",
            next_step="compare docs/site/site_mermaid.py with the newer JupyterLab",
        ) from error
    return _Plan(announced.group(1), int(entry.group(2)), start, files, virtual)


def _closure(
    start: tuple[str, ...], static: Path, main: str
) -> tuple[dict[str, Path], dict[str, list[tuple[str, str, int]]]]:
    """Return all chunks that can be asked for from `start` on, and the aliases for modules that are shared."""
    known = {path.name.partition(".")[0]: path for path in static.glob("[0-9]*.js")}
    shared = {alias: (chunk, int(module)) for alias, chunk, module in SHARED.findall(main)}
    aliases = {chunk: re.findall(r"\d+", listed) for chunk, listed in ALIASES.findall(main)}
    files: dict[str, Path] = {}
    virtual: dict[str, list[tuple[str, str, int]]] = {}
    waiting = list(start)
    while waiting:
        chunk = waiting.pop()
        if chunk in files or chunk in virtual:
            continue
        if chunk in known:
            files[chunk] = known[chunk]
            waiting += CHUNK.findall(known[chunk].read_text(encoding="utf-8"))
        else:
            virtual[chunk] = [(alias, *shared[alias]) for alias in aliases[chunk]]
            waiting += [carrier for _, carrier, _ in virtual[chunk]]
    return files, virtual
