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
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.authoring.release import learner_copy, named, release_of
from autograder.authoring.sources import Source
from autograder.course.model import budget_of
from autograder.reports.terminal import Board
from autograder.runners.papermill import TIME_LIMIT, Run, run_notebook
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
    reference: Run | None = None
    copy: Run | None = None
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
    told = [os.environ.get("MEM_LIMIT", "")]  # JupyterHub, and so Binder
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # control groups, version 2 and 1
        with contextlib.suppress(OSError):
            told.append((Path("/sys/fs/cgroup") / name).read_text())
    for text in told:
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
    ordered = sorted(sources, key=lambda source: -budget_of(source.name))
    one = _WholePair(root, board, stop.is_set)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            graded = None if whole else pool.submit(_graded, ordered, board, stop.is_set)
            pairs = {pool.submit(one, source, graded): source for source in ordered}
            for future in as_completed(pairs):
                yield replace(_pair(pairs[future], future), beside=beside)
        except BaseException:  # Ctrl-C, or a caller that has had enough: what runs is stopped, what waits never starts
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


class _WholePair:
    """Runs the reference, then waits for its graded copy, or runs that too."""

    def __init__(self, root: Path, board: Board, stop: Callable[[], bool]) -> None:
        self.root, self.board, self.stop = root, board, stop

    def __call__(self, source: Source, graded: Future[Mapping[str, Run | Exception]] | None) -> Pair:
        saved = self.root / "build" / "executed" / f"{source.name}.ipynb"
        with self.board.watching(source.name) as on_cell:
            reference = run_notebook(
                named(source.notebook),
                allow_errors=True,
                save_to=saved,
                save_each_cell=False,
                on_cell=on_cell,
                stop=self.stop,
            )
        copy = graded.result().get(source.name) if graded is not None else None
        if isinstance(copy, Exception):
            raise copy
        return Pair(source, reference, copy or self._copy(source))

    def _copy(self, source: Source) -> Run:
        with self.board.watching(f"{source.name}, untouched learner copy") as on_cell:
            return run_notebook(
                release_of(source),
                allow_errors=True,
                save_each_cell=False,
                environment=_UNTOUCHED,
                on_cell=on_cell,
                stop=self.stop,
            )


def _pair(source: Source, future: Future[Pair]) -> Pair:
    try:
        return future.result()
    except Exception as error:  # a fault in one notebook's run must not cost the report of the others
        return Pair(source, error=error)


def _graded(sources: Sequence[Source], board: Board, stop: Callable[[], bool]) -> Mapping[str, Run | Exception]:
    """Grade untouched copies one after the other; without a sandbox on this machine return none, and they run whole."""
    from autograder.runners.sandbox import Sandboxed
    from autograder.sandbox.errors import SandboxUnavailable

    try:
        executor = Sandboxed("auto")
    except SandboxUnavailable:
        return {}
    found: dict[str, Run | Exception] = {}
    try:
        for source in sources:
            if stop():
                raise CourseError("The run was stopped.")
            with board.watching(f"{source.name}, untouched learner copy"):
                found[source.name] = _graded_copy(executor, source)
    finally:
        executor.close()
    return found


def _graded_copy(executor: Sandboxed, source: Source) -> Run | Exception:
    from autograder.authoring.assignments import Assignment
    from autograder.grading.repair import repair

    copy = learner_copy(source)
    assignment = Assignment(source.spec, copy, release_of(source), source.notebook)
    try:
        executor.prepare(assignment)
        repaired = repair(copy, assignment)
        done = executor.run(repaired.notebook, assignment.graded, time_limit=TIME_LIMIT, cell_limit=TIME_LIMIT)
    except Exception as error:  # as above
        return error
    return Run(done.notebook, done.seconds, done.peak_mb, died=done.died, ran=done.ran)
