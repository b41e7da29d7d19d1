"""`python -m course_lib.interview`: practise for the interview in a terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from course_lib.errors import CourseError
from course_lib.interview.bank import InterviewError, Question, find, load, of_topic
from course_lib.interview.history import Attempt, History
from course_lib.interview.practice import choose, practise, show

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["main"]

UNUSABLE = 2  # exit code where a command could not do its work

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def interview(
    question: Annotated[str, typer.Argument(help="The name of a question; default: what you need most.")] = "",
    *,
    topic: Annotated[str, typer.Option(help="Only this topic: a notebook's number or a word such as monitoring.")] = "",
    listed: Annotated[bool, typer.Option("--list", help="List the questions and your last result for each.")] = False,
    shown: Annotated[bool, typer.Option("--show", help="Print the question with its points; ask nothing.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="How many questions to ask.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Choose the same question again.")] = None,
    history: Annotated[Path | None, typer.Option(help="File that remembers your practice.")] = None,
) -> None:
    """Practise interview questions: read, answer in your own words, then judge your answer by its points."""
    out, record = _console(), History(history)
    questions = load()
    if topic:
        questions = of_topic(questions, topic)
    if listed:
        _list(questions, record.last(), out)
        return
    if shown:
        show(find(questions, question) if question else choose(questions, record.last(), seed=seed), out)
        return
    _require_terminal()
    for _ in range(1 if question else rounds):
        _round(find(questions, question) if question else choose(questions, record.last(), seed=seed), record, out)


def _round(question: Question, record: History, out: Console) -> None:
    attempt = practise(question, input, out)
    if attempt is None:
        return
    record.add(attempt)
    out.print(f"Practised so far: {len(record.last())} of {len(load())} questions. Kept in {record.path}", markup=False)


def _list(questions: tuple[Question, ...], last: dict[str, Attempt], out: Console) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("name", "topic", "last", "question"):
        table.add_column(column, no_wrap=column != "question", overflow="fold")
    for one in questions:
        done = last.get(one.id)
        result = f"{done.earned}/{done.total}" if done else "–"
        table.add_row(one.id, one.topic, result, ("★ " if one.core else "") + one.text)
    out.print(table)
    practised = sum(one.id in last for one in questions)
    out.print(f"\n{len(questions)} questions, {practised} practised. ★: the five that the course is built around.")


def _require_terminal() -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InterviewError(
            "Practice asks and waits for your answer, and this is no terminal.",
            expected="a terminal, such as JupyterLab's (File → New → Terminal)",
            next_step="in a pipe use --list, or --show with the name of a question",
        )


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    out = Console(stderr=stderr, highlight=False)
    return out if out.is_terminal else Console(stderr=stderr, highlight=False, width=140)


def main() -> None:
    """Run the command line; an expected error is a message and exit code 2, never a traceback."""
    try:
        app()
    except CourseError as error:
        _console(stderr=True).print(str(error), style="red", markup=False)
        sys.exit(UNUSABLE)
    except (EOFError, KeyboardInterrupt):
        _console(stderr=True).print("\nStopped. This answer was not kept.")
        sys.exit(130)


if __name__ == "__main__":
    main()
