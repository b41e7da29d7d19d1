"""`make course`: run all reference notebooks, grade them and the untouched learner copies, and report.

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

from autograder.authoring.course_list import FILE, Listed, read_list, unlisted
from autograder.authoring.format import source_path
from autograder.authoring.release import learner_copy, notebook_text
from autograder.authoring.sources import Source, SourceError, read_source
from autograder.course.model import CourseReport, EngineReport, NotebookReport
from autograder.course.pairs import Pair, run_pairs, usual_jobs
from autograder.course.verdict import engines_of, exercises_of, judge
from autograder.reports.files import require_writable
from autograder.reports.terminal import board, clock
from course_lib import engines
from course_lib.errors import CourseError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["run_course", "write_report"]

_LAYOUT = 2  # of a remembered report: raise it when its fields change
_OURS = ("authoring", "course", "grading", "reports", "runners", "sandbox")  # whose code decides what a run says


def run_course(
    root: Path,
    out: Console,
    *,
    names: Sequence[str] = (),
    force: bool = False,
    jobs: int = 0,
    whole_copies: bool = False,
) -> CourseReport:
    """Run the course at ``root``, showing progress on ``out``.

    Parameters
    ----------
    names
        Notebooks to run; default: all on the list. One that has a source and is not on the list fails.
    force
        Run also what has not changed since it last passed.
    jobs
        Notebooks to run at once; 0: what this machine can bear. One that fails beside others gets a second run, alone.
    whole_copies
        Run untouched copies from top to bottom, instead of grading them as a class is graded.
    """
    require_writable(root / "build")
    started = time.monotonic()
    here = tuple(_engines())
    run = _Course(root, out, here, jobs or usual_jobs(), whole_copies=whole_copies)
    reports = run.reports(names or [*run.listed, *unlisted(root)], force=force)
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    return CourseReport(now, time.monotonic() - started, platform.python_version(), machine, tuple(reports), here)


def write_report(report: CourseReport, root: Path) -> Path:
    """Write `build/course-report.json` and `build/course-report.html`; return the path of the page."""
    from autograder.course.report import report_page

    page = root / "build" / "course-report.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(report_page(report), encoding="utf-8")
    values = {"passed": report.passed, **asdict(report)}
    page.with_suffix(".json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return page


class _Course:
    """One run of the command: what is known from before, what runs, and what is said about each notebook."""

    def __init__(
        self, root: Path, out: Console, here: Sequence[EngineReport], jobs: int, *, whole_copies: bool
    ) -> None:
        self.root, self.out, self.here, self.jobs, self.whole = root, out, here, jobs, whole_copies
        self.listed = {one.name: one for one in read_list(root)}

    def reports(self, names: Sequence[str], *, force: bool) -> list[NotebookReport]:
        """Return a report for each notebook, in the order of ``names``; say each on the terminal as it is known."""
        reports: dict[str, NotebookReport] = {}
        fresh: list[Source] = []
        for name in names:
            known = self._known(name, force=force)
            if isinstance(known, Source):
                fresh.append(known)
            else:
                reports[name] = self._shown(known)
        with board(self.out) as lines:
            suspects = []
            for pair in run_pairs(fresh, self.root, lines, jobs=self.jobs, whole=self.whole):
                report = self._judged(pair)
                if report.status == "failed" and pair.beside:
                    suspects.append((pair.source, report))
                else:
                    reports[report.name] = self._shown(report)
            for source, first in suspects:  # notebooks measure latencies, and a neighbour may have spoiled one
                (pair,) = run_pairs([source], self.root, lines, jobs=1, whole=self.whole)
                report = self._judged(pair)
                if report.status == "passed":
                    why = f"failed beside another notebook ({first.problems[0]}) and passed when it ran alone"
                    report = replace(report, notes=(why, *report.notes))
                reports[report.name] = self._shown(report)
        return [reports[name] for name in names]

    def _known(self, name: str, *, force: bool) -> Source | NotebookReport:
        """Return what is known of a notebook before it runs; its source if it has to run."""
        if name not in self.listed:
            return self._failed(name, CourseError(f"{FILE} does not list it", next_step="add it there"))
        if not source_path(self.root, name).is_file():
            return NotebookReport(name, self.listed[name].title, "not written", self.listed[name].budget)
        try:
            source = read_source(source_path(self.root, name))
            known = None if force else _recall(self._memory(name), self.root)
            return self._complete(known, source) if known else source
        except Exception as error:  # whatever goes wrong with one is its report and stops no other
            return self._failed(name, error)

    def _judged(self, pair: Pair) -> NotebookReport:
        """Return the report on what ran; remember it if it is good."""
        from autograder.course.report import executed_page

        source = pair.source
        if pair.error is not None or pair.reference is None or pair.copy is None:
            return self._failed(source.name, pair.error or CourseError("The notebook did not run."))
        try:
            page = self.root / "build" / "executed" / f"{source.name}.html"
            page.write_text(executed_page(pair.reference.notebook, source.spec.title), encoding="utf-8")
            budget = self.listed[source.name].budget
            report = judge(source, pair.reference, pair.copy, budget=budget, beside=pair.beside)
            report = replace(report, executed=f"executed/{page.name}")
            memory = self._memory(source.name)
            if report.status == "passed":
                memory.parent.mkdir(parents=True, exist_ok=True)
                memory.write_text(json.dumps({"layout": _LAYOUT, **asdict(report)}, indent=1), encoding="utf-8")
            return self._complete(report, source)
        except Exception as error:  # as above
            return self._failed(source.name, error)

    def _complete(self, report: NotebookReport, source: Source) -> NotebookReport:
        exercises, used = tuple(exercises_of(source, self.root)), tuple(engines_of(source))
        return replace(report, exercises=exercises, engines=used, notes=_notes(report, source, self.root))

    def _memory(self, name: str) -> Path:
        key = _key(self.root, self.listed[name], self.here, whole_copies=self.whole)
        return self.root / "build" / "cache" / "course" / f"{name}-{key}.json"

    def _shown(self, report: NotebookReport) -> NotebookReport:
        self.out.print(_line(report))
        for problem in report.problems:
            self.out.print(f"    [red]{_plain(problem)}[/red]")
        for note in report.notes:
            self.out.print(f"    [yellow]{_plain(note)}[/yellow]")
        return report

    def _failed(self, name: str, error: Exception) -> NotebookReport:
        one = self.listed.get(name, Listed.by_name(name))
        if isinstance(error, SourceError):
            problems = tuple(map(str, error.violations))
        else:
            problems = (str(error) if isinstance(error, CourseError) else f"{type(error).__name__}: {error}",)
        return NotebookReport(name, one.title, "failed", one.budget, problems)


def _notes(report: NotebookReport, source: Source, root: Path) -> tuple[str, ...]:
    if source.draft:
        report = replace(report, notes=(*report.notes, source.draft))
    path = root / "notebooks" / f"{source.name}.ipynb"
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == notebook_text(learner_copy(source)):
        return report.notes
    state = "differs from its source (worked in, or out of date)" if path.is_file() else "is missing"
    return (*report.notes, f"notebooks/{path.name} {state}; `python -m autograder build` writes it again")


def _engines() -> Iterator[EngineReport]:
    for key in engines.ENGINES:
        (one,) = engines.found([key])
        yield EngineReport(key, one.engine.name, one.version or "", one.engine.without)


def _key(root: Path, one: Listed, here: Sequence[EngineReport], *, whole_copies: bool) -> str:
    """Return a digest of all that a run depends on: source, libraries, environment, engines, how copies are judged."""
    settings = [_LAYOUT, sys.version, whole_copies, one.budget, [asdict(engine) for engine in here]]
    digest = hashlib.sha256(json.dumps(settings).encode())
    files = [
        source_path(root, one.name),
        *sorted((root / "course_lib").rglob("*.py")),
        *(path for room in _OURS for path in sorted((Path(__file__).parents[1] / room).rglob("*.py"))),
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
