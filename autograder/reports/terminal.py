"""How the commands talk to a person: one console, and a progress line for each notebook that runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from autograder.runners.run import CellEvent

__all__ = ["Board", "board", "clock", "console", "watching"]


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


class Board:
    """Progress lines of runs that go on at the same time; a line disappears when its run ends."""

    def __init__(self, out: Console, progress: Progress) -> None:
        self.out, self._progress = out, progress

    @contextlib.contextmanager
    def watching(self, title: str) -> Iterator[Callable[[CellEvent], None]]:
        """Show a line for the length of the block; without a terminal, say that the run began.

        Yields
        ------
        Callable
            What `run_notebook` takes as ``on_cell``.
        """
        if not self.out.is_terminal:
            self.out.print(f"  running {title}", style="dim")
        task = self._progress.add_task(title, total=None, cell="starting a kernel")

        def show(event: CellEvent) -> None:
            done = event.index + (event.state == "done")
            self._progress.update(task, total=event.total, completed=done, cell=event.name[:40])

        try:
            yield show
        finally:
            self._progress.remove_task(task)


@contextlib.contextmanager
def board(out: Console) -> Iterator[Board]:
    """Yield a board that stands below what is printed in the block, from any thread."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[cell]}"), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        yield Board(out, progress)


@contextlib.contextmanager
def watching(title: str, out: Console) -> Iterator[Callable[[CellEvent], None]]:
    """Show how far one run is; see :meth:`Board.watching`."""
    with board(out) as lines, lines.watching(title) as show:
        yield show
