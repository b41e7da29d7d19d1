"""`make course`: run all nine reference notebooks, grade them and the untouched learner copies, and report.

A reference must earn every point; an untouched learner copy none, and it may stop only at exercises. What has not
changed since it last passed is not run again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.course_judge import engines_of, exercises_of, judge
from autograder.course_model import CourseReport, EngineReport, NotebookReport, budget_of, title_of
from autograder.release import learner_copy, named, notebook_text, release_of
from autograder.running import run_notebook
from autograder.sources import NAMES, Source, SourceError, read_source, source_path, written
from autograder.terminal import clock, watching
from course_lib import engines
from course_lib.errors import CourseError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["run_course", "write_report"]

# What an untouched copy earns does not depend on the server behind it, and vLLM takes a minute to start.
_UNTOUCHED = {"COURSE_VLLM": "none"}
_LAYOUT = 2  # of a remembered report: raise it when its fields change


def run_course(root: Path, out: Console, *, names: Sequence[str] = (), force: bool = False) -> CourseReport:
    """Run the course at ``root``, showing progress on ``out``.

    Parameters
    ----------
    names
        Notebooks to run; default: all nine, and what else has a source.
    force
        Run also what has not changed since it last passed.
    """
    started = time.monotonic()
    here = tuple(_engines())
    everything = sorted({*NAMES, *written(root)}) if set(written(root)) <= set(NAMES) else written(root)
    reports = []
    for name in names or everything:
        report = _report(root, name, here, out, force=force)
        out.print(_line(report))
        for problem in report.problems:
            out.print(f"    [red]{_plain(problem)}[/red]")
        for note in report.notes:
            out.print(f"    [yellow]{_plain(note)}[/yellow]")
        reports.append(report)
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    return CourseReport(now, time.monotonic() - started, platform.python_version(), machine, tuple(reports), here)


def write_report(report: CourseReport, root: Path) -> Path:
    """Write `build/course-report.json` and `build/course-report.html`; return the path of the page."""
    from autograder.course_report import report_page

    page = root / "build" / "course-report.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(report_page(report), encoding="utf-8")
    values = {"passed": report.passed, **asdict(report)}
    page.with_suffix(".json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return page


def _report(root: Path, name: str, here: Sequence[EngineReport], out: Console, *, force: bool) -> NotebookReport:
    """Report on one notebook; whatever goes wrong with it is its report and stops no other."""
    budget = budget_of(name)
    if not source_path(root, name).is_file():
        return NotebookReport(name, title_of(name), "not written", budget)
    try:
        source = read_source(source_path(root, name))
        memory = root / "build" / "cache" / "course" / f"{name}-{_key(root, name, here)}.json"
        known = None if force else _recall(memory, root)
        report = known or _run(source, root, out)
        if report.status == "passed" and known is None:
            memory.parent.mkdir(parents=True, exist_ok=True)
            memory.write_text(json.dumps({"layout": _LAYOUT, **asdict(report)}, indent=1), encoding="utf-8")
        exercises, used = tuple(exercises_of(source, root)), tuple(engines_of(source))
        return replace(report, exercises=exercises, engines=used, notes=_notes(report, source, root))
    except SourceError as error:
        return NotebookReport(name, title_of(name), "failed", budget, tuple(map(str, error.violations)))
    except CourseError as error:
        return NotebookReport(name, title_of(name), "failed", budget, (str(error),))
    except Exception as error:  # a fault in one notebook's run must not cost the report of the others
        return NotebookReport(name, title_of(name), "failed", budget, (f"{type(error).__name__}: {error}",))


def _run(source: Source, root: Path, out: Console) -> NotebookReport:
    from autograder.course_report import executed_page

    saved = root / "build" / "executed" / f"{source.name}.ipynb"
    with watching(source.name, out) as on_cell:
        reference = run_notebook(
            named(source.notebook), allow_errors=True, save_to=saved, save_each_cell=False, on_cell=on_cell
        )
    with watching(f"{source.name}, untouched learner copy", out) as on_cell:
        copy = run_notebook(
            release_of(source), allow_errors=True, save_each_cell=False, environment=_UNTOUCHED, on_cell=on_cell
        )
    page = saved.with_suffix(".html")
    page.write_text(executed_page(reference.notebook, source.spec.title), encoding="utf-8")
    return replace(judge(source, reference, copy), executed=f"executed/{page.name}")


def _notes(report: NotebookReport, source: Source, root: Path) -> tuple[str, ...]:
    path = root / "notebooks" / f"{source.name}.ipynb"
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == notebook_text(learner_copy(source)):
        return report.notes
    state = "differs from its source (worked in, or out of date)" if path.is_file() else "is missing"
    return (*report.notes, f"notebooks/{path.name} {state}; `python -m autograder build` writes it again")


def _engines() -> Iterator[EngineReport]:
    for key in engines.ENGINES:
        (one,) = engines.found([key])
        yield EngineReport(key, one.engine.name, one.version or "", one.engine.without)


def _key(root: Path, name: str, here: Sequence[EngineReport]) -> str:
    """Return a digest of all that a run depends on: source, libraries, environment, engines."""
    digest = hashlib.sha256(json.dumps([_LAYOUT, sys.version, [asdict(engine) for engine in here]]).encode())
    ours = ("course", "course_judge", "course_report", "outcome", "release", "runner", "running", "scoring", "sources")
    files = [
        source_path(root, name),
        *sorted((root / "course_lib").rglob("*.py")),
        *(Path(__file__).parent / f"{module}.py" for module in ours),
        *sorted(root.glob("*.lock")),
    ]
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _recall(memory: Path, root: Path) -> NotebookReport | None:
    """Return the report of an earlier run that passed, if it is complete."""
    try:
        known: dict[str, Any] = json.loads(memory.read_text(encoding="utf-8"))
        if known.pop("layout") != _LAYOUT or not (root / "build" / known["executed"]).is_file():
            return None
        slowest = tuple((str(cell), float(seconds)) for cell, seconds in known.pop("slowest"))
        when = datetime.fromtimestamp(memory.stat().st_mtime).astimezone().strftime("%Y-%m-%d %H:%M")
        lists = {"problems": (), "notes": tuple(known.pop("notes")), "exercises": (), "engines": (), "slowest": slowest}
        return NotebookReport(**{**known, **lists, "since": when})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _line(report: NotebookReport) -> str:
    number, title = report.name[:2], _plain(report.title)
    if report.status == "not written":
        return f"[dim]· {number} {title}: not written yet[/dim]"
    mark = "[green]✓[/green]" if report.status == "passed" else "[red]✗[/red]"
    share = f"{100 * report.points / report.max_points:.0f} %" if report.max_points else "not graded"
    if report.since:
        return f"{mark} {number} {title}: unchanged since {report.since}, {share}, took {clock(report.seconds)} then"
    took = f"{clock(report.seconds)} of {report.budget:g} s, {report.peak_mb:.0f} MB"
    return f"{mark} {number} {title}: {share}, {took}; untouched copy {report.learner_points:g} points"


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
