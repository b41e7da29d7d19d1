"""Report of a graded project: Markdown for its own README, an HTML page, and what was measured, apart.

The first two are the same, byte for byte, when the same project is graded again: no date, no duration, no path.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.reports.page import render_page

if TYPE_CHECKING:
    from autograder.projects.model import ProjectReport

__all__ = ["as_html", "as_markdown", "measurements", "write_report"]

_METHOD = (
    "Graded in a sandbox, offline: installed into a fresh environment on top of the course's, trained, started and "
    "asked from outside. What the evidence quotes is the project's own word."
)


def write_report(report: ProjectReport, folder: Path) -> Path:
    """Write ``course-report.md``, ``course-report.html`` and ``measurements.json``; return the first."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "course-report.md"
    page.write_text(as_markdown(report), encoding="utf-8")
    (folder / "course-report.html").write_text(as_html(report), encoding="utf-8")
    (folder / "measurements.json").write_text(json.dumps(measurements(report), indent=2) + "\n", encoding="utf-8")
    return page


def as_markdown(report: ProjectReport) -> str:
    """Return the report as Markdown."""
    lines = [f"## {_plain(_title(report))}", "", _METHOD, ""]
    lines += ["| | Requirement | Points | Evidence |", "|---|---|---|---|"]
    for requirement, result in report.rows:
        mark, earned = ("✓", requirement.points) if result.passed else ("✗", 0)
        lines.append(
            f"| {mark} | **{_plain(requirement.id)}** {_plain(requirement.title)} | {earned}/{requirement.points} "
            f"| {_plain(result.evidence)} |"
        )
    failed = [(requirement, result) for requirement, result in report.rows if not result.passed]
    if failed:
        lines += ["", "### What to do next", ""]
        lines += [
            f"- **{_plain(requirement.id)}**: {_plain(requirement.advice)}" for requirement, f in failed if f.tried
        ]
    return "\n".join(lines).rstrip() + "\n"


def as_html(report: ProjectReport) -> str:
    """Return the report as one page that loads nothing from anywhere."""
    return render_page(__package__, "report.html.j2", report=report, title=_title(report), method=_METHOD)


def _title(report: ProjectReport) -> str:
    return f"{report.title}: {report.points} of {report.max_points} points"


def measurements(report: ProjectReport) -> dict[str, object]:
    """Return what differs from one run to the next: seconds by stage, and what each requirement measured."""
    measured = {requirement.id: result.measured for requirement, result in report.rows if result.measured}
    return {"seconds": {name: round(value, 1) for name, value in report.seconds.items()}, "measured": measured}


def _plain(text: str) -> str:
    """Return text that stays in one cell of a table, whatever a project printed."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return words.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("[", "\\[")
