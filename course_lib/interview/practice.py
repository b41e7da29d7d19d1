"""One round of practice: ask, read the answer, show the points, let the author judge."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from course_lib.interview.bank import InterviewError, Question
from course_lib.interview.history import Attempt
from course_lib.interview.proofs import resolve

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["choose", "practise", "show"]

END = "."  # alone on a line, it ends an answer
Read = Callable[[str], str]


def choose(questions: Sequence[Question], last: Mapping[str, Attempt], *, seed: int | None = None) -> Question:
    """Return the question to practise next: one never tried, else the one with the lowest share, the oldest first.

    Parameters
    ----------
    questions
        Those to choose from; at least one.
    last
        The newest answer by question.
    seed
        Decides between questions of equal rank; the same seed and history give the same question.
    """
    if not questions:
        raise InterviewError("There is no question to choose from.", expected="at least one")
    shuffled = list(questions)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - no secret hangs on it
    return min(shuffled, key=lambda q: (last[q.id].share, last[q.id].at) if q.id in last else (-1.0, ""))


def practise(question: Question, read: Read, out: Console) -> Attempt | None:
    """Ask one question and return the attempt, or ``None`` if nothing was answered.

    Parameters
    ----------
    question
        What to ask.
    read
        Called with a prompt, returns one line; raises ``EOFError`` at the end of the input, as :func:`input` does.
    out
        Where everything is printed.
    """
    out.print(f"[bold]{question.topic}[/bold] · {question.id}\n")
    out.print(question.text, style="bold cyan", markup=False)
    out.print("\nAnswer as you would say it, in five to ten sentences.")
    out.print(f"A line with only a full stop ({END}) ends it.\n")
    answer = _answer(read)
    out.print()
    earned = _judge(question, read, out, asked=bool(answer))
    _more(question, out)
    if not answer:
        out.print("\nNothing was answered, so nothing is kept.")
        return None
    out.print(f"\n[bold]{earned} of {question.total} points[/bold]")
    return Attempt(question.id, datetime.now(UTC).isoformat(timespec="seconds"), earned, question.total, answer)


def show(question: Question, out: Console) -> None:
    """Print a question with everything that the bank knows about it."""
    out.print(f"[bold]{question.topic}[/bold] · {question.id}\n")
    out.print(question.text, style="bold cyan", markup=False)
    out.print()
    _judge(question, lambda _: "0", out, asked=False)
    _more(question, out)


def _answer(read: Read) -> str:
    lines: list[str] = []
    while True:
        try:
            line = read("> ")
        except EOFError:
            break
        if line.strip() == END:
            break
        lines.append(line)
    return "\n".join(lines).strip()


def _judge(question: Question, read: Read, out: Console, *, asked: bool) -> int:
    out.print("[bold]A good answer holds[/bold]" + (" (how many points did yours earn?)" if asked else ""))
    earned = 0
    for point in question.points:
        _bullet(f"{point.says} ({point.weight})", out)
        if asked:
            earned += _points(point.weight, read, out)
    return earned


def _points(most: int, read: Read, out: Console) -> int:
    while True:
        text = read(f"    0 to {most}: ").strip()
        if text.isdecimal() and int(text) <= most:
            return int(text)
        out.print(f"    A whole number from 0 to {most} was expected.", style="red")


def _more(question: Question, out: Console) -> None:
    for title, lines in (("Often heard, and weak", question.weak), ("They may ask next", question.follow_ups)):
        out.print(f"\n[bold]{title}[/bold]")
        for line in lines:
            _bullet(line, out)
    out.print("\n[bold]Proved in code by[/bold]")
    for proof in map(resolve, question.proof):
        _bullet(f"{proof.label}: {proof.command}", out)


def _bullet(text: str, out: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1, 0, 2))
    grid.add_row("·", Text(text))
    out.print(grid)
