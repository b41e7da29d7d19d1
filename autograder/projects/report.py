"""Report of a graded project: Markdown for its own README, an HTML page, and what was measured, apart.

The first two are the same, byte for byte, when the same project is graded again: no date, no duration, no path.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.reports.style import STYLE

if TYPE_CHECKING:
    from autograder.projects.model import ProjectReport

__all__ = ["as_html", "as_markdown", "measurements", "write_report"]

_HOW = (
    "Graded in a sandbox, offline: installed into a fresh environment on top of the course's, trained, started and "
    "asked from outside. What the evidence quotes is the project's own word."
)
_MORE = "table{width:100%;border-collapse:collapse}td,th{text-align:left;vertical-align:top;padding:.4em .6em}"


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
    lines = [f"## {report.title}: {report.points} of {report.most} points", "", _HOW, ""]
    lines += ["| | Requirement | Points | Evidence |", "|---|---|---|---|"]
    for requirement, result in report.rows:
        mark, earned = ("✓", requirement.points) if result.passed else ("✗", 0)
        lines.append(
            f"| {mark} | **{requirement.id}** {_plain(requirement.title)} | {earned}/{requirement.points} "
            f"| {_plain(result.evidence)} |"
        )
    failed = [(requirement, result) for requirement, result in report.rows if not result.passed]
    if failed:
        lines += ["", "### What to do next", ""]
        lines += [f"- **{requirement.id}**: {_plain(requirement.advice)}" for requirement, f in failed if f.tried]
    lines += ["", *(f"> {_plain(note)}" for note in report.notes)]
    return "\n".join(lines).rstrip() + "\n"


def as_html(report: ProjectReport) -> str:
    """Return the report as one page that loads nothing from anywhere."""
    rows = "".join(
        f'<tr><td><span class="pill {"passed" if f.passed else "failed"}">{"✓" if f.passed else "✗"}</span></td>'
        f"<td><b>{escape(r.id)}</b><br>{escape(r.title)}</td><td>{r.points if f.passed else 0}/{r.points}</td>"
        f"<td>{escape(f.evidence)}{'' if f.passed or not f.tried else f'<br><i>{escape(r.advice)}</i>'}</td></tr>"
        for r, f in report.rows
    )
    title = f"{report.title}: {report.points} of {report.most} points"
    notes = "".join(f"<p>{escape(note)}</p>" for note in report.notes)
    head = "<tr><th></th><th>Requirement</th><th>Points</th><th>Evidence, and what to do</th></tr>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{STYLE}{_MORE}</style></head>\n<body><main>"
        f'<p class="over">Practice project · {escape(report.project)}</p><h1>{escape(title)}</h1>'
        f'<p class="soft">{escape(_HOW)}</p><table>{head}{rows}</table>{notes}</main></body></html>\n'
    )


def measurements(report: ProjectReport) -> dict[str, object]:
    """Return what differs from one run to the next: seconds by stage, and what each requirement measured."""
    measured = {requirement.id: result.measured for requirement, result in report.rows if result.measured}
    return {"seconds": {name: round(value, 1) for name, value in report.seconds.items()}, "measured": measured}


def _plain(text: str) -> str:
    """Return text that stays in one cell of a table, whatever a project printed."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return words.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
