"""The class at a glance: ``report.json`` for scripts and ``report.html`` for the person who teaches it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from autograder.authoring.assignments import Assignment
from autograder.model import GradebookRow, Refusal
from autograder.reports.class_statistics import course_statistics, notebook_statistics
from autograder.reports.files import write_atomically
from autograder.reports.item_analysis import SMALLEST
from autograder.reports.page import render_page
from autograder.text import bounded_json

__all__ = ["ClassReport", "report_html", "summary", "write_report", "write_report_again"]

_SLOWEST = 10
_LONG = ("note", "reason", "repairs", "students", "path")  # columns of tables that hold sentences


@dataclass(frozen=True)
class ClassReport:
    """What grading a class gave."""

    assignments: tuple[Assignment, ...]
    rows: tuple[GradebookRow, ...]
    refused: tuple[Refusal, ...]
    grader: str  # its version
    executor: str
    workers: int
    seconds: float
    broken: tuple[str, ...]  # submissions on which the grader itself failed
    on_grades: tuple[str, ...] = ()  # what to know about the grades, as they are now
    on_submissions: tuple[str, ...] = ()  # layout, collisions, what was ignored: nothing but a run can say it
    graded: tuple[str, ...] = ()  # the notebooks of this run; rows hold those of earlier runs too

    @property
    def notes(self) -> tuple[str, ...]:
        """All that the instructor must know."""
        return *self.on_submissions, *self.on_grades


def write_report(report: ClassReport, folder: Path, *, limits: dict[str, Any]) -> None:
    """Write ``report.json`` and ``report.html`` into ``folder``; ``limits`` are quoted in both."""
    values = bounded_json(summary(report, limits=limits), items=10**8, characters=10**10)  # file names included
    write_atomically(folder / "report.json", json.dumps(values, indent=2, ensure_ascii=False) + "\n")
    write_atomically(folder / "report.html", report_html(values))


def write_report_again(
    rows: Sequence[GradebookRow], assignments: Sequence[Assignment], notes: Sequence[str], folder: Path
) -> None:
    """Write both again with the grades as they are now; what is said of the run is taken from ``report.json``."""
    try:
        last = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        run = dict(last["grader"])
        known = {key: run.pop(key) for key in ("version", "executor", "workers", "seconds")}
        refused = tuple(Refusal(file["path"], file["reason"]) for file in last["refused_files"])
        broken = tuple(last["grader_failures"])
        on_submissions = tuple(last.get("notes_on_submissions", ()))
    except (OSError, ValueError, KeyError, TypeError):
        return  # there was no whole run yet
    report = ClassReport(
        tuple(assignments),
        tuple(rows),
        refused,
        known["version"],
        known["executor"],
        known["workers"],
        known["seconds"],
        broken,
        tuple(notes),
        on_submissions,
    )
    write_report(report, folder, limits=run)


def summary(report: ClassReport, *, limits: dict[str, Any]) -> dict[str, Any]:
    """Return everything the report says, as plain values."""
    rows = report.rows
    loaded = frozenset(assignment.name for assignment in report.assignments)  # their feedback has just been written
    who = partial(_who, loaded=loaded)
    states = Counter(row.result.status for row in rows)
    ran = [row for row in rows if row.key]
    slowest = sorted(ran, key=lambda row: -row.result.seconds)[:_SLOWEST]
    return {
        "grader": {
            "version": report.grader,
            "executor": report.executor,
            "workers": report.workers,
            "seconds": round(report.seconds, 2),
            **limits,
        },
        "submissions": {
            "all": len(rows),
            "students": len({row.result.student for row in rows}),
            "graded": states["graded"],
            "failed": states["failed"],
            "rejected": states["rejected"],
            "from_cache": sum("cached" in row.result.extra for row in rows),
            "wait_for_a_person": sum(bool(row.waits) for row in rows),
        },
        "notes": list(report.notes),
        "notes_on_submissions": list(report.on_submissions),
        "course": course_statistics(rows),
        "notebooks": [
            notebook_statistics(a, own)
            for a in report.assignments
            if (own := [row for row in rows if row.result.notebook == a.name])
        ],
        "students": _students(rows, loaded),
        "slowest": [
            {**who(r), "seconds": round(r.result.seconds, 2), "peak_mb": round(r.result.peak_mb)} for r in slowest
        ],
        "failed": [{**who(r), "reason": r.result.reason} for r in rows if r.result.status == "failed"],
        "rejected": [{**who(r), "reason": r.result.reason} for r in rows if r.result.status == "rejected"],
        "refused_files": [{"path": refusal.path, "reason": refusal.reason} for refusal in report.refused],
        "repairs": [{**who(r), "repairs": list(r.result.repairs)} for r in rows if r.result.repairs],
        "late": [{**who(r), "seconds": r.late_seconds, "penalty": r.penalty} for r in rows if r.late_seconds > 0],
        "identical": _identical(rows),
        "grader_failures": list(report.broken),
    }


def _who(row: GradebookRow, loaded: frozenset[str]) -> dict[str, str]:
    """Return whose row it is, with the address of its feedback page, seen from the report."""
    parts = ("feedback", row.result.student, f"{row.result.notebook}.html")
    link = "/".join(quote(part, safe="") for part in parts) if row.result.notebook in loaded else ""
    return {"student": row.result.name, "notebook": row.result.notebook, "feedback": link}


def _students(rows: Sequence[GradebookRow], loaded: frozenset[str]) -> list[dict[str, Any]]:
    """Return what each student earned in each notebook, with the address of the feedback."""
    people: dict[str, list[GradebookRow]] = defaultdict(list)
    for row in rows:
        people[row.result.student].append(row)
    return [
        {
            "student": own[0].result.name,
            "key": student,
            "results": [
                {
                    **_who(row, loaded),
                    "status": row.result.status,
                    "points": round(row.final, 4),
                    "most": round(row.most, 4),
                    "waits": len(row.waits),
                }
                for row in own
            ],
        }
        for student, own in people.items()
    ]


def _identical(rows: Sequence[GradebookRow]) -> list[dict[str, Any]]:
    """Group students whose cells are the same, apart from those who handed in the notebook as they got it."""
    groups: dict[str, list[GradebookRow]] = defaultdict(list)
    for row in rows:
        if row.key and row.result.score > 0:
            groups[row.key].append(row)
    return [
        {"notebook": group[0].result.notebook, "students": sorted(row.result.name for row in group)}
        for group in groups.values()
        if len(group) > 1
    ]


def report_html(values: dict[str, Any]) -> str:
    """Return the report as one HTML file that loads nothing and runs nothing."""
    tables = [
        ("What to know about the submissions and the grades", [{"note": note} for note in values["notes"]]),
        ("Rejected", values["rejected"]),
        ("Failed", values["failed"]),
        ("Refused files", values["refused_files"]),
        ("The grader itself failed", [{"submission": text} for text in values["grader_failures"]]),
        ("Late", values["late"]),
        (
            "Identical submissions",
            [{**group, "students": ", ".join(group["students"])} for group in values["identical"]],
        ),
        ("Slowest", values["slowest"]),
        ("Repairs made before grading", [{**row, "repairs": " ".join(row["repairs"])} for row in values["repairs"]]),
    ]
    return render_page(
        __package__,
        "class_report.html.j2",
        counts=values["submissions"],
        grader=values["grader"],
        course=values["course"],
        notebooks=values["notebooks"],
        students=values["students"],
        smallest=SMALLEST,
        long=_LONG,
        tables=tables,
    )
