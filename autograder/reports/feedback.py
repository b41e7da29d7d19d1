"""What a learner gets back: points and a message for each check, as HTML and as Markdown. Never test source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from autograder.authoring.assignments import Assignment
from autograder.model import CheckResult, Exercise, GradebookRow
from autograder.reports.files import write_atomically
from autograder.reports.page import render_page
from autograder.text import visible

__all__ = ["feedback_html", "feedback_markdown", "write_feedback"]

_LABELS = {"visible": "Check", "hidden": "Hidden tests", "manual": "Answer"}
_MAX_LINE = 100_000  # characters
_MARKS = {"ok": "✓", "bad": "✗", "part": "◐", "wait": "…"}


def write_feedback(row: GradebookRow, assignment: Assignment, folder: Path) -> None:
    """Write ``NAME.html`` and ``NAME.md`` for one submission into ``folder``."""
    name = row.result.notebook
    write_atomically(folder / f"{name}.html", feedback_html(row, assignment))
    write_atomically(folder / f"{name}.md", feedback_markdown(row, assignment))


def feedback_html(row: GradebookRow, assignment: Assignment) -> str:
    """Return the feedback as one HTML file that loads nothing and runs nothing."""
    return render_page(
        __package__,
        "feedback.html.j2",
        title=assignment.spec.title,
        result=row.result,
        final=row.final,
        most=row.most,
        share=100 * min(1.0, row.final / row.most) if row.most else 0.0,
        notes=_notes(row, assignment),
        exercises=_exercises(row, assignment),
        manual=_manual(row),
        comments=row.comments,
        labels=_LABELS,
        state=_state,
        points=_points,
        heading=_heading,
        earned=_earned,
        paragraphs=_paragraphs,
    )


def feedback_markdown(row: GradebookRow, assignment: Assignment) -> str:
    """Return the feedback as Markdown, for a terminal, a mail or an issue."""
    lines = [
        f"# {assignment.spec.title}",
        "",
        f"{_line(row.result.name)} · **{_number(row.final)} of {_number(row.most)} points**",
    ]
    lines += ["", *(f"> {_line(note)}" for note in _notes(row, assignment))]
    for exercise, checks, hints in _exercises(row, assignment):
        earned, most = _earned(checks)
        lines += ["", f"## {_heading(exercise)} — {_number(earned)} of {_number(most)}", ""]
        lines += [_bullet(check) for check in checks]
        lines += _comment(row, exercise.solution_id)
        lines += [f"- Hint {n}: {' '.join(hint.split())}" for n, hint in enumerate(hints, 1)]
    if manual := _manual(row):
        lines += ["", "## Written answers", ""]
        for check in manual:
            lines += [_bullet(check), *_comment(row, check.check.grade_id)]
    if row.result.repairs:
        lines += ["", "## Repairs made before grading", "", *(f"- {_line(repair)}" for repair in row.result.repairs)]
    return "\n".join(lines) + "\n"


def _notes(row: GradebookRow, assignment: Assignment) -> Iterator[str]:
    if row.result.reason:
        what = "could not be graded" if row.result.status == "rejected" else "could not be run to its end"
        yield f"This notebook {what}. {row.result.reason}"
    if row.waits:
        most = sum(check.check.points for check in row.checks if check.check.grade_id in row.waits)
        yield f"This is not final: a person has yet to look at answers worth up to {_number(most)} points."
    if extra := sum(mark.extra for mark in row.marks if mark.points is not None):
        yield f"{_number(extra)} points of extra credit are among them."
    if row.penalty:
        yield f"It was handed in late: {_number(row.penalty)} points are taken off."
    shown = {exercise.solution_id for exercise, *_ in _exercises(row, assignment)}
    shown |= {check.check.grade_id for check in row.checks}
    for cell in row.comments.keys() - shown:
        yield f"Comment on {cell}: {row.comments[cell]}"


def _manual(row: GradebookRow) -> list[CheckResult]:
    return [check for check in row.checks if check.check.kind == "manual"]


def _comment(row: GradebookRow, cell: str) -> list[str]:
    """Return what a person wrote about ``cell``."""
    return [f"- Comment: {_line(row.comments[cell])}"] if cell in row.comments else []


def _exercises(
    row: GradebookRow, assignment: Assignment
) -> Iterator[tuple[Exercise, list[CheckResult], tuple[str, ...]]]:
    """Yield each exercise with its checks, and with its hints if it lost points.

    A check of an exercise that the notebook no longer has comes last: it counts too.
    """
    graded: dict[str, list[CheckResult]] = {}
    for check in row.checks:
        if check.check.kind != "manual":
            graded.setdefault(check.check.exercise, []).append(check)
    known = {exercise.number: exercise for exercise in assignment.spec.exercises}
    for number in [*(n for n in known if n in graded), *(n for n in graded if n not in known)]:
        checks = graded[number]
        exercise = known.get(number) or Exercise(number, number, "ex-" + number.replace(".", "-"), ())
        yield exercise, checks, () if all(c.passed for c in checks) else assignment.hints.get(exercise.number, ())


def _heading(exercise: Exercise) -> str:
    if not exercise.number[:1].isdigit():  # of another course: the title says more than the name of a cell
        return exercise.title or exercise.number
    return f"Exercise {exercise.number}" + (f" · {exercise.title}" if exercise.title != exercise.number else "")


def _earned(checks: list[CheckResult]) -> tuple[float, float]:
    return sum(check.points or 0.0 for check in checks), sum(check.check.points for check in checks)


def _number(value: float) -> str:
    return f"{round(value, 4):g}"


def _state(check: CheckResult) -> str:
    if check.points is None:
        return "wait"
    return "ok" if check.passed else ("part" if check.points else "bad")


def _points(check: CheckResult) -> str:
    most = _number(check.check.points)
    return f"up to {most}" if check.points is None else f"{_number(check.points)} of {most}"


def _bullet(check: CheckResult) -> str:
    return f"- {_MARKS[_state(check)]} {_LABELS[check.check.kind]} ({_points(check)}): {_line(check.message)}"


def _line(text: str) -> str:
    """Return ``text`` in one line in which Markdown and HTML mean nothing, and everything can be seen."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", " ".join(visible(text, _MAX_LINE).split()))


def _paragraphs(text: str) -> list[list[str]]:
    """Return the paragraphs of a hint; in each, text and code take turns."""
    return [re.split(r"`([^`\n]+)`", paragraph) for paragraph in re.split(r"\n\s*\n", text)]
