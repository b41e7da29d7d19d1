"""What a learner runs in the terminal: the visible checks of one notebook, and the first thing to fix on top."""

from __future__ import annotations

import hashlib
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.authoring.assignments import Assignment
from autograder.authoring.course_list import read_list
from autograder.authoring.format import (
    exercise_of,
    grading,
    kind_of,
    resolve_names,
    spec_of,
)
from autograder.grading.notebook.read import Rejected, read_submission
from autograder.grading.score import score
from autograder.model import CheckResult, Exercise, NotebookSpec
from autograder.reports.terminal import clock
from autograder.runners.papermill import run_notebook
from autograder.runners.run import CellEvent, Fault, NotebookRun, faults
from course_lib import progress
from course_lib.errors import CourseError

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from rich.console import Console

__all__ = ["CheckError", "Checkup", "check_notebook", "find_notebook", "keep_progress", "show_checkup"]

_STUB = 'raise NotImplementedError("Exercise '
_NOT_STARTED = "not started"


class CheckError(CourseError):
    """A notebook cannot be checked: it is missing, unreadable, or holds no checks."""


@dataclass(frozen=True)
class Checkup:
    """The visible checks of one notebook after they ran."""

    spec: NotebookSpec
    results: tuple[CheckResult, ...]
    started: frozenset[str]  # numbers of the exercises whose stub was replaced
    first: str  # the first thing to fix; empty if there is none
    notes: tuple[str, ...]
    seconds: float

    @property
    def points(self) -> float:
        """Points earned by the visible checks."""
        return sum(result.points or 0.0 for result in self.results)

    @property
    def max_points(self) -> float:
        """Points of the visible checks."""
        return sum(result.check.points for result in self.results)


def find_notebook(word: str, root: Path) -> Path:
    """Return the file that ``word`` means: a path, or a number or name of a notebook in `notebooks/`.

    Raises
    ------
    CheckError
        There is no such file.
    UnknownNotebookError
        The course has no such notebook.
    """
    path = Path(word)
    if path.suffix != ".ipynb" and not path.is_file():
        here = sorted(file.stem for file in (root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
        known = [*here, *(one.name for one in read_list(root) if one.name not in here)]
        path = root / "notebooks" / f"{resolve_names([word], known)[0]}.ipynb"
    if not path.is_file():
        raise CheckError(
            f"There is no file {path.name} in {path.parent.name or 'this folder'}.",
            expected="a notebook, or a number such as 01",
            next_step="look into notebooks/, or write it again with `python -m autograder build`",
        )
    return path


def check_notebook(
    path: Path,
    *,
    kernel_name: str = "python3",
    time_limit: float = 300.0,
    on_cell: Callable[[CellEvent], None] | None = None,
) -> Checkup:
    """Run the notebook at ``path`` as it is, going on after failing cells, and score its visible checks.

    Raises
    ------
    CheckError
        The file is no notebook, or holds no checks.
    RunError
        No kernel could be started.
    """
    notebook = _read(path)
    spec = spec_of(notebook, path.stem)
    if not any(check.kind == "visible" for exercise in spec.exercises for check in exercise.checks):
        raise CheckError(
            f"{path.name} holds no exercise with a check.",
            expected="a notebook of this course",
            next_step="if its cells were deleted, take a fresh copy with `python -m autograder build`",
        )
    notebook.cells = [cell for cell in notebook.cells if kind_of(str(grading(cell).get("grade_id"))) != "hidden"]
    run = run_notebook(notebook, allow_errors=True, time_limit=time_limit, kernel_name=kernel_name, on_cell=on_cell)
    untouched = {
        c.metadata.nbgrader.grade_id for c in notebook.cells if grading(c).get("solution") and _STUB in c.source
    }
    results = score(run, Assignment(spec, notebook, notebook), untouched=untouched)
    visible = tuple(result for result in results if result.check.kind == "visible")
    started = frozenset(e.number for e in spec.exercises if e.solution_id not in untouched)
    return Checkup(spec, visible, started, _first(run, visible), tuple(_notes(notebook, spec)), run.seconds)


def keep_progress(checkup: Checkup, notebooks: Path) -> None:
    """Add what the checks said to the progress of the learner whose ``notebooks`` these are, for the welcome page."""
    file, now = progress.file_for(notebooks), time.time()
    if file is None:
        return
    for exercise in checkup.spec.exercises:
        results = [result for result in checkup.results if result.check.exercise == exercise.number]
        if not results:
            continue
        passed = all(result.passed for result in results)
        status: progress.Status = "passed" if passed else "failed" if exercise.number in checkup.started else "open"
        points = sum(result.points or 0.0 for result in results)
        progress.record(progress.Outcome(exercise=exercise.number, status=status, points=points, at=now), file)


def show_checkup(checkup: Checkup, out: Console) -> None:
    """Print the first thing to fix, every exercise with its points, and the points so far."""
    from rich.table import Table
    from rich.text import Text

    out.print(Text(f"{checkup.spec.name} · {checkup.spec.title} · checked in {clock(checkup.seconds)}", style="bold"))
    if checkup.first:
        out.print(Text("First thing to fix", style="bold yellow"))
        out.print(Text(textwrap.indent(textwrap.fill(checkup.first, max(40, out.width - 4)), "  ") + "\n"))
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for exercise in checkup.spec.exercises:
        table.add_row(*_row(exercise, checkup))
    out.print(table, soft_wrap=False)
    for note in checkup.notes:
        out.print(Text(f"Note: {note}", style="yellow"))
    hidden = checkup.spec.points - checkup.max_points
    rest = f"; hidden tests bring up to {hidden:g} more when it is graded" if hidden else ""
    style = "bold green" if checkup.points == checkup.max_points else "bold"
    out.print(Text(f"{checkup.points:g} of {checkup.max_points:g} points so far{rest}", style=style))


def _read(path: Path) -> NotebookNode:
    read = read_submission(path)
    if isinstance(read, Rejected):
        raise CheckError(
            f"{path.name} cannot be read: {read.reason}",
            expected="a Jupyter notebook, saved by JupyterLab",
            next_step="open it in JupyterLab and save it again, or restore it from File > Revert to Checkpoint",
        )
    return read.notebook


def _row(exercise: Exercise, checkup: Checkup) -> tuple[str, str, str, str]:
    from rich.markup import escape

    results = [result for result in checkup.results if result.check.exercise == exercise.number]
    points = f"{sum(r.points or 0.0 for r in results):g}/{sum(r.check.points for r in results):g}"
    title = escape(f"{exercise.number} {exercise.title}")
    failed = next((result for result in results if not result.passed), None)
    if failed is None:
        return "[green]✓[/green]", title, points, "" if results else "[yellow]its check was deleted[/yellow]"
    if exercise.number not in checkup.started:
        return "[dim]·[/dim]", title, points, f"[dim]{_NOT_STARTED}[/dim]"
    return "[red]✗[/red]", title, points, escape(failed.message)


def _first(run: NotebookRun, results: tuple[CheckResult, ...]) -> str:
    """Return the first thing to fix, in the order of the notebook: what fails below may only follow from it."""
    messages = {result.check.grade_id: result for result in results if not result.passed}
    for fault in faults(run.notebook):
        if fault.cell in messages:
            return _with_exercise(messages[fault.cell])
        if fault.error != "NotImplementedError":
            return _elsewhere(fault)
    partial = next(iter(messages.values()), None)
    if partial is not None:
        return _with_exercise(partial)
    return run.died


def _with_exercise(result: CheckResult) -> str:
    prefix = f"Exercise {result.check.exercise}: "
    return prefix + result.message.removeprefix(prefix)  # the stub's own message names its exercise already


def _elsewhere(fault: Fault) -> str:
    number = exercise_of(fault.cell)
    place = f"Exercise {number}, your cell" if number else fault.cell
    return f"{place} stopped with {fault.error}: {fault.message}"


def _notes(notebook: NotebookNode, spec: NotebookSpec) -> list[str]:
    """Say what was done to the checks that grading will undo."""
    counts: dict[str, int] = {}
    notes = []
    for cell in notebook.cells:
        grade_id = str(grading(cell).get("grade_id", ""))
        counts[grade_id] = counts.get(grade_id, 0) + 1
        if (
            kind_of(grade_id) == "visible"
            and "checksum" in grading(cell)
            and _checksum(cell) != grading(cell)["checksum"]
        ):
            notes.append(f"{grade_id} was changed here; grading uses the original.")
    notes += [f"{grade_id} is there {count} times; the last one counts here." for grade_id, count in counts.items()
              if grade_id and count > 1]  # fmt: skip
    notes += [f"exercise {e.number} has lost its check." for e in spec.exercises if not e.checks]
    return notes


def _checksum(cell: NotebookNode) -> str:
    """Return nbgrader's checksum of a locked check (nbgrader.utils.compute_checksum), without its slow import."""
    meta = grading(cell)
    parts = (cell.source, cell.cell_type, "True", "False", "True", meta["grade_id"], str(float(meta["points"])))
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()
