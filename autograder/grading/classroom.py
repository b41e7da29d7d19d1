"""Grade a class: collect, run in parallel, and write gradebook, feedback and reports from one process.

Everything a submission leaves behind is written before its row in the gradebook is committed, and every file is
replaced whole. So a grader may be killed at any moment: the next run takes what is done from the cache and goes on.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from autograder.authoring.assignments import Assignment, Catalogue
from autograder.grading.cache import grader_version
from autograder.grading.collect import Classroom, Found, collect
from autograder.grading.gradebook import Grades, open_gradebook, parse_timestamp
from autograder.grading.options import GradeOptions
from autograder.grading.store import keep
from autograder.grading.submission import Graded, Grader, failed, rejected
from autograder.model import GradebookRow, Result
from autograder.reports.class_report import ClassReport
from autograder.reports.feedback import write_feedback
from autograder.reports.files import write_atomically
from autograder.runners.executor import Executor
from autograder.runners.pool import Lost, run_jobs

__all__ = ["Runner", "grade_class"]

_PATIENCE = 120.0  # seconds beyond its time limit after which a submission's worker is given up
_KEPT_BYTES = 8 << 20  # submitted files larger than this (outputs) are not copied

Runner = Callable[..., Iterator[tuple[Found, Graded | Lost]]]


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
        Students who get a row, whether they handed something in or not.
    runner
        What spreads the work: :func:`autograder.runners.pool.run_jobs` or one with the same parameters.
    on_start, on_result
        Called with the number of submissions, and with each result.

    Raises
    ------
    CourseError
        The class or the gradebook cannot be read: nothing can be graded at all.
    """
    import time

    workers = options.workers or processors()
    started = time.monotonic()
    rows: list[GradebookRow] = []
    broken: list[str] = []
    with (
        open_gradebook(out, due=dict(options.due), penalty=options.late) as grades,
        tempfile.TemporaryDirectory(prefix="incoming-") as scratch,
    ):
        names, only = catalogue.names, options.only
        room = collect(submissions, names, scratch=Path(scratch), only=only, roster=roster)
        known = {name: catalogue.load(name) for name in dict.fromkeys(found.notebook for found in room.found)}
        _prepare(grades, known, room)
        on_start(len(room.found))
        start = partial(Grader, known, make_executor, options, out / "cache")
        for graded, infrastructure in _graded(
            room, start, known, runner, workers=workers, limit=options.time_limit + _PATIENCE
        ):
            if infrastructure:
                broken.append(f"{graded.found.student}/{graded.found.notebook}: {graded.result.reason}")
            rows.append(_keep(graded, known[graded.found.notebook], grades, out))
            on_result(graded.result)
    rows.sort(key=lambda row: (row.result.student, row.result.notebook))
    return ClassReport(
        tuple(known.values()),
        tuple(rows),
        room.refused,
        grader_version(),
        executor_name,
        workers,
        time.monotonic() - started,
        tuple(broken),
    )


def processors() -> int:
    """Return the number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _prepare(grades: Grades, known: Mapping[str, Assignment], room: Classroom) -> None:
    for assignment in known.values():
        grades.add_assignment(assignment)
    grades.add_students(room.students)


def _graded(
    room: Classroom,
    start: Callable[[], Grader],
    known: Mapping[str, Assignment],
    runner: Runner,
    *,
    workers: int,
    limit: float,
) -> Iterator[tuple[Graded, bool]]:
    """Yield every submission's result, and whether the grader itself failed on it."""
    for found in room.found:
        if found.path is None:
            yield rejected(found, known[found.notebook], found.reason), False
    jobs = [found for found in room.found if found.path is not None]
    for found, outcome in runner(start, jobs, workers=min(workers, max(1, len(jobs))), limit=limit):
        if isinstance(outcome, Lost):
            yield failed(found, known[found.notebook], outcome.reason), True
        else:
            yield outcome, outcome.broken


def _keep(graded: Graded, assignment: Assignment, grades: Grades, out: Path) -> GradebookRow:
    """Write what one submission gave: files first, its row in the gradebook last."""
    found, result = graded.found, graded.result
    if found.timestamp and parse_timestamp(found.timestamp) is None:
        note = "The submission time in timestamp.txt could not be read; it was ignored."
        result = replace(result, repairs=(*result.repairs, note))
    place = Path(found.student) / found.notebook / f"{found.notebook}.ipynb"
    changed = _changed(out / "autograded" / place, graded.notebook)
    _keep_submitted(found, out / "submitted" / place)
    write_atomically(out / "autograded" / place, graded.notebook)
    stamp = found.timestamp if parse_timestamp(found.timestamp) else ""
    recorded = grades.record(result, timestamp=stamp, changed=changed)
    write_feedback(result, assignment, out / "feedback" / found.student, penalty=recorded.penalty)
    row = GradebookRow(result, graded.key, found.lms_id, recorded.penalty, recorded.total, recorded.late_seconds)
    keep(row, out)
    return row


def _changed(path: Path, text: str) -> bool:
    """Whether the answers in the notebook at ``path`` are others than those in ``text``; outputs don't count."""
    import json

    def answers(document: str) -> list[Any]:
        return [cell["source"] for cell in json.loads(document)["cells"]]

    try:
        return answers(path.read_text(encoding="utf-8")) != answers(text)
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _keep_submitted(found: Found, target: Path) -> None:
    """Copy what was handed in to where nbgrader expects it; huge files (outputs) are left where they are."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if found.path is not None and not found.path.is_symlink() and found.path.stat().st_size <= _KEPT_BYTES:
        temporary = target.with_name(".new-" + target.name)
        shutil.copyfile(found.path, temporary)
        temporary.replace(target)
    if found.timestamp:
        write_atomically(target.parent / "timestamp.txt", found.timestamp + "\n")
