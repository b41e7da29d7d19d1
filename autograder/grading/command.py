"""Command ``grade``: choose what runs the notebooks, show progress, write the reports, and say what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from autograder.authoring.assignments import Catalogue, course_catalogue
from autograder.authoring.format import course_root
from autograder.authoring.own_course.catalogue import own_catalogue
from autograder.authoring.own_course.helpers import helpers_folder
from autograder.grading.book.settings import own_course
from autograder.grading.classroom import Runner, grade_class, keep_apart
from autograder.grading.identity.roster import read_roster
from autograder.grading.options import GradeOptions
from autograder.grading.seed import seed_for
from autograder.model import Result
from autograder.reports.class_report import ClassReport, write_report
from autograder.reports.files import require_writable
from autograder.reports.tables import write_exports
from autograder.runners.executor import Executor
from autograder.runners.pool import run_jobs

if TYPE_CHECKING:
    from rich.console import Console

    from autograder.sandbox.engine import SandboxName

__all__ = ["catalogue_for", "choose_executor", "grade_command"]

_MOST_LINES = 20  # of one kind on the terminal


def grade_command(submissions: Path, out: Path, options: GradeOptions, *, root: Path | None = None) -> int:
    """Grade a class into ``out`` and say so on the terminal: the command ``grade``.

    Parameters
    ----------
    submissions
        A folder with a folder for each student, or a learning platform's export.
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

    keep_apart(submissions, out)
    require_writable(out)
    console = Console(soft_wrap=True, highlight=False)
    options = own_course(out, options)
    catalogue = catalogue_for(out, options, root=root, apart=(submissions, out))
    only, seed = tuple(catalogue.resolve(options.only)), seed_for(out, options.seed)
    options = replace(options, only=only, seed=seed)
    roster, said = read_roster(options.roster) if options.roster else ((), ())
    make_executor, name, warning = choose_executor(options.sandbox, seed=seed, helpers=helpers_folder(out / "cache"))
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
            roster=roster,
            runner=_runner(options),
            on_start=on_start,
            on_result=on_result,
        )
    report = replace(report, on_submissions=(*said, *report.on_submissions))
    limits = {name: getattr(options, name) for name in ("time_limit", "cell_limit", "sandbox", "seed")}
    write_exports(report.rows, report.assignments, out)
    write_report(report, out, limits=limits)
    _print_summary(console, report, out)
    return 1 if report.broken else 0


def catalogue_for(
    out: Path, options: GradeOptions, *, root: Path | None = None, apart: Iterable[Path] = ()
) -> Catalogue:
    """Return the notebooks that are graded into ``out``: those of an own course, or of this one.

    Parameters
    ----------
    out, options
        The folder, and what is known of it (:func:`autograder.grading.book.settings.own_course`).
    root
        This course's folder; by default the one around the current folder.
    apart
        What is no helper file of an own course, wherever it lies.
    """
    if options.source is not None and (options.source.exists() or not (out / "source").is_dir()):
        return own_catalogue(options.source, kept=out / "cache", apart=apart)
    if options.source is not None:
        note = f"The source {options.source} is not there any more: its copy in {out / 'source'} was taken."
        copied = own_catalogue(out / "source", kept=out / "cache", apart=apart)
        return replace(copied, notes=(note, *copied.notes))
    return course_catalogue(root or course_root())


def _runner(options: GradeOptions) -> Runner:
    """Return what spreads the work."""
    if options.executor == "local":
        return run_jobs
    from autograder.runners.ray_pool import run_on_ray

    return partial(run_on_ray, address=options.address)


def choose_executor(
    sandbox: str, *, seed: str = "", helpers: Path | None = None
) -> tuple[Callable[[], Executor], str, str]:
    """Return what makes an executor in a worker, its name, and a warning to show.

    Raises
    ------
    CourseError
        No sandbox can be had, and it was not said to do without one.
    """
    import sys

    from autograder.runners.sandbox import Sandboxed
    from autograder.sandbox import choose

    if sandbox != "none":
        chosen = choose(sandbox)
        make = partial(Sandboxed, cast("SandboxName", chosen), probed=True, seed=seed, helpers=helpers)
        return make, f"judge, {chosen}", ""
    warning = "No sandbox: submissions run as ordinary programs that can read, write and send whatever you can."
    if sys.platform == "linux":
        return partial(Sandboxed, "none", seed=seed, helpers=helpers), "judge, none", warning
    from autograder.runners.kernel import PlainKernel

    return (
        partial(PlainKernel, helpers),
        PlainKernel.name,
        warning + " Nor is there a judge on this system: the tests run among them.",
    )


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
        TextColumn("{task.fields[last]}", markup=False),
    )
    bar = Progress(*columns, console=console)
    task = bar.add_task("grading", total=None, rate="", last="")

    def on_start(total: int) -> None:
        bar.update(task, total=total)
        bar.start()

    def on_result(result: Result) -> None:
        state = bar.tasks[0]
        rate = f"{60 * (state.completed + 1) / state.elapsed:.0f} a minute" if state.elapsed else ""
        bar.update(task, advance=1, rate=rate, last=f"{result.student} {result.notebook}")

    try:
        yield on_start, on_result
    finally:
        if bar.live.is_started:
            bar.stop()


def _print_summary(console: Console, report: ClassReport, out: Path) -> None:
    from rich.markup import escape

    rows = [row for row in report.rows if row.result.notebook in report.graded]
    states = [row.result.status for row in rows]
    console.print(
        f"[bold]{len(states)} submissions[/bold]: {states.count('graded')} graded, {states.count('failed')} failed, "
        f"{states.count('rejected')} rejected, in {report.seconds:.1f} s."
    )
    for row in rows:
        if row.result.status != "graded":
            text = f"  {row.result.name}, {row.result.notebook}: {row.result.reason}"
            console.print(escape(_printable(text)), style="yellow")
    _print_some(console, [f"refused {refusal.path}: {refusal.reason}" for refusal in report.refused])
    _print_some(console, report.on_submissions)
    _print_some(console, report.on_grades)
    for broken in report.broken:
        console.print(escape(f"  the grader failed on {broken}"), style="red")
    console.print(f"Report: {escape(str(out / 'report.html'))}", style="cyan")


def _print_some(console: Console, lines: Sequence[str]) -> None:
    """Print the first lines, and how many more stand in the report."""
    from rich.markup import escape

    for line in lines[:_MOST_LINES]:
        console.print(escape(f"  {_printable(line)}"), style="yellow")
    if len(lines) > _MOST_LINES:
        console.print(f"  … and {len(lines) - _MOST_LINES} more, in the report", style="yellow")


def _printable(text: str) -> str:
    """Return ``text`` without what a terminal obeys: names of students and files can hold anything."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
