"""The command ``grade``: choose what runs the notebooks, show progress, write the reports, and say what came of it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from autograder.authoring.assignments import course_catalogue
from autograder.authoring.format import course_root, resolve_names
from autograder.grading.classroom import Runner, grade_class
from autograder.grading.options import GradeOptions, GradingError
from autograder.model import Result
from autograder.reports.class_report import ClassReport, write_report
from autograder.reports.tables import write_exports
from autograder.runners.executor import Executor
from autograder.runners.pool import run_jobs

if TYPE_CHECKING:
    from rich.console import Console

    from autograder.sandbox.engine import SandboxName

__all__ = ["choose_executor", "grade_command", "read_roster"]


def grade_command(submissions: Path, out: Path, options: GradeOptions, *, root: Path | None = None) -> int:
    """Grade a class into ``out`` and say so on the terminal: the command ``grade``.

    Parameters
    ----------
    submissions
        A folder with a folder for each student, or a zip file from Canvas or Moodle.
    out
        Folder for gradebook, feedback and reports; an earlier run there is continued.
    options
        How.
    root
        The course's folder; by default the one around the current folder.

    Returns
    -------
    int
        0 when every submission has a result, rejected ones included; 1 when the grader itself failed on one.

    Raises
    ------
    CourseError
        Nothing could be graded at all.
    """
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False)
    catalogue = course_catalogue(root or course_root())
    options = replace(options, only=tuple(resolve_names(options.only, catalogue.names)))
    make_executor, name, warning = choose_executor(options.sandbox)
    if warning:
        console.print(f"[yellow]{warning}[/yellow]")
    with _progress(console) as (on_start, on_result):
        report = grade_class(
            submissions,
            out,
            catalogue=catalogue,
            make_executor=make_executor,
            executor_name=name,
            options=options,
            roster=read_roster(options.roster) if options.roster else (),
            runner=_runner(options),
            on_start=on_start,
            on_result=on_result,
        )
    limits = {name: getattr(options, name) for name in ("time_limit", "cell_limit", "sandbox")}
    write_exports(report.rows, report.assignments, out)
    write_report(report, out, limits=limits)
    _conclude(console, report, out)
    return 1 if report.broken else 0


def _runner(options: GradeOptions) -> Runner:
    """Return what spreads the work."""
    if options.executor == "local":
        return run_jobs
    from autograder.runners.ray_pool import run_on_ray

    return partial(run_on_ray, address=options.address)


def choose_executor(sandbox: str) -> tuple[Callable[[], Executor], str, str]:
    """Return what makes an executor in a worker, its name, and a warning to show.

    Raises
    ------
    CourseError
        No sandbox can be had, and it was not said to do without one.
    """
    import sys

    from autograder.runners.kernel import PlainKernel
    from autograder.runners.sandbox import Sandboxed
    from autograder.sandbox import capabilities

    if sandbox != "none":
        chosen = capabilities().choose(sandbox)
        return partial(Sandboxed, cast("SandboxName", chosen), probed=True), f"twin, {chosen}", ""
    warning = "No sandbox: submissions run as ordinary programs that can read, write and send whatever you can."
    if sys.platform == "linux":
        return partial(Sandboxed, "none"), "twin, none", warning
    return PlainKernel, PlainKernel.name, warning + " Nor is there a twin on this system: the tests run among them."


def read_roster(path: Path) -> tuple[str, ...]:
    """Return the students named in ``path``: the column ``student`` of a CSV file, or a name on each line.

    Raises
    ------
    GradingError
        The file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GradingError(
            f"The roster {path} cannot be read: {error}",
            expected="a text file with a student on each line, or a CSV file with a column 'student'",
            next_step="check the path",
        ) from error
    if lines and "student" in (header := next(csv.reader(lines[:1]))):
        names = [row[header.index("student")] for row in csv.reader(lines[1:]) if len(row) > header.index("student")]
    else:
        names = lines
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


@contextmanager
def _progress(console: Console) -> Iterator[tuple[Callable[[int], None], Callable[[Result], None]]]:
    """Show how far grading is, how fast it goes and how long it will take."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("Grading"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[last]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("grading", total=None, rate="", last="")

        def on_result(result: Result) -> None:
            state = bar.tasks[0]
            rate = f"{60 * (state.completed + 1) / state.elapsed:.0f} a minute" if state.elapsed else ""
            bar.update(task, advance=1, rate=rate, last=f"{result.student} {result.notebook}")

        yield lambda total: bar.update(task, total=total), on_result


def _conclude(console: Console, report: ClassReport, out: Path) -> None:
    from rich.markup import escape

    states = [row.result.status for row in report.rows]
    console.print(
        f"[bold]{len(states)} submissions[/bold]: {states.count('graded')} graded, {states.count('failed')} failed, "
        f"{states.count('rejected')} rejected, in {report.seconds:.1f} s."
    )
    for row in report.rows:
        if row.result.status != "graded":
            console.print(escape(f"  {row.result.student}, {row.result.notebook}: {row.result.reason}"), style="yellow")
    for refusal in report.refused:
        console.print(escape(f"  refused {refusal.path}: {refusal.reason}"), style="yellow")
    for broken in report.broken:
        console.print(escape(f"  the grader failed on {broken}"), style="red")
    console.print(f"Report: {escape(str(out / 'report.html'))}", style="cyan")
