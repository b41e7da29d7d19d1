"""The course's report as a page: what passed, how long it took, what was left out and why."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from autograder.course.model import CourseReport, EngineReport, NotebookReport
from autograder.reports.style import STYLE
from autograder.reports.terminal import clock

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["executed_page", "report_page"]

_RING = 2 * 3.14159 * 25  # circumference of the score's ring


def report_page(report: CourseReport) -> str:
    """Return the whole report as one HTML page that loads nothing from anywhere."""
    written = [notebook for notebook in report.notebooks if notebook.status != "not written"]
    later = [notebook for notebook in report.notebooks if notebook.status == "not written"]
    parts = [
        _head(report, written),
        _numbers(report, written),
        _strip(report.notebooks),
        _left_out(report, later),
        '<section class="cards">',
        *(_card(notebook, report.engines) for notebook in written),
        "</section>",
        _later(later),
        _foot(report),
    ]
    title = "Course report"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head>\n<body><main>\n" + "\n".join(filter(None, parts)) + "\n</main></body></html>\n"
    )


def executed_page(notebook: NotebookNode, title: str) -> str:
    """Return an executed notebook as an HTML page, without the scripts that nbconvert would load from the network.

    One of these draws Mermaid diagrams: they are shown as their text, and drawn in JupyterLab only.
    """
    from nbconvert import HTMLExporter

    nowhere = dict.fromkeys(("mathjax_url", "require_js_url", "jquery_url", "mermaid_js_url"), "")
    exporter = HTMLExporter(embed_images=True, **nowhere)  # type: ignore[no-untyped-call]
    resources = {"metadata": {"name": title}}
    page, _ = exporter.from_notebook_node(notebook, resources=resources)  # type: ignore[no-untyped-call]
    page = re.sub(
        r'<div class="jp-Mermaid"><pre class="mermaid">', '<div><pre class="diagram">', page
    )  # else invisible
    scripts = re.compile(r"<script\b[^>]*>.*?</script>", re.S)
    return scripts.sub(lambda found: "" if re.search(r'src=""|https?://', found[0]) else found[0], page)


def _head(report: CourseReport, written: list[NotebookReport]) -> str:
    failed = sum(notebook.status == "failed" for notebook in written)
    if not written:
        verdict = "No notebook is written yet"
    elif len(written) == 1:
        verdict = f"The one notebook that ran {'failed' if failed else 'passes'}"
    else:
        verdict = f"{failed} of {len(written)} notebooks failed" if failed else f"All {len(written)} notebooks pass"
    again = sum(not notebook.since for notebook in written)
    ran = f"{again} run now, {len(written) - again} unchanged since an earlier run" if written else ""
    return (
        '<p class="over">The late-flight desk · course report</p>'
        f'<h1>{verdict}</h1><p class="soft">{escape(report.made)} · {ran} · {clock(report.seconds)} in all</p>'
    )


def _numbers(report: CourseReport, written: list[NotebookReport]) -> str:
    exercises = [exercise for notebook in written for exercise in notebook.exercises]
    points, most = sum(n.points for n in written), sum(n.max_points for n in written)
    tiles = [
        (f"{len(written)} of {len(report.notebooks)}", "notebooks written"),
        (f"{points:g} of {most:g}", "points earned by the references"),
        (f"{sum(n.learner_points for n in written):g}", "points earned by untouched copies"),
        (clock(sum(n.seconds for n in written)), "to run every reference"),
        (f"{max((n.peak_mb for n in written), default=0):,.0f} MB", "memory at the peak"),
        (str(sum(e.misconceptions for e in exercises)), f"misconceptions in {len(exercises)} exercises"),
    ]
    cells = "".join(f"<div><b>{value}</b><span>{what}</span></div>" for value, what in tiles)
    return f'<div class="numbers">{cells}</div>'


def _strip(notebooks: Iterable[NotebookReport]) -> str:
    items = []
    for notebook in notebooks:
        number, title = notebook.name[:2], escape(f"{notebook.title}: {notebook.status}")
        if notebook.status == "not written":
            items.append(f'<li><span class="unwritten" title="{title}">{number}</span></li>')
        else:
            items.append(f'<li><a class="{notebook.status}" href="#n{number}" title="{title}">{number}</a></li>')
    return f'<ul class="strip" aria-label="The notebooks">{"".join(items)}</ul>'


def _left_out(report: CourseReport, later: list[NotebookReport]) -> str:
    missing = [engine for engine in report.engines if not engine.version]
    lines = [f"<b>{escape(e.name)}</b> was not found on this machine: {escape(e.without)}." for e in missing]
    if later:
        numbers = ", ".join(notebook.name[:2] for notebook in later)
        lines.append(f"<b>{len(later)} notebooks</b> ({numbers}) are not written yet.")
    if not lines:
        return (
            '<div class="left none"><h2>Nothing was left out</h2><p>Every engine the course uses was found.</p></div>'
        )
    items = "".join(f"<li>{line}</li>" for line in lines)
    hint = "<p><code>make engines</code> installs what Debian or Ubuntu has.</p>" if missing else ""
    return f'<div class="left"><h2>Left out, and why</h2><ul>{items}</ul>{hint}</div>'


def _card(notebook: NotebookReport, engines: Iterable[EngineReport]) -> str:
    number = notebook.name[:2]
    since = f'<div class="soft since">unchanged since {escape(notebook.since)}</div>' if notebook.since else ""
    parts = [
        f'<article class="card" id="n{number}"><header><span class="number">{number}</span><div>'
        f"<h2>{escape(notebook.title)}</h2>"
        f'<span class="pill {notebook.status}">{_mark(notebook)} {notebook.status}</span>{since}</div>'
        f"{_ring(notebook)}</header>",
        *(f'<div class="problem">{escape(problem)}</div>' for problem in notebook.problems),
        *(f'<div class="note">{escape(note)}</div>' for note in notebook.notes),
    ]
    if notebook.seconds:
        parts += [_time(notebook), _exercises(notebook), _engines(notebook, engines), _slowest(notebook)]
    return "".join(filter(None, parts)) + "</article>"


def _mark(notebook: NotebookReport) -> str:
    return "✓" if notebook.status == "passed" else "✗"


def _ring(notebook: NotebookReport) -> str:
    if not notebook.max_points:
        return ""
    share = notebook.points / notebook.max_points
    label = f"{notebook.points:g} of {notebook.max_points:g} points"
    return (
        f'<svg class="ring{"" if share == 1 else " low"}" viewBox="0 0 60 60" role="img" aria-label="{label}">'
        f'<title>{label}</title><circle cx="30" cy="30" r="25"/><circle class="value" cx="30" cy="30" r="25" '
        f'stroke-dasharray="{share * _RING:.1f} {_RING:.1f}" transform="rotate(-90 30 30)"/>'
        f'<text x="30" y="34.5" text-anchor="middle">{100 * share:.0f} %</text></svg>'
    )


def _time(notebook: NotebookReport) -> str:
    share = min(1.0, notebook.seconds / notebook.budget)
    late = " over-budget" if notebook.seconds > notebook.budget else ""
    link = f'<a href="{escape(notebook.executed)}">read it executed</a>' if notebook.executed else ""
    took = f"{clock(notebook.seconds)} of a budget of {notebook.budget:g} s; {clock(notebook.cpu_seconds)} of processor"
    return (
        f'<div class="part"><div class="row"><span>{took}</span>'
        f"<span>{notebook.peak_mb:,.0f} MB at the peak</span></div>"
        f'<div class="bar{late}"><i style="width:{100 * share:.1f}%"></i></div>'
        f'<div class="row soft"><span>untouched copy: {notebook.learner_points:g} points, '
        f"{clock(notebook.learner_seconds)}</span><span>{notebook.cells} cells · {link}</span></div></div>"
    )


def _exercises(notebook: NotebookReport) -> str:
    if not notebook.exercises:
        return ""
    rows = "".join(
        f"<tr><td>{e.number}</td><td>{escape(e.title)}</td><td>{e.points:g}</td>"
        f"<td>{e.misconceptions} wrong, {e.alternatives} right</td></tr>"
        for e in notebook.exercises
    )
    head = "<tr><th></th><th>Exercise</th><th>Points</th><th>Answers on file</th></tr>"
    return f'<div class="part"><table>{head}{rows}</table></div>'


def _engines(notebook: NotebookReport, engines: Iterable[EngineReport]) -> str:
    used = [engine for engine in engines if engine.key in notebook.engines]
    chips = "".join(
        f'<span class="chip">{escape(e.name)} {escape(e.version)}</span>'
        if e.version
        else f'<span class="chip gone" title="{escape(e.without)}">{escape(e.name)} not found</span>'
        for e in used
    )
    return f'<div class="part"><h3>Engines</h3>{chips}</div>' if chips else ""


def _slowest(notebook: NotebookReport) -> str:
    shown = [(cell, seconds) for cell, seconds in notebook.slowest if seconds >= 0.05]
    rows = "".join(
        f'<div class="row"><code>{escape(cell)}</code><span>{clock(seconds)}</span></div>' for cell, seconds in shown
    )
    return f'<div class="part"><h3>Slowest cells</h3>{rows}</div>' if rows else ""


def _later(later: list[NotebookReport]) -> str:
    items = "".join(f"<li>{notebook.name[:2]} · {escape(notebook.title)}</li>" for notebook in later)
    return f'<section><h2>Not written yet</h2><ul class="later">{items}</ul></section>' if items else ""


def _foot(report: CourseReport) -> str:
    found = ", ".join(f"{engine.name} {engine.version}" for engine in report.engines if engine.version) or "none"
    machine = f"Python {report.python} · {report.machine}"
    return f"<footer><p>{escape(machine)}</p><p>Engines found: {escape(found)}</p></footer>"
