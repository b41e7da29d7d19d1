"""Class grading: collect, run in parallel, and write gradebook, feedback and reports from one process.

Everything a submission leaves behind is written before its row in the gradebook is committed, and every file is
replaced whole. So a grader may be killed at any moment: the next run takes what is done from the cache and goes on.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path

from autograder.authoring.assignments import Assignment, Catalogue
from autograder.grading.book.settings import Settings, keep_own_course, parse_timestamp, pending, write_pending
from autograder.grading.cache import grader_version
from autograder.grading.collect import CollectedClass, Found, SubmissionsError, collect
from autograder.grading.gradebook import GradebookError, GradebookWriter, open_gradebook, sole_writer
from autograder.grading.identity.people import People
from autograder.grading.notebook.which import Notebooks
from autograder.grading.options import GradeOptions, GradingError
from autograder.grading.reference import proven, write_references
from autograder.grading.seed import keep_seed
from autograder.grading.store import (
    SECRET,
    Stored,
    derive,
    known_roster,
    marked_late,
    penalty_notes,
    read_rows,
    release_digest,
    write_class,
    write_derived,
    write_roster,
    write_row,
)
from autograder.grading.submission import Graded, Grader, broken
from autograder.grading.unseen import settled
from autograder.model import Result
from autograder.reports.class_report import ClassReport
from autograder.reports.files import write_atomically
from autograder.runners.executor import Executor
from autograder.runners.pool import Lost, run_jobs

__all__ = ["Runner", "grade_class", "keep_apart"]

_WORKER_GRACE = 120.0  # seconds beyond its time limit after which a submission's worker is given up
_MAX_COPIED_BYTES = 8 << 20  # submitted files larger than this (outputs) are not copied
_MAX_SECRET = 1024  # bytes; nbgrader's have 128

Runner = Callable[..., Generator[tuple[Found, Graded | Lost], None, None]]


def grade_class(
    submissions: Path,
    out: Path,
    *,
    catalogue: Catalogue,
    make_executor: Callable[[], Executor],
    executor_name: str,
    options: GradeOptions,
    roster: Sequence[str] = (),
    runner: Runner = run_jobs,
    on_start: Callable[[int], None] = lambda _: None,
    on_result: Callable[[Result], None] = lambda _: None,
) -> ClassReport:
    """Grade every notebook of every student in ``submissions`` into ``out``.

    Parameters
    ----------
    submissions, out
        Where the class is, and the course folder that is written.
    catalogue
        The notebooks that can be graded; only those that are will be loaded.
    make_executor
        Called in each worker; returns what runs notebooks.
    executor_name
        What it is called in the report.
    options
        Limits, dates and which notebooks.
    roster
        Students who get a row, whether they handed something in or not; empty: those of the roster given last.
    runner
        What spreads the work: :func:`autograder.runners.pool.run_jobs` or one with the same parameters.
    on_start, on_result
        Called with the number of submissions, and with each result.

    Raises
    ------
    CourseError
        The class or the gradebook cannot be read, or one lies in the other: nothing can be graded at all.
    """
    import time

    started = time.monotonic()
    keep_apart(submissions, out)
    workers = options.workers or processors()
    with ExitStack() as opened:
        scratch = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="incoming-")))
        book = opened.enter_context(open_gradebook(out, catalogue.places)) if out.exists() else None
        names, only, roster = catalogue.names, options.only, tuple(roster) or known_roster(out)
        people = People.read(out)
        collected = collect(
            submissions, names, scratch=scratch, only=only, roster=roster, people=people,
            helpers=options.helpers, notebooks=Notebooks(names, catalogue.places, catalogue.elsewhere),
        )  # fmt: skip
        if not collected.found:
            raise SubmissionsError(
                f"Nobody has handed in anything in {submissions}.",
                expected="a folder with a folder per student, or an export of a learning platform",
                next_step="check the path; with --roster everybody on a list gets a row",
            )
        if book is None:  # no new folder for what is refused
            opened.enter_context(sole_writer(out))
        assignments = {name: catalogue.load(name) for name in dict.fromkeys(f.notebook for f in collected.found)}
        assignments, marked = settled(assignments, make_executor, options, out / "cache")
        given = Settings(options.due, options.late, options.extensions).of_notebooks(catalogue.places)
        settings = given.over(pending(out))
        if book is not None:
            book.check(settings, students=collected.students, notebooks=assignments)
        references = list(write_references(assignments, out / "cache"))
        jobs = [*references, *collected.found]
        start = partial(Grader, assignments, make_executor, options, out / "cache")
        processes, limit = min(workers, max(1, len(jobs))), options.time_limit + _WORKER_GRACE
        # Closed whatever happens: the workers of a generator that waits for nobody keep the interpreter from ending.
        running = opened.enter_context(closing(runner(start, jobs, workers=processes, limit=limit)))
        if book is None:  # nbgrader is imported while the workers start
            book = opened.enter_context(open_gradebook(out, catalogue.places, locked=True))
            book.check(settings, students=collected.students, notebooks=assignments)
        grades = book
        outcomes = proven(running, references)
        on_start(len(collected.found))
        first = next(outcomes, None)  # not before every reference has passed
        notes = _begin(grades, assignments, settings, collected, out, roster=roster, options=options)
        digests = {name: release_digest(assignment) for name, assignment in assignments.items()}
        stamps = _stamps(collected.found, catalogue)
        failures: list[str] = []
        for found, outcome in chain([first] if first else [], outcomes):
            assignment = assignments[found.notebook]
            graded = broken(found, assignment, outcome.reason) if isinstance(outcome, Lost) else outcome
            if graded.broken:
                failures.append(f"{found.student}/{found.notebook}: {graded.result.reason}")
            stamp = stamps.get((found.student, catalogue.place(found.notebook)[0]), "")
            _write_graded(graded, digests[found.notebook], grades, out, assignment=assignment, stamp=stamp)
            on_result(graded.result)
        write_pending(out, None)
        derived = derive(out, grades, replace(catalogue, load=_known(assignments, catalogue.load)))
        write_derived(derived, out)
        blind = _without_time(grades.due_dates(), collected.found, assignments)
    return ClassReport(
        derived.assignments,
        derived.rows,
        collected.refused,
        grader_version(),
        executor_name,
        workers,
        time.monotonic() - started,
        tuple(failures),
        (*notes, *derived.notes),
        (*collected.notes, *catalogue.notes, *(n for a in assignments.values() for n in a.notes), *marked, *blind),
        tuple(assignments),
    )


def _begin(
    grades: GradebookWriter,
    assignments: Mapping[str, Assignment],
    settings: Settings,
    collected: CollectedClass,
    out: Path,
    *,
    roster: Sequence[str],
    options: GradeOptions,
) -> list[str]:
    """Write what is known of the class before anything is graded; return what the instructor must know of it.

    A grader that is killed leaves the settings it was given written down: the next one applies them too.
    """
    notes: list[str] = []
    if options.seed:
        keep_seed(out, options.seed)
    keep_own_course(out, options, {name: assignment.place for name, assignment in assignments.items()})
    collected.people.write(out)
    write_roster(out, roster)
    for assignment in assignments.values():
        notes += grades.add_assignment(assignment)
        write_class(out, assignment.name, collected.students, add=options.add)
    grades.add_students(collected.students)
    write_pending(out, settings)
    try:
        grades.apply(settings, notebooks=assignments)
    except GradebookError:
        write_pending(out, None)  # it can't be applied: not now, and not by the next command
        raise
    earlier = marked_late(read_rows(out)) if any(out.glob("results/*/*.json")) else set()
    return notes + penalty_notes(grades.settle(late=earlier))


def _known(assignments: Mapping[str, Assignment], load: Callable[[str], Assignment]) -> Callable[[str], Assignment]:
    return lambda name: assignments[name] if name in assignments else load(name)


def keep_apart(submissions: Path, out: Path) -> None:
    """Refuse to write among what was handed in, and to grade the copies of an earlier run.

    Both lose work silently: the next run would read the copies in ``submitted/`` and no newcomer and no change.

    Raises
    ------
    CourseError
        There are no submissions, or one folder lies in the other.
    """
    if not submissions.exists():
        raise SubmissionsError(
            f"There are no submissions at {submissions}.",
            expected="a folder with a folder per student, or an export of a learning platform",
            next_step="check the path",
        )
    source, target = submissions.resolve(), out.resolve()
    if source == target or source in target.parents or (source.is_dir() and target in source.parents):
        raise GradingError(
            f"--out {out} and the submissions {submissions} are the same folder, or one lies in the other.",
            expected="two folders side by side",
            next_step="choose another --out, such as build/grades",
        )


def _without_time(due: Mapping[str, datetime | None], found: Iterable[Found], notebooks: Iterable[str]) -> list[str]:
    """Say where a due date has no effect, because nothing says when the work was handed in."""
    handed_in = [one for one in found if one.path is not None]
    notes = []
    for name in notebooks:
        files = [one for one in handed_in if one.notebook == name and due.get(name)]
        unknown = [one.name or one.student for one in files if one.late is None and not _stamp(one)]
        if unknown:
            who = "any of the submissions" if len(unknown) == len(files) else ", ".join(unknown[:5])
            more = f" and {len(unknown) - 5} more" if len(unknown) > 5 and len(unknown) < len(files) else ""
            notes.append(
                f"--due {name} has no effect on {who}{more}: no submission time is known. Platforms that give one, and "
                "how to add it, are in docs/grading.md (Dates)."
            )
    return notes


def _stamps(found: Iterable[Found], catalogue: Catalogue) -> dict[tuple[str, str], str]:
    """Return when each student handed in each of nbgrader's assignments: the last of its notebooks counts."""
    stamps: dict[tuple[str, str], str] = {}
    for one in found:
        if stamp := _stamp(one):
            key = (one.student, catalogue.place(one.notebook)[0])
            stamps[key] = max(stamps.get(key, stamp), stamp, key=lambda text: parse_timestamp(text) or datetime.min)
    return stamps


def _stamp(found: Found) -> str:
    return found.timestamp if parse_timestamp(found.timestamp) else ""


def processors() -> int:
    """Return the number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _write_graded(
    graded: Graded, release: str, grades: GradebookWriter, out: Path, *, assignment: Assignment, stamp: str
) -> None:
    """Write what one submission gave: files first, its row in the gradebook last."""
    found, result = graded.found, graded.result
    said = {"name": found.name if found.name != found.student else "", "note": " ".join((*found.notes, *found.aside))}
    result = replace(result, extra=result.extra | {key: text for key, text in said.items() if text})
    if found.timestamp and not _stamp(found):
        note = "The submission time in timestamp.txt could not be read; it was ignored."
        result = replace(result, repairs=(*result.repairs, note))
    whole, name = assignment.place
    place = Path(found.student) / whole / f"{name}.ipynb"
    changed = _changed(out / "autograded" / place, graded.notebook)
    _copy_submitted(found, out / "submitted" / place)
    write_atomically(out / "autograded" / place, graded.notebook)
    write_row(Stored(result, graded.key, found.lms_id, bool(found.late), release), out)
    grades.record(result, timestamp=stamp, changed=changed, late=bool(found.late))


def _changed(path: Path, text: str) -> bool:
    """Whether what a learner wrote at ``path`` is something else than in ``text``; a question that is new is not."""
    try:
        before, now = _answers(path.read_text(encoding="utf-8")), _answers(text)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return True
    return any(before[cell] != now[cell] for cell in before.keys() & now.keys())


def _answers(document: str) -> dict[str, list[str]]:
    """Return the sources of the learner's cells by their id; those that have none are together."""
    import json

    found: dict[str, list[str]] = {"": []}
    for cell in json.loads(document)["cells"]:
        meta = cell["metadata"].get("nbgrader", {})
        if meta.get("solution") or not (meta.get("grade") or meta.get("locked")):
            found.setdefault(meta.get("grade_id", ""), []).append(cell["source"])
    return found


def _copy_submitted(found: Found, target: Path) -> None:
    """Copy what was handed in to where nbgrader expects it; huge files (outputs) are left where they are."""
    target.parent.mkdir(parents=True, exist_ok=True)
    content = _small(found.path) if found.path is not None else None
    if content is not None:
        temporary = target.with_name(".new-" + target.name)
        temporary.write_bytes(content)
        temporary.replace(target)
    if found.timestamp:
        write_atomically(target.parent / "timestamp.txt", found.timestamp + "\n")
    if found.path is not None and (secret := _secret(found.path.parent)):
        write_atomically(target.parent / SECRET, secret)


def _small(path: Path) -> bytes | None:
    """Return the content of a file; None of one that is huge, or not to be read (any more): its row says so."""
    try:
        return path.read_bytes() if not path.is_symlink() and path.stat().st_size <= _MAX_COPIED_BYTES else None
    except OSError:
        return None


def _secret(folder: Path) -> str:
    """Return what nbgrader's exchange put beside a submission, so that its feedback finds the way back."""
    path = folder / SECRET
    try:
        whole = not path.is_symlink() and path.stat().st_size <= _MAX_SECRET
        return path.read_text(encoding="ascii") if whole else ""
    except (OSError, ValueError):
        return ""
