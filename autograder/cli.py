"""The command line: `python -m autograder COMMAND`. Each command is thin; what it does lives in the module it names."""

from __future__ import annotations

import contextlib
import errno
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autograder.authoring.course_list import read_list
from autograder.authoring.format import course_root, resolve_names
from autograder.reports.terminal import board, clock, console, watching
from course_lib.errors import CourseError

if TYPE_CHECKING:
    from rich.console import Console

    from autograder.authoring.sources import Source, SourceError
    from autograder.course.answers import Trial

__all__ = ["app", "run"]

_OF_THE_PLACE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR}
_PLACE = "files and folders that you may read and write, with room left"
MUTATION_SCORE = 0.97  # of the mutants of each exercise, that lose points at the least
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
    except OSError as error:
        if error.filename is None or error.errno not in _OF_THE_PLACE:
            raise  # a fault of ours, or of nothing that a person could name
        happened = f"{error.filename} cannot be read or written: {error.strerror}."
        say_error(CourseError(happened, expected=_PLACE, next_step="change that, and repeat the command"))
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
    return resolve_names([word.strip() for word in only.split(",")], _listed(root)) if only else []


def _listed(root: Path) -> list[str]:
    return [one.name for one in read_list(root)]


def _say_unfinished(unfinished: Mapping[str, SourceError], without: str, out: Console) -> None:
    """Name the notebooks that stopped no other, what each lacks, and fail if there are any."""
    for name, error in unfinished.items():
        out.print(f"[red]✗ {name} {without}[/red]")
        for violation in error.violations:
            out.print(f"    {violation}".replace("\n", "\n    "), markup=False)
    if unfinished:
        raise typer.Exit(1)


@app.command()
def new(
    notebook: Annotated[str, typer.Argument(help="Its number and topic, such as 10_feature_stores.")],
    title: Annotated[str, typer.Option(help="Its title, for people.")] = "",
    root: Root = None,
) -> None:
    """Start a notebook: a source with an example exercise and its answers, and a place on the list."""
    from autograder.authoring.new_notebook import start_notebook

    out, folder = console(), root or course_root()
    for made in start_notebook(folder, notebook, title):
        out.print(f"[green]✓[/green] {made.path.relative_to(folder)}: {made.what}")
    number = notebook[:2]
    out.print("Next: try it as it is, then write your own in its place (CONTRIBUTING.md, A tenth notebook)")
    for command in (f"build --only {number}", f"check {number}", f"answers --only {number}"):
        out.print(f"    [cyan].venv/bin/python -m autograder {command}[/cyan]")


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
            out.print(
                "Next: correct the sources that are named, run [cyan]python -m autograder build[/cyan], and commit"
            )
            raise typer.Exit(1)
        out.print(f"[green]✓[/green] {len(names or _listed(folder))} notebooks are what their sources give")
        return
    done = release.build(folder, names)
    for built in done.built:
        out.print(f"[green]✓[/green] {built.name} {'written' if built.changed else 'unchanged'}")
        if built.kept:
            out.print(f"    the notebook there had been run; it was kept as {built.kept.relative_to(folder)}")
        for line in built.unwritten:
            out.print(f"    to be written: {line.cell}: {line.problem}", markup=False, style="yellow")
    out.print(clock(time.perf_counter() - start))
    _say_unfinished(done.unfinished, "was not built", out)


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
    *,
    only: Only = "",
    exercise: Annotated[str, typer.Option(help="Try the answers of this exercise alone, such as 1.4.")] = "",
    graded: Annotated[bool, typer.Option("--graded", help="Hand each in, and grade it as a class is graded.")] = False,
    draws: Annotated[int, typer.Option(min=1, help="Try each with this many draws of the random cases.")] = 1,
    mutate: Annotated[
        bool, typer.Option("--mutate", help="Try the mutants of the reference and of the right answers instead.")
    ] = False,
    jobs: Annotated[int, typer.Option(help="Notebooks to try at once; 0: what this machine can bear.")] = 0,
    root: Root = None,
) -> None:
    """Try every wrong and every alternative right answer against the checks of its exercise."""
    from autograder.authoring.release import read_sources
    from autograder.authoring.sources import SourceError

    if graded and mutate:
        raise typer.BadParameter("mutants are tried in one kernel: leave out --graded or --mutate")
    out, folder = console(), root or course_root()
    read = read_sources(folder, _names(only or exercise.partition(".")[0], folder))
    trials = (
        _graded_trials(read.finished, folder, exercise)
        if graded
        else _quick_trials(read.finished, folder, out, exercise=exercise, draws=draws, mutate=mutate, jobs=jobs)
    )
    passed, unfinished = [], dict(read.unfinished)
    for source, trial in zip(read.finished, trials, strict=True):
        if isinstance(trial, SourceError):
            unfinished[source.name] = trial
        else:
            passed.append(_shown_mutants(trial, out) if mutate else _shown(trial, out))
    if not passed:
        raise SourceError([violation for error in unfinished.values() for violation in error.violations])
    _say_unfinished(unfinished, "was not tried", out)
    if not all(passed):
        raise typer.Exit(1)


def _quick_trials(
    sources: Sequence[Source], folder: Path, out: Console, *, exercise: str, draws: int, mutate: bool, jobs: int
) -> Iterator[Trial | SourceError]:
    from concurrent.futures import ThreadPoolExecutor

    from autograder.course.answers import try_answers
    from autograder.course.pairs import usual_jobs

    with board(out) as lines, ThreadPoolExecutor(max_workers=jobs or usual_jobs()) as pool:

        def tried(source: Source) -> Trial | SourceError:
            with lines.watching(f"answers of {source.name}") as on_cell:
                return _trial(
                    lambda: try_answers(source, folder, exercise=exercise, draws=draws, mutate=mutate, on_cell=on_cell)
                )

        try:
            yield from pool.map(tried, sources)
        except BaseException:  # Ctrl-C: what waits does not start any more
            pool.shutdown(cancel_futures=True)
            raise


def _graded_trials(sources: Sequence[Source], folder: Path, exercise: str) -> Iterator[Trial | SourceError]:
    from autograder.authoring.assignments import Assignment
    from autograder.course.answers_graded import grade_answers
    from autograder.runners.sandbox import Sandboxed

    with contextlib.closing(Sandboxed("auto")) as engine:
        for source in sources:
            yield _trial(partial(grade_answers, Assignment.of(source), folder, engine, exercise=exercise))


def _trial(attempt: Callable[[], Trial]) -> Trial | SourceError:
    """Return what became of the answers of a notebook; where they cannot be tried, why: it stops no other."""
    from autograder.authoring.sources import SourceError

    try:
        return attempt()
    except SourceError as error:
        return error


def _shown(trial: Trial, out: Console) -> bool:
    from autograder.course.answers_table import show_trial

    show_trial(trial, out)
    return trial.passed


def _shown_mutants(trial: Trial, out: Console) -> bool:
    from autograder.course.answers_table import show_mutants

    return show_mutants(trial, out, MUTATION_SCORE)


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="A folder with a folder for each student, or a zip file.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for gradebook, feedback and reports.")],
    workers: Annotated[int, typer.Option(help="Processes at a time; 0: one for each processor.")] = 0,
    executor: Annotated[str, typer.Option(help="What spreads the work: local (this machine) or ray.")] = "local",
    address: Annotated[str, typer.Option(help="Of a Ray cluster's head; by default one of this machine.")] = "",
    sandbox: Annotated[
        Literal["auto", "bwrap", "native", "none"],
        typer.Option(
            help="auto: the best that works here; bwrap: bubblewrap; native: the kernel's namespaces directly; "
            "none: no walls, submissions can do whatever you can."
        ),
    ] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Run every notebook again.")] = False,
    time_limit: Annotated[float, typer.Option(help="Seconds for one notebook.")] = 300.0,
    cell_limit: Annotated[float, typer.Option(help="Seconds for one cell.")] = 60.0,
    roster: Annotated[Path | None, typer.Option(help="A text or CSV file of students: each gets a row.")] = None,
    due: Annotated[
        list[str] | None, typer.Option(help="A due date, such as 02='2026-11-30 18:00:00 UTC'; it holds in later runs.")
    ] = None,
    late: Annotated[
        str, typer.Option(help="What lateness costs: none, or zero (no points at all); it holds in later runs.")
    ] = "",
    extension: Annotated[
        list[str] | None, typer.Option(help="More time for one student: ann='3 days', 02/ann=36h, ann=none.")
    ] = None,
    extensions: Annotated[
        Path | None, typer.Option(help="A CSV file of them, with the columns student, extension and notebook.")
    ] = None,
    add: Annotated[
        bool, typer.Option("--add", help="A further part of the class: who was graded before stays in the tables.")
    ] = False,
    seed: Annotated[str, typer.Option(help="Repeat the draws of an earlier grading: the seed in its report.")] = "",
    source: Annotated[
        Path | None,
        typer.Option(help="Grade a course of your own: notebooks of nbgrader, or the folder of its course."),
    ] = None,
    unseen: Annotated[
        str,
        typer.Option(
            help="Checks of --source that cannot be judged from outside: refuse (the default), or learner: judge them "
            "where the learner's code runs, and can fool them."
        ),
    ] = "",
    helpers: Annotated[
        list[str] | None, typer.Option(help="Files beside a learner's notebook to take along, such as '*.py'.")
    ] = None,
    only: Only = "",
    root: Root = None,
) -> None:
    """Grade a class: gradebook.db, grades.csv, tables for Canvas and Moodle, feedback and a report.

    Run it again after written answers were graded by hand: no notebook runs twice, and all tables are made anew.
    """
    from autograder.grading.book.settings import own_course, parse_due, parse_extensions
    from autograder.grading.command import catalogue_for, grade_command
    from autograder.grading.options import GradeOptions

    options = GradeOptions(
        workers=workers, executor=executor, address=address, sandbox=sandbox, force=force, time_limit=time_limit,
        cell_limit=cell_limit, roster=roster, late=late, add=add, seed=seed, source=source, unseen=unseen,
        helpers=tuple(helpers or ()),
    )  # fmt: skip
    catalogue = catalogue_for(out, own_course(out, options), root=root)
    known = tuple(dict.fromkeys([*catalogue.names, *(place[0] for place in catalogue.places.values())])) or _listed(
        root or course_root()
    )
    options = replace(
        options,
        only=tuple(catalogue.resolve(word.strip() for word in only.split(",") if word.strip())),
        due=parse_due(due or [], known),
        extensions=parse_extensions(extension or [], extensions, known),
    )
    raise typer.Exit(grade_command(submissions, out, options, root=root))


@app.command()
def gradescope(
    *,
    only: Annotated[str, typer.Option(help="The notebook: 01, or its name.")],
    out: Annotated[Path, typer.Option(help="Where to write the zip.")],
    sandbox: Annotated[
        Literal["auto", "bwrap", "native", "none"],
        typer.Option(help="auto: submissions run behind walls or not at all; none: without, beside the hidden tests."),
    ] = "auto",
    hidden: Annotated[
        Literal["hidden", "after_due_date", "after_published"],
        typer.Option(help="When learners see what the hidden tests say, and their total."),
    ] = "after_published",
    late: Annotated[
        Literal["none", "zero"], typer.Option(help="What lateness costs, by Gradescope's due date: none, or zero.")
    ] = "none",
    time_limit: Annotated[float, typer.Option(help="Seconds for the notebook.")] = 300.0,
    cell_limit: Annotated[float, typer.Option(help="Seconds for one cell.")] = 60.0,
    seed: Annotated[str, typer.Option(help="Repeat the draws of another grading: the seed in its report.")] = "",
    root: Root = None,
) -> None:
    """Write the zip that Gradescope's autograder platform takes, for one notebook. For instructors: it holds tests."""
    import secrets

    from autograder.grading.gradescope.package import check_place, make_package, write_package
    from autograder.grading.gradescope.settings import GradescopeError, GradescopeSettings

    folder = root or course_root()
    names = _names(only, folder)
    if len(names) != 1:
        raise GradescopeError(f"--only is {only!r}.", expected="one notebook: an autograder on Gradescope has one")
    settings = GradescopeSettings(
        names[0], sandbox, hidden, late, seed or secrets.token_hex(16), time_limit, cell_limit
    )
    check_place(out)
    with console(stderr=True).status("running the reference solution"):
        made = make_package(folder, settings)
    size = write_package(made, out)
    console().print(f"[green]✓[/green] {names[0]}, {made.points:g} points, {size / 1e6:.1f} MB: {out}")
    if sandbox == "none":
        console(stderr=True).print(
            "No sandbox: on Gradescope, submissions run beside the hidden tests and can read them.", style="yellow"
        )


@app.command()
def manual(
    out: Annotated[Path, typer.Argument(help="The folder that was given to grade as --out.")],
    port: Annotated[int, typer.Option(help="Port to listen on, at 127.0.0.1; 0: one that is free.")] = 0,
) -> None:
    """Grade written answers by hand: a page that shows one question, its rubric, and one answer after another."""
    from autograder.grading.manual.command import serve

    serve(out, port=port, say=typer.echo)


@app.command()
def feedback(
    out: Annotated[Path, typer.Argument(help="The folder that was given to grade as --out.")], root: Root = None
) -> None:
    """Write feedback again, with the points and comments people gave since, and the tables; nothing is run."""
    count = _refresh(out, root)
    console().print(f"[green]✓[/green] feedback of {count} submissions: {out / 'feedback'}")


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="The folder that was given to grade as --out.")], root: Root = None
) -> None:
    """Write the tables again, with the points people gave since, and the feedback; nothing is run."""
    count = _refresh(out, root)
    console().print(f"[green]✓[/green] {count} rows: {out / 'grades.csv'}, canvas.csv and moodle/")


def _refresh(out: Path, root: Path | None) -> int:
    from autograder.grading.book.settings import own_course
    from autograder.grading.command import catalogue_for
    from autograder.grading.options import GradeOptions
    from autograder.grading.store import refresh

    terminal = console(stderr=True)
    return refresh(
        out,
        catalogue_for(out, own_course(out, GradeOptions()), root=root),
        say=lambda note: terminal.print(note, style="yellow", markup=False, highlight=False, soft_wrap=True),
    )


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
    sandbox: Annotated[
        Literal["auto", "bwrap", "native"],
        typer.Option(
            help="auto: the best that works here; bwrap: bubblewrap; native: the kernel's namespaces directly. "
            "There is no none: a project runs as a program and is installed, so it always needs walls."
        ),
    ] = "auto",
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
    terminal = console()
    terminal.print(f"[green]✓[/green] {len(made.notebooks)} notebooks, {size / 1e6:.1f} MB: {path}")
    _say_unfinished(made.left_out, "is not in it", terminal)


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
    from autograder.reports.files import write_atomically

    text = page(read_reports(reports or [(root or course_root()) / "build" / "course-report.json"]), title=title)
    if out is not None:
        write_atomically(out, text)
    sys.stdout.write(text)


@app.command()
def doctor(
    strict: Annotated[bool, typer.Option("--strict", help="Fail also when an engine is missing, as CI does.")] = False,
) -> None:
    """Look whether this machine can run the course, and say how to fix what is broken."""
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
    """Run and grade all notebooks, and write build/course-report.html."""
    from autograder.course.run import run_course, write_report

    out, folder = console(), root or course_root()
    report = run_course(folder, out, names=_names(only, folder), force=force, jobs=jobs, whole_copies=whole_copies)
    page = write_report(report, folder)
    out.print(f"{clock(report.seconds)} in all; the report is {page.relative_to(folder)}")
    if not report.passed:
        raise typer.Exit(1)
