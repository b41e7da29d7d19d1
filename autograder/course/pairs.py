"""The runs behind a course report: references and untouched learner copies, several at a time.

A reference runs with papermill in a process of its own. An untouched copy is graded like a submission, behind the
sandbox, where the cells that no check can notice are left out; or it runs whole, which also shows whether each of its
cells can be run by a learner who has solved nothing.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.authoring.course_list import read_list
from autograder.authoring.release import named, release_of
from autograder.authoring.sources import Source
from autograder.reports.terminal import Board
from autograder.runners.papermill import TIME_LIMIT, run_notebook
from autograder.runners.run import NotebookRun
from course_lib.errors import CourseError

if TYPE_CHECKING:
    from autograder.runners.sandbox import Sandboxed

__all__ = ["Pair", "run_pairs", "usual_jobs"]

# What an untouched copy earns does not depend on the server behind it, and vLLM takes a minute to start.
_UNTOUCHED = {"COURSE_VLLM": "none"}
_MOST_AT_ONCE = 2  # the servers of three would wait for one another on most machines
_GB_EACH = 6.0  # of memory: the largest notebook needs 4, and its neighbour 1


@dataclass(frozen=True)
class Pair:
    """What came of one notebook: its two runs, or why there are none."""

    source: Source
    reference: NotebookRun | None = None
    copy: NotebookRun | None = None
    error: Exception | None = None
    beside: bool = False  # whether other notebooks ran at the same time


def usual_jobs() -> int:
    """Return how many notebooks this machine runs at once: 2, or 1 where there is one processor or little memory."""
    from autograder.grading.classroom import processors

    return max(1, min(_MOST_AT_ONCE, processors(), int(_memory_gb() / _GB_EACH)))


def _memory_gb() -> float:
    """Return the memory of this machine, or of the container that this is."""
    import psutil

    limits = [float(psutil.virtual_memory().total)]
    texts = [os.environ.get("MEM_LIMIT", "")]  # JupyterHub, and so Binder
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # control groups, version 2 and 1
        with contextlib.suppress(OSError):
            texts.append((Path("/sys/fs/cgroup") / name).read_text())
    for text in texts:
        with contextlib.suppress(ValueError):  # "max": no limit
            limits.append(float(text))
    return min(limits) / 2**30


def run_pairs(sources: Sequence[Source], root: Path, board: Board, *, jobs: int, whole: bool) -> Iterator[Pair]:
    """Run the reference and the untouched copy of each notebook; yield each pair as soon as it is complete.

    Parameters
    ----------
    sources
        The notebooks; those with the largest budget begin.
    root
        The course's folder; executed references are saved in its ``build/executed``.
    board
        Shows how far each run is.
    jobs
        Runs at the same time.
    whole
        Run the copies from top to bottom instead of grading them.
    """
    if not sources:
        return
    jobs = min(jobs, len(sources))  # the clock of a single notebook is not to be shared with the grading of its copy
    stop, beside = threading.Event(), jobs > 1
    budgets = {one.name: one.budget for one in read_list(root)}
    ordered = sorted(sources, key=lambda source: -budgets.get(source.name, 0.0))
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            graded = None if whole else pool.submit(_graded, ordered, board, stop.is_set)
            pairs = {pool.submit(_whole_pair, source, graded, root, board, stop.is_set): source for source in ordered}
            for future in as_completed(pairs):
                yield replace(_pair(pairs[future], future), beside=beside)
        except BaseException:  # Ctrl-C, or a caller that has had enough: what runs is stopped, what waits never starts
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _whole_pair(
    source: Source,
    graded: Future[Mapping[str, NotebookRun | Exception]] | None,
    root: Path,
    board: Board,
    stop: Callable[[], bool],
) -> Pair:
    """Run the reference, then wait for its graded copy, or run that too."""
    run = partial(run_notebook, allow_errors=True, save_each_cell=False, stop=stop)
    with board.watching(source.name) as on_cell:
        saved = root / "build" / "executed" / f"{source.name}.ipynb"
        reference = run(named(source.notebook), save_to=saved, on_cell=on_cell)
    copy = graded.result().get(source.name) if graded is not None else None
    if isinstance(copy, Exception):
        raise copy
    if copy is None:
        with board.watching(f"{source.name}, untouched learner copy") as on_cell:
            copy = run(release_of(source), environment=_UNTOUCHED, on_cell=on_cell)
    return Pair(source, reference, copy)


def _pair(source: Source, future: Future[Pair]) -> Pair:
    try:
        return future.result()
    except Exception as error:  # a fault in one notebook's run must not cost the report of the others
        return Pair(source, error=error)


def _graded(sources: Sequence[Source], board: Board, stop: Callable[[], bool]) -> Mapping[str, NotebookRun | Exception]:
    """Grade untouched copies one after the other; without a sandbox on this machine return none, and they run whole."""
    from autograder.runners.sandbox import Sandboxed
    from autograder.sandbox.errors import SandboxUnavailable

    try:
        executor = Sandboxed("auto")
    except SandboxUnavailable:
        return {}
    found: dict[str, NotebookRun | Exception] = {}
    try:
        for source in sources:
            if stop():
                raise CourseError("The run was stopped.")
            with board.watching(f"{source.name}, untouched learner copy"):
                found[source.name] = _graded_copy(executor, source)
    finally:
        executor.close()
    return found


def _graded_copy(executor: Sandboxed, source: Source) -> NotebookRun | Exception:
    from autograder.authoring.assignments import Assignment
    from autograder.grading.notebook.repair import repair

    assignment = Assignment.of(source)
    try:
        executor.prepare(assignment)
        repaired = repair(assignment.learner, assignment)
        done = executor.run(repaired.notebook, assignment.graded, time_limit=TIME_LIMIT, cell_limit=TIME_LIMIT)
    except Exception as error:  # as above
        return error
    return NotebookRun(done.notebook, done.seconds, done.peak_mb, died=done.died, ran=done.ran)
