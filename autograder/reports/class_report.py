"""The class at a glance: ``report.json`` for scripts and ``report.html`` for the person who teaches it."""

from __future__ import annotations

import html
import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.authoring.assignments import Assignment
from autograder.model import GradebookRow, Refusal
from autograder.reports.files import write_atomically

__all__ = ["ClassReport", "report_html", "summary", "write_report"]

_BINS = 5  # of the share of an exercise's points, besides exactly zero and exactly full
_MOST_MESSAGES = 8  # for each exercise
_SLOWEST = 10
_STYLE = """
:root{color-scheme:light dark;--a:#0b6e99;--soft:#8883;--bad:#b3261e}
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}td,th{padding:.3rem .6rem;text-align:left;
border-bottom:1px solid var(--soft);vertical-align:top;overflow-wrap:anywhere}
td.n,th.n{text-align:right;white-space:nowrap}
.tiles{display:flex;flex-wrap:wrap;gap:1rem}.tile{border:1px solid var(--soft);border-radius:.5rem;padding:.6rem 1rem}
.tile b{display:block;font-size:1.6rem}.bars{display:flex;align-items:end;gap:2px;height:2.4rem;min-width:9rem}
.bars i{flex:1;background:var(--a);min-height:1px}.bad{color:var(--bad)}small{opacity:.75}
@media (prefers-color-scheme:dark){:root{--a:#5cb8e0;--bad:#ff8a80}}
"""


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


def write_report(report: ClassReport, folder: Path, *, limits: dict[str, Any]) -> None:
    """Write ``report.json`` and ``report.html`` into ``folder``; ``limits`` are quoted in both."""
    values = summary(report, limits=limits)
    write_atomically(folder / "report.json", json.dumps(values, indent=2, ensure_ascii=False) + "\n")
    write_atomically(folder / "report.html", report_html(values))


def summary(report: ClassReport, *, limits: dict[str, Any]) -> dict[str, Any]:
    """Return everything the report says, as plain values."""
    rows = report.rows
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
            "wait_for_a_person": sum(any(c.points is None for c in row.result.checks) for row in rows),
        },
        "notebooks": [
            _notebook(a, own) for a in report.assignments if (own := [r for r in rows if r.result.notebook == a.name])
        ],
        "slowest": [
            {**_who(r), "seconds": round(r.result.seconds, 2), "peak_mb": round(r.result.peak_mb)} for r in slowest
        ],
        "failed": [{**_who(r), "reason": r.result.reason} for r in rows if r.result.status == "failed"],
        "rejected": [{**_who(r), "reason": r.result.reason} for r in rows if r.result.status == "rejected"],
        "refused_files": [{"path": refusal.path, "reason": refusal.reason} for refusal in report.refused],
        "repairs": [{**_who(r), "repairs": list(r.result.repairs)} for r in rows if r.result.repairs],
        "late": [{**_who(r), "seconds": r.late_seconds, "penalty": r.penalty} for r in rows if r.late_seconds > 0],
        "identical": _identical(rows),
        "grader_failures": list(report.broken),
    }


def _who(row: GradebookRow) -> dict[str, str]:
    return {"student": row.result.student, "notebook": row.result.notebook}


def _notebook(assignment: Assignment, rows: Sequence[GradebookRow]) -> dict[str, Any]:
    graded = [row.result for row in rows if row.result.status != "rejected"]
    scores = sorted(result.score for result in graded)
    return {
        "name": assignment.name,
        "title": assignment.spec.title,
        "points": assignment.spec.points,
        "submissions": len(graded),
        "mean": round(sum(scores) / len(scores), 3) if scores else None,
        "median": scores[len(scores) // 2] if scores else None,
        "exercises": [_exercise(exercise.number, assignment, rows) for exercise in assignment.spec.exercises],
    }


def _exercise(number: str, assignment: Assignment, rows: Sequence[GradebookRow]) -> dict[str, Any]:
    exercise = next(e for e in assignment.spec.exercises if e.number == number)
    shares: list[float] = []
    messages: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.result.status == "rejected":
            continue
        checks = [c for c in row.result.checks if c.check.exercise == number and c.check.kind != "manual"]
        earned = sum(c.points or 0.0 for c in checks)
        shares.append(earned / exercise.points if exercise.points else 1.0)
        if missed := next((c for c in checks if not c.passed), None):
            messages[re.sub(r"\d+(?:[.,]\d+)*", "#", missed.message)].append(missed.message)
    common = sorted(messages.values(), key=lambda texts: (-len(texts), texts[0]))[:_MOST_MESSAGES]
    return {
        "number": number,
        "title": exercise.title,
        "points": exercise.points,
        "mean_share": round(sum(shares) / len(shares), 3) if shares else None,
        "distribution": _distribution(shares),
        "messages": [{"message": texts[0], "count": len(texts)} for texts in common],
    }


def _distribution(shares: Sequence[float]) -> list[dict[str, Any]]:
    """Count nothing, everything, and fifths between them: what lies at the ends means something else."""
    counts = Counter("0" if s <= 0 else "1" if s >= 1 else str(min(_BINS - 1, int(s * _BINS))) + "b" for s in shares)
    between = [(f"{100 * b // _BINS}–{100 * (b + 1) // _BINS} %", counts[f"{b}b"]) for b in range(_BINS)]
    return [{"share": label, "count": n} for label, n in [("0 %", counts["0"]), *between, ("100 %", counts["1"])]]


def _identical(rows: Sequence[GradebookRow]) -> list[dict[str, Any]]:
    """Group students whose cells are the same, apart from those who handed in the notebook as they got it."""
    groups: dict[str, list[GradebookRow]] = defaultdict(list)
    for row in rows:
        if row.key and row.result.score > 0:
            groups[row.key].append(row)
    return [
        {"notebook": group[0].result.notebook, "students": sorted(row.result.student for row in group)}
        for group in groups.values()
        if len(group) > 1
    ]


def report_html(values: dict[str, Any]) -> str:
    """Return the report as one HTML file that loads nothing and runs nothing."""
    counts, grader = values["submissions"], values["grader"]
    tiles = [
        (counts["students"], "students"),
        (counts["graded"], "graded"),
        (counts["failed"], "failed"),
        (counts["rejected"], "rejected"),
        (counts["wait_for_a_person"], "wait for a person"),
        (counts["from_cache"], "from cache"),
    ]
    body = ["<h1>Grading report</h1>", f"<p>{counts['all']} submissions in {grader['seconds']:g} s with "]
    body.append(f"{grader['workers']} workers, executor <code>{_e(grader['executor'])}</code>.</p>")
    body.append('<div class="tiles">' + "".join(f'<div class="tile"><b>{n}</b>{t}</div>' for n, t in tiles) + "</div>")
    body += [_notebook_html(notebook) for notebook in values["notebooks"]]
    body.append(_table("Rejected", values["rejected"]))
    body.append(_table("Failed", values["failed"]))
    body.append(_table("Refused files", values["refused_files"]))
    body.append(_table("The grader itself failed", [{"submission": text} for text in values["grader_failures"]]))
    body.append(_table("Late", values["late"]))
    groups = [{"notebook": g["notebook"], "students": ", ".join(g["students"])} for g in values["identical"]]
    body.append(_table("Identical submissions", groups))
    body.append(_table("Slowest", values["slowest"]))
    body.append(
        _table("Repairs made before grading", [{**m, "repairs": " ".join(m["repairs"])} for m in values["repairs"]])
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width"><title>Grading report</title>'
        f"<style>{_STYLE}</style></head><body>" + "\n".join(body) + "</body></html>\n"
    )


def _notebook_html(notebook: dict[str, Any]) -> str:
    mean = "–" if notebook["mean"] is None else f"{notebook['mean']:.3g}"
    head = f"<h2>{_e(notebook['name'])} · {_e(notebook['title'])}</h2><p>Mean {mean} of {notebook['points']:g} points, "
    rows = "".join(_exercise_html(exercise) for exercise in notebook["exercises"])
    return (
        f"{head}{notebook['submissions']} submissions.</p><table><tr><th>Exercise</th><th class='n'>Mean</th>"
        f"<th>Scores, 0 to 100 %</th><th>What went wrong, how often</th></tr>{rows}</table>"
    )


def _exercise_html(exercise: dict[str, Any]) -> str:
    most = max((b["count"] for b in exercise["distribution"]), default=0) or 1
    label = ", ".join(f"{b['share']}: {b['count']}" for b in exercise["distribution"] if b["count"])
    bars = "".join(f'<i style="height:{100 * b["count"] / most:.0f}%"></i>' for b in exercise["distribution"])
    said = "".join(f"<div><b>{m['count']}×</b> {_e(m['message'])}</div>" for m in exercise["messages"])
    mean = "–" if exercise["mean_share"] is None else f"{100 * exercise['mean_share']:.0f} %"
    title = "" if exercise["title"] == exercise["number"] else f"<br><small>{_e(exercise['title'])}</small>"
    return (
        f"<tr><td>{_e(exercise['number'])}{title}</td><td class='n'>{mean}</td>"
        f'<td><div class="bars" role="img" aria-label="{_e(label)}" title="{_e(label)}">{bars}</div></td>'
        f"<td>{said}</td></tr>"
    )


def _table(title: str, rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
    keys = list(rows[0])
    head = "".join(f"<th>{_e(key)}</th>" for key in keys)
    body = "".join("<tr>" + "".join(f"<td>{_e(str(row[key]))}</td>" for key in keys) + "</tr>" for row in rows)
    return f"<h2>{_e(title)} ({len(rows)})</h2><table><tr>{head}</tr>{body}</table>"


def _e(text: str) -> str:
    return html.escape(text, quote=True)
