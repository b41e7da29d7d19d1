"""The course's report as a page: what passed, how long it took, what was left out and why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autograder.course.model import CourseReport, NotebookReport
from autograder.reports.page import render_page
from autograder.reports.terminal import clock

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["executed_page", "report_page"]


def report_page(report: CourseReport) -> str:
    """Return the whole report as one HTML page that loads nothing from anywhere."""
    written = [notebook for notebook in report.notebooks if notebook.status != "not written"]
    again = sum(not notebook.since for notebook in written)
    return render_page(
        __package__,
        "report.html.j2",
        report=report,
        written=written,
        later=[notebook for notebook in report.notebooks if notebook.status == "not written"],
        verdict=_verdict(written),
        ran=f"{again} run now, {len(written) - again} unchanged since an earlier run" if written else "",
        numbers=_numbers(report, written),
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


def _verdict(written: list[NotebookReport]) -> str:
    failed = sum(notebook.status == "failed" for notebook in written)
    if not written:
        return "No notebook is written yet"
    if len(written) == 1:
        return f"The one notebook that ran {'failed' if failed else 'passes'}"
    return f"{failed} of {len(written)} notebooks failed" if failed else f"All {len(written)} notebooks pass"


def _numbers(report: CourseReport, written: list[NotebookReport]) -> list[tuple[str, str]]:
    exercises = [exercise for notebook in written for exercise in notebook.exercises]
    points, most = sum(n.points for n in written), sum(n.max_points for n in written)
    return [
        (f"{len(written)} of {len(report.notebooks)}", "notebooks written"),
        (f"{points:g} of {most:g}", "points earned by the references"),
        (f"{sum(n.learner_points for n in written):g}", "points earned by untouched copies"),
        (clock(sum(n.seconds for n in written)), "to run every reference"),
        (f"{max((n.peak_mb for n in written), default=0):,.0f} MB", "memory at the peak"),
        (str(sum(e.misconceptions for e in exercises)), f"misconceptions in {len(exercises)} exercises"),
    ]
