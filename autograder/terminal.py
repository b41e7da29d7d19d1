"""How the commands talk to a person: one console, and one progress line while a notebook runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from autograder.running import CellEvent

__all__ = ["clock", "console", "watching"]


def console(*, stderr: bool = False) -> Console:
    """Return a console that wraps nothing and colours only what it is told to."""
    from rich.console import Console

    out = Console(stderr=stderr, soft_wrap=True, highlight=False)
    return out if out.is_terminal else Console(stderr=stderr, soft_wrap=True, highlight=False, width=140)


def clock(seconds: float) -> str:
    """Return a duration for people.

    >>> clock(7.25), clock(83)
    ('7.2 s', '1 min 23 s')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


@contextlib.contextmanager
def watching(title: str, out: Console) -> Iterator[Callable[[CellEvent], None]]:
    """Show how far a run is, on one line that disappears when the block ends; without a terminal, say that it began.

    Yields
    ------
    Callable
        What `run_notebook` takes as ``on_cell``.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    if not out.is_terminal:
        out.print(f"  running {title}", style="dim")
    columns = (TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[cell]}"), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task(title, total=None, cell="starting a kernel")

        def show(event: CellEvent) -> None:
            done = event.index + (event.state == "done")
            progress.update(task, total=event.total, completed=done, cell=event.name[:40])

        yield show
