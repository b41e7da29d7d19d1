"""Evidence for people who don't run the course: versions, time, memory and date of each notebook, as Markdown.

Read from `build/course-report.json`; several reports, such as those of a matrix of jobs, become one page. It needs the
standard library alone: a job without the course's environment can run ``python -m autograder.reports.evidence FOLDER``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograder.reports.terminal import clock
from course_lib.errors import CourseError

__all__ = ["EvidenceError", "evidence", "main", "read_reports"]

_MARKS = {"passed": "✅", "failed": "❌", "not written": "–"}
_NEEDED = {"made", "python", "machine", "notebooks", "engines"}


class EvidenceError(CourseError):
    """There is no report to read, or it is none of ours."""


def read_reports(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Read course reports; a folder stands for every `course-report.json` below it.

    Raises
    ------
    EvidenceError
        A file is missing or is no course report, or a folder holds none.
    """
    files: list[Path] = []
    for path in paths:
        files += sorted(path.rglob("course-report.json")) if path.is_dir() else [path]
    if not files:
        raise EvidenceError(
            f"There is no course report in {', '.join(map(str, paths))}.",
            expected="a file course-report.json",
            next_step="run `make course` first",
        )
    return [_read(file) for file in files]


def evidence(reports: Sequence[dict[str, Any]], *, title: str = "Evidence") -> str:
    """Return the reports as one page of Markdown: what broke first, then a row for each notebook of each report."""
    rows = sorted(
        ((notebook, report) for report in reports for notebook in report["notebooks"] if _ran(notebook)),
        key=lambda row: (row[0]["name"], row[1]["python"]),
    )
    broken = [(notebook, report) for notebook, report in rows if notebook["status"] == "failed"]
    parts = [
        f"## {title}",
        _verdict(rows, broken),
        *(_failure(*row) for row in broken),
        _table(rows),
        _machines(reports),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the evidence of the reports that the command line names; exit code 2 if there is none to read."""
    parser = argparse.ArgumentParser(prog="python -m autograder.reports.evidence", description=__doc__.splitlines()[0])
    parser.add_argument("reports", nargs="+", type=Path, help="course reports, or folders with some")
    parser.add_argument("--title", default="Evidence", help="heading of the page")
    options = parser.parse_args(arguments)
    try:
        sys.stdout.write(evidence(read_reports(options.reports), title=options.title))
    except EvidenceError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def _read(file: Path) -> dict[str, Any]:
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvidenceError(
            f"{file} cannot be read: {error}", expected="a course report", next_step="run `make course` again"
        ) from error
    if not isinstance(report, dict) or not report.keys() >= _NEEDED:
        raise EvidenceError(
            f"{file} is no course report.",
            expected="what `make course` writes",
            next_step="name its course-report.json",
        )
    return report


def _ran(notebook: dict[str, Any]) -> bool:
    return str(notebook["status"]) != "not written"


def _verdict(rows: Sequence[Any], broken: Sequence[Any]) -> str:
    if not rows:
        return "No notebook ran."
    if broken:
        return f"**{len(broken)} of {len(rows)} runs failed.** What broke:"
    runs = "The one run passes" if len(rows) == 1 else f"All {len(rows)} runs pass"
    return f"{runs}: every reference earns all points, every untouched copy none."


def _failure(notebook: dict[str, Any], report: dict[str, Any]) -> str:
    problems = "\n".join(f"- {_inline(problem)}" for problem in notebook["problems"]) or "- it gave no reason"
    return f"### ❌ {notebook['name'][:2]} {notebook['title']} (Python {report['python']})\n\n{problems}"


def _table(rows: Sequence[Any]) -> str:
    if not rows:
        return ""
    lines = ["| | Notebook | Points | Time | Processor | Peak memory | Python | Engines it used | Run on |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for notebook, report in rows:
        when = (notebook.get("since") or report["made"])[:16]
        cells = [
            _MARKS.get(notebook["status"], "?"),
            f"{notebook['name'][:2]} {_inline(notebook['title'])}",
            f"{notebook['points']:g} of {notebook['max_points']:g}",
            clock(notebook["seconds"]),
            clock(notebook["cpu_seconds"]),
            f"{notebook['peak_mb']:,.0f} MB",
            report["python"],
            _engines(notebook, report),
            when,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _engines(notebook: dict[str, Any], report: dict[str, Any]) -> str:
    known = {engine["key"]: engine for engine in report["engines"]}
    used = [known[key] for key in notebook["engines"] if key in known]
    return ", ".join(f"{engine['name']} {engine['version'] or '(not found)'}" for engine in used) or "–"


def _machines(reports: Sequence[dict[str, Any]]) -> str:
    machines = sorted({report["machine"] for report in reports})
    return "Machine: " + "; ".join(machines) + ". Times are of one run; memory is the peak over all its processes."


def _inline(text: str) -> str:
    """Return text that Markdown shows as it is, on one line and inside a table."""
    one_line = " ".join(str(text).split())
    return one_line.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


if __name__ == "__main__":
    main()
