"""The command line: `python -m autograder COMMAND`. Each command is thin; what it does lives in the module it names."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autograder.authoring.format import NAMES, course_root, resolve_names, written
from autograder.reports.terminal import clock, console, watching
from course_lib.errors import CourseError

if TYPE_CHECKING:
    from rich.console import Console

    from autograder.course.answers import Trial

__all__ = ["app", "run"]

UNUSABLE = 2  # exit code where a command could not do its work; 1 says that it did, and found something wrong

app = typer.Typer(
    name="autograder",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Root = Annotated[Path | None, typer.Option(help="Folder of the course; default: found from where you are.")]
Only = Annotated[str, typer.Option(help="Notebooks to take, such as 01,02; default: all.")]


@app.callback()
def main() -> None:
    """Build, check and grade the notebooks of the course."""


def run() -> None:
    """Run the command line; an expected error is a message and exit code 2, never a traceback."""
    try:
        app()
    except CourseError as error:
        say_error(error)
        sys.exit(UNUSABLE)
    except KeyboardInterrupt:
        sys.exit(130)


def say_error(error: CourseError) -> None:
    """Print what happened, what was expected and what to do next on stderr."""
    from rich.text import Text

    out = console(stderr=True)
    out.print(Text(error.happened, style="bold red"))
    if error.expected:
        out.print(Text(f"Expected: {error.expected}"))
    if error.next_step:
        out.print(Text(f"Next: {error.next_step}", style="cyan"))


def _names(only: str, root: Path) -> list[str]:
    return resolve_names([word.strip() for word in only.split(",")], written(root) or NAMES) if only else []


@app.command()
def build(
    verify: Annotated[bool, typer.Option("--verify", help="Write nothing; fail if notebooks/ is out of date.")] = False,
    only: Only = "",
    root: Root = None,
) -> None:
    """Write the learner notebooks in notebooks/ from their sources in solutions/."""
    from autograder.authoring import release

    out, folder, start = console(), root or course_root(), time.perf_counter()
    names = _names(only, folder)
    if verify:
        differences = release.verify(folder, names)
        for difference in differences:
            out.print(f"[red]✗ {difference.name}[/red]")
            out.print("    " + difference.summary.replace("\n", "\n    "), markup=False)
        if differences:
            out.print("Next: run [cyan]python -m autograder build[/cyan] and commit notebooks/")
            raise typer.Exit(1)
        out.print(f"[green]✓[/green] {len(names or written(folder))} notebooks are what their sources give")
        return
    for built in release.build(folder, names):
        out.print(f"[green]✓[/green] {built.name} {'written' if built.changed else 'unchanged'}")
        if built.kept:
            out.print(f"    the notebook there had been run; it was kept as {built.kept.relative_to(folder)}")
    out.print(clock(time.perf_counter() - start))


@app.command()
def check(
    notebook: Annotated[str, typer.Argument(help="A number such as 01, a name, or the path of a notebook.")],
    kernel: Annotated[str, typer.Option(help="The Jupyter kernel to use.")] = "python3",
    root: Root = None,
) -> None:
    """Run the visible checks of one notebook, and say what to fix first."""
    from autograder.course.check import check_notebook, find_notebook, keep_progress, show_checkup

    out, folder = console(), root or course_root()
    path = find_notebook(notebook, folder)
    with watching(f"checking {path.stem}", out) as on_cell:
        checkup = check_notebook(path, kernel_name=kernel, on_cell=on_cell)
    if path.resolve().parent == (folder / "notebooks").resolve():
        keep_progress(checkup, path.parent)
    show_checkup(checkup, out)
    if checkup.first:
        raise typer.Exit(1)


@app.command()
def answers(
    only: Only = "",
    exercise: Annotated[str, typer.Option(help="Try the answers of this exercise alone, such as 1.4.")] = "",
    graded: Annotated[bool, typer.Option("--graded", help="Hand each in, and grade it as a class is graded.")] = False,
    root: Root = None,
) -> None:
    """Try every wrong and every alternative right answer against the checks of its exercise."""
    out, folder = console(), root or course_root()
    names = _names(only or exercise.partition(".")[0], folder)
    trials = _graded_trials(names, folder, exercise) if graded else _quick_trials(names, folder, exercise, out)
    passed = [_shown(trial, out) for trial in trials]
    if not all(passed):
        raise typer.Exit(1)


def _quick_trials(names: Sequence[str], folder: Path, exercise: str, out: Console) -> Iterator[Trial]:
    from autograder.authoring.release import read_sources
    from autograder.course.answers import try_answers

    for source in read_sources(folder, names):
        with watching(f"answers of {source.name}", out) as on_cell:
            yield try_answers(source, folder, exercise=exercise, on_cell=on_cell)


def _graded_trials(names: Sequence[str], folder: Path, exercise: str) -> Iterator[Trial]:
    from autograder.authoring.assignments import course_catalogue
    from autograder.course.answers_graded import grade_answers
    from autograder.runners.sandbox import Sandboxed

    catalogue = course_catalogue(folder)
    with contextlib.closing(Sandboxed("auto")) as engine:
        for name in names or catalogue.names:
            yield grade_answers(catalogue.load(name), folder, engine, exercise=exercise)


def _shown(trial: Trial, out: Console) -> bool:
    from autograder.course.answers_table import show_trial

    show_trial(trial, out)
    return trial.passed


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="A folder with a folder for each student, or a zip file.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for gradebook, feedback and reports.")],
    workers: Annotated[int, typer.Option(help="Processes at a time; 0: one for each processor.")] = 0,
    executor: Annotated[str, typer.Option(help="What spreads the work: local (this machine) or ray.")] = "local",
    address: Annotated[str, typer.Option(help="Of a Ray cluster's head; by default one of this machine.")] = "",
    sandbox: Annotated[str, typer.Option(help="auto, bwrap, or none: submissions can then do what you can.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Run every notebook again.")] = False,
    time_limit: Annotated[float, typer.Option(help="Seconds for one notebook.")] = 300.0,
    cell_limit: Annotated[float, typer.Option(help="Seconds for one cell.")] = 60.0,
    roster: Annotated[Path | None, typer.Option(help="A text or CSV file of students: each gets a row.")] = None,
    due: Annotated[list[str] | None, typer.Option(help="A due date, such as 02='2026-11-30 18:00:00 UTC'.")] = None,
    late: Annotated[str, typer.Option(help="What lateness costs: none, or zero (no points at all).")] = "",
    only: Only = "",
    root: Root = None,
) -> None:
    """Grade a class: gradebook.db, grades.csv, tables for Canvas and Moodle, feedback and a report.

    Run it again after written answers were graded by hand: no notebook runs twice, and all tables are made anew.
    """
    from autograder.grading.command import grade_command
    from autograder.grading.options import GradeOptions

    folder = root or course_root()
    dates = {_names(word.partition("=")[0], folder)[0]: word.partition("=")[2] for word in due or []}
    options = GradeOptions(
        workers=workers, executor=executor, address=address, sandbox=sandbox, force=force, time_limit=time_limit,
        cell_limit=cell_limit, only=tuple(_names(only, folder)), roster=roster, due=dates, late=late,
    )  # fmt: skip
    raise typer.Exit(grade_command(submissions, out, options, root=root))


@app.command()
def feedback(
    out: Annotated[Path, typer.Argument(help="The folder that was given to grade as --out.")], root: Root = None
) -> None:
    """Write the feedback of a graded class again; nothing is run."""
    from autograder.authoring.assignments import course_catalogue
    from autograder.grading.store import feedback as write

    count = write(out, course_catalogue(root or course_root()))
    console().print(f"[green]✓[/green] feedback of {count} submissions: {out / 'feedback'}")


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="The folder that was given to grade as --out.")], root: Root = None
) -> None:
    """Write the tables of a graded class again, with the points people gave since; nothing is run."""
    from autograder.authoring.assignments import course_catalogue
    from autograder.grading.store import export as write

    count = write(out, course_catalogue(root or course_root()))
    console().print(f"[green]✓[/green] {count} rows: {out / 'grades.csv'}, canvas.csv and moodle/")


@app.command()
def project(
    folder: Annotated[Path, typer.Argument(help="The root of a practice project.")],
    *,
    only: Annotated[str, typer.Option(help="Stages to run, such as train,serve; default: all.")] = "",
    out: Annotated[Path | None, typer.Option(help="Folder for the report; default: build/ in the project.")] = None,
    build: Annotated[
        bool,
        typer.Option("--build", help="Build and run the image: its RUN steps are root in the engine."),
    ] = False,
    sandbox: Annotated[str, typer.Option(help="auto, bwrap or native.")] = "auto",
) -> None:
    """Grade a practice project: install it, run its tests, start what it serves, and ask it from outside."""
    from autograder.projects.command import grade_project

    stages = [word.strip() for word in only.split(",") if word.strip()]
    report = grade_project(folder, only=stages, sandbox=sandbox, build=build, out=out, console=console())
    if report.failed:
        raise typer.Exit(1)


@app.command()
def bundle(
    *,
    out: Annotated[Path, typer.Option(help="Where to write it: a zip file, or else a folder.")] = Path(
        "build/mlops-course.zip"
    ),
    only: Only = "",
    root: Root = None,
) -> None:
    """Write what learners get: notebooks without solutions and hidden tests, and what runs and checks them."""
    from autograder.authoring.bundle import make_bundle, write_bundle

    folder = root or course_root()
    made = make_bundle(folder, _names(only, folder))
    path = write_bundle(made, out)
    size = sum(map(len, made.files.values())) if path.is_dir() else path.stat().st_size
    console().print(f"[green]✓[/green] {len(made.notebooks)} notebooks, {size / 1e6:.1f} MB: {path}")


@app.command()
def evidence(
    reports: Annotated[list[Path] | None, typer.Argument(help="Course reports, or folders with some.")] = None,
    *,
    out: Annotated[Path | None, typer.Option(help="Also write it to this file.")] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Evidence",
    root: Root = None,
) -> None:
    """Print what `make course` measured as Markdown: versions, time, memory and date of each notebook."""
    from autograder.reports.evidence import evidence as page, read_reports

    text = page(read_reports(reports or [(root or course_root()) / "build" / "course-report.json"]), title=title)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


@app.command()
def doctor(
    strict: Annotated[bool, typer.Option("--strict", help="Fail also when an engine is missing, as CI does.")] = False,
) -> None:
    """Look whether this machine can run the course, and say how to mend what is broken."""
    from autograder.course.doctor import examine, healthy, show

    out, findings = console(), []
    with out.status("looking"):
        for finding in examine():
            show(finding, out)
            findings.append(finding)
    if not healthy(findings, strict=strict):
        out.print("[bold red]Something the course needs is broken or missing: see the marked lines.[/bold red]")
        raise typer.Exit(1)
    out.print("[green]This machine can run the course.[/green]")


@app.command()
def course(
    only: Only = "",
    force: Annotated[bool, typer.Option("--force", help="Run also what has not changed.")] = False,
    jobs: Annotated[int, typer.Option(help="Notebooks to run at once; 0: what this machine can bear.")] = 0,
    whole_copies: Annotated[
        bool, typer.Option("--whole-copies", help="Run untouched copies from top to bottom instead of grading them.")
    ] = False,
    root: Root = None,
) -> None:
    """Run and grade all nine notebooks, and write build/course-report.html."""
    from autograder.course.run import run_course, write_report

    out, folder = console(), root or course_root()
    report = run_course(folder, out, names=_names(only, folder), force=force, jobs=jobs, whole_copies=whole_copies)
    page = write_report(report, folder)
    out.print(f"{clock(report.seconds)} in all; the report is {page.relative_to(folder)}")
    if not report.passed:
        raise typer.Exit(1)
