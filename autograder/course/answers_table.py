"""Show the trial of a notebook's answers as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autograder.course.answers import Trial, Verdict
from autograder.reports.terminal import clock

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["show_mutants", "show_trial"]


def show_trial(trial: Trial, out: Console) -> None:
    """Print every answer of ``trial`` with what it earned, then what is wrong."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{trial.name} · {clock(trial.seconds)}", title_justify="left", show_edge=False)
    for column in ("exercise", "answer", "kind", "verdict", "points", "message"):
        table.add_column(column, justify="right" if column == "points" else "left", overflow="fold")
    for verdict in trial.verdicts:
        style = "red" if verdict.problem else "green"
        answer, points = verdict.answer, f"{verdict.points:g}/{verdict.max_points:g}"
        outcome = Text(_outcome(verdict), style=style)
        table.add_row(answer.exercise, Text(answer.title), answer.kind, outcome, points, Text(verdict.message))
    out.print(table, soft_wrap=False)
    for problem in trial.problems:
        out.print(Text(f"✗ {problem}", style="red"))
    failed = sum(bool(verdict.problem) for verdict in trial.verdicts)
    total = len(trial.verdicts)
    out.print(Text(f"{total - failed} of {total} answers earned what they should", style="red" if failed else "green"))


def show_mutants(trial: Trial, out: Console, least: float) -> bool:
    """Print the mutants of ``trial`` that kept full points, and each exercise's share of those that lost some.

    Returns
    -------
    bool
        Whether each exercise has at least the share ``least`` (0–1).
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{trial.name} · {clock(trial.seconds)}", title_justify="left", show_edge=False)
    for column in ("exercise", "mutants", "caught", "score"):
        table.add_column(column, justify="right")
    by_exercise: dict[str, list[Verdict]] = {}
    for verdict in trial.verdicts:
        by_exercise.setdefault(verdict.answer.exercise, []).append(verdict)
    enough = not trial.problems
    for number, verdicts in by_exercise.items():
        caught = sum(not verdict.problem for verdict in verdicts)
        share = caught / len(verdicts)
        enough = enough and share >= least
        style = "green" if share >= least else "red"
        table.add_row(number, str(len(verdicts)), str(caught), Text(f"{share:.1%}", style=style))
    for verdict in trial.verdicts:
        if verdict.problem:
            out.print(Text(f"✗ {verdict.answer.exercise} {verdict.answer.title}", style="red"))
    for problem in trial.problems:
        out.print(Text(f"✗ {problem}", style="red"))
    out.print(table)
    return enough


def _outcome(verdict: Verdict) -> str:
    if verdict.problem:
        return f"✗ {verdict.problem}"
    return "✓ caught" if verdict.answer.kind == "wrong" else "✓ accepted"
