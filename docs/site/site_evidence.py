"""What the last run of the course gave, as a page."""

from __future__ import annotations

from typing import Any

__all__ = ["evidence_page"]


def evidence_page(report: dict[str, Any] | None) -> str:
    """Return the page on what the last run of the course gave, or on how to make one."""
    if report is None:
        return (
            "# Evidence\n\nNo run of the course was found when this site was built. `make course` runs and grades "
            "every notebook and writes `build/course-report.json`; `make site` then shows it here.\n"
        )
    lines = [
        "# Evidence",
        "",
        f"What `make course` gave on {report['made']}, with Python {report['python']}, on {report['machine']}.",
        "The reference has to earn every point, and the learner's copy none before anybody has solved it.",
        "",
        "| notebook | result | reference | untouched copy | time | peak memory |",
        "|---|---|---|---|---|---|",
        *map(_evidence_row, report["notebooks"]),
        "",
        "## Engines on that machine",
        "",
        "| engine | version |",
        "|---|---|",
        *(
            f"| {engine['name']} | {engine['version'] or 'not found: ' + engine['without']} |"
            for engine in report["engines"]
        ),
        "",
        "## Exercises, and the answers that prove their checks",
        "",
        "Each wrong answer is a named misconception that has to lose points with its own message; each",
        "alternative is a right answer written differently that has to earn everything. `make answers` tries them all.",
        "",
        "| exercise | points | wrong answers | alternatives |",
        "|---|---|---|---|",
    ]
    for notebook in report["notebooks"]:
        for one in notebook["exercises"]:
            title = one["title"].replace("|", "\\|")
            lines.append(
                f"| {one['number']} {title} | {one['points']:g} | {one['misconceptions']} | {one['alternatives']} |"
            )
    return "\n".join([*lines, ""])


def _evidence_row(notebook: dict[str, Any]) -> str:
    if notebook["status"] == "not written":
        return f"| {notebook['title']} | not written | – | – | – | – |"
    return (
        f"| {notebook['title']} | {notebook['status']} | {notebook['points']:g} of {notebook['max_points']:g} "
        f"| {notebook['learner_points']:g} of {notebook['max_points']:g} | {notebook['seconds']:.1f} s "
        f"| {notebook['peak_mb']:.0f} MB |"
    )
