"""What a learner gets back: points and a message for each check, as HTML and as Markdown. Never test source."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

from autograder.authoring.assignments import Assignment
from autograder.model import CheckResult, Exercise, Result
from autograder.reports.files import write_atomically

__all__ = ["feedback_html", "feedback_markdown", "write_feedback"]

_LABELS = {"visible": "Check", "hidden": "Hidden tests", "manual": "Answer"}
_STYLE = """
:root{color-scheme:light dark;--ok:#00695c;--bad:#b3261e;--soft:#8884;--wait:#8a6d00}
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}
h1{margin-bottom:0}h2{margin:1.6rem 0 .4rem;font-size:1.1rem;display:flex;justify-content:space-between;gap:1rem}
.score{font-size:1.6rem}.bar{height:.6rem;background:var(--soft);border-radius:.3rem}
.bar i{display:block;height:100%;border-radius:.3rem;background:var(--ok)}
li{list-style:none;margin:.4rem 0;padding-left:1.6rem;position:relative;white-space:pre-wrap;overflow-wrap:anywhere}
ul{padding:0;margin:.2rem 0}li::before{position:absolute;left:0;font-weight:bold}
.ok::before{content:"✓";color:var(--ok)}.bad::before{content:"✗";color:var(--bad)}
.part::before{content:"◐";color:var(--wait)}.wait::before{content:"…";color:var(--wait)}
.pts{opacity:.75}.note{border-left:.25rem solid var(--wait);padding:.2rem .8rem;margin:1rem 0}
details{margin:.3rem 0 .3rem 1.6rem}code{background:var(--soft);padding:0 .2em;border-radius:.2em}
@media (prefers-color-scheme:dark){:root{--ok:#4db6ac;--bad:#ff8a80;--wait:#ffd54f}}
"""


def write_feedback(result: Result, assignment: Assignment, folder: Path, *, penalty: float = 0.0) -> None:
    """Write ``NAME.html`` and ``NAME.md`` for one submission into ``folder``."""
    write_atomically(folder / f"{result.notebook}.html", feedback_html(result, assignment, penalty=penalty))
    write_atomically(folder / f"{result.notebook}.md", feedback_markdown(result, assignment, penalty=penalty))


def feedback_html(result: Result, assignment: Assignment, *, penalty: float = 0.0) -> str:
    """Return the feedback as one HTML file that loads nothing and runs nothing."""
    share = 100 * result.score / result.max_score if result.max_score else 0.0
    body = [
        f"<h1>{_e(assignment.spec.title)}</h1><p>{_e(result.student)} · {_e(result.notebook)}</p>",
        f'<p class="score">{result.score:g} of {result.max_score:g} points</p>',
        f'<div class="bar" role="img" aria-label="{share:.0f} percent"><i style="width:{share:.1f}%"></i></div>',
        *(f'<p class="note">{_e(note)}</p>' for note in _notes(result, penalty)),
    ]
    for exercise, checks in _exercises(result, assignment):
        body.append(_section(exercise, checks, assignment.hints.get(exercise.number, ())))
    if manual := [c for c in result.checks if c.check.kind == "manual"]:
        body.append(f"<h2><span>Written answers</span></h2><ul>{''.join(map(_item, manual))}</ul>")
    if result.repairs:
        items = "".join(f"<li>{_e(repair)}</li>" for repair in result.repairs)
        body.append(f"<h2><span>Repairs made before grading</span></h2><ul>{items}</ul>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width"><title>'
        f"{_e(result.notebook)} · {_e(result.student)}</title><style>{_STYLE}</style></head><body>"
        + "\n".join(body)
        + "</body></html>\n"
    )


def feedback_markdown(result: Result, assignment: Assignment, *, penalty: float = 0.0) -> str:
    """Return the feedback as Markdown, for a terminal, a mail or an issue."""
    lines = [
        f"# {assignment.spec.title}",
        "",
        f"{result.student} · **{result.score:g} of {result.max_score:g} points**",
    ]
    lines += ["", *(f"> {_line(note)}" for note in _notes(result, penalty))]
    for exercise, checks in _exercises(result, assignment):
        lines += ["", f"## {_heading(exercise)} — {_earned(checks):g} of {exercise.points:g}", ""]
        lines += [_bullet(check) for check in checks]
        if any(not check.passed for check in checks):
            hints = assignment.hints.get(exercise.number, ())
            lines += [f"- Hint {n}: {' '.join(hint.split())}" for n, hint in enumerate(hints, 1)]
    if manual := [c for c in result.checks if c.check.kind == "manual"]:
        lines += ["", "## Written answers", "", *(_bullet(check) for check in manual)]
    if result.repairs:
        lines += ["", "## Repairs made before grading", "", *(f"- {_line(repair)}" for repair in result.repairs)]
    return "\n".join(lines) + "\n"


def _notes(result: Result, penalty: float) -> Iterator[str]:
    if result.reason:
        what = "could not be graded" if result.status == "rejected" else "could not be run to its end"
        yield f"This notebook {what}. {result.reason}"
    if penalty:
        yield f"It was handed in late: {penalty:g} points are taken off in the gradebook."


def _exercises(result: Result, assignment: Assignment) -> Iterator[tuple[Exercise, list[CheckResult]]]:
    for exercise in assignment.spec.exercises:
        yield exercise, [c for c in result.checks if c.check.exercise == exercise.number and c.check.kind != "manual"]


def _heading(exercise: Exercise) -> str:
    return f"Exercise {exercise.number}" + (f" · {exercise.title}" if exercise.title != exercise.number else "")


def _earned(checks: list[CheckResult]) -> float:
    return sum(check.points or 0.0 for check in checks)


def _section(exercise: Exercise, checks: list[CheckResult], hints: tuple[str, ...]) -> str:
    points = f'<span class="pts">{_earned(checks):g} of {exercise.points:g}</span>'
    parts = [f"<h2><span>{_e(_heading(exercise))}</span>{points}</h2><ul>{''.join(map(_item, checks))}</ul>"]
    if any(not check.passed for check in checks):
        parts += [
            f"<details><summary>Hint {number}</summary>{_prose(hint)}</details>" for number, hint in enumerate(hints, 1)
        ]
    return "".join(parts)


def _item(check: CheckResult) -> str:
    if check.points is None:
        kind, earned = "wait", f"up to {check.check.points:g}"
    else:
        kind = "ok" if check.passed else ("part" if check.points else "bad")
        earned = f"{check.points:g} of {check.check.points:g}"
    label = _LABELS[check.check.kind]
    return f'<li class="{kind}"><b>{label}</b> <span class="pts">({earned})</span> {_e(check.message)}</li>'


def _bullet(check: CheckResult) -> str:
    mark = "…" if check.points is None else "✓" if check.passed else "◐" if check.points else "✗"
    earned = f"up to {check.check.points:g}" if check.points is None else f"{check.points:g} of {check.check.points:g}"
    return f"- {mark} {_LABELS[check.check.kind]} ({earned}): {_line(check.message)}"


def _line(text: str) -> str:
    """Return ``text`` in one line in which Markdown and HTML mean nothing."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", " ".join(text.split()))


def _prose(text: str) -> str:
    """Return a hint as HTML: escaped, with code and paragraphs."""
    escaped = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", _e(text))
    return "".join(f"<p>{paragraph}</p>" for paragraph in re.split(r"\n\s*\n", escaped))


def _e(text: str) -> str:
    return html.escape(text, quote=True)
