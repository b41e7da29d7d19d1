"""A pool of worker processes in which one bad job costs one job: a worker that dies or hangs is replaced.

The pools of the standard library break as a whole when a worker is killed, and cannot say which job did it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

__all__ = ["Lost", "run_jobs"]

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")

_FAREWELL = 20.0  # seconds a worker has to clean up at the end
_IDLE_CHECK = 1.0  # seconds between looks at the clock while workers are busy


@dataclass(frozen=True)
class Lost:
    """A job without outcome, and why."""

    reason: str


def run_jobs(
    start: Callable[[], Callable[[Job], Outcome]], jobs: Iterable[Job], *, workers: int, limit: float
) -> Iterator[tuple[Job, Outcome | Lost]]:
    """Run ``jobs`` in ``workers`` processes; yield each job with its outcome, in the order in which they end.

    Parameters
    ----------
    start
        Called in each worker, at its first job; returns the function that does a job. It must be picklable. If what it
        returns has a method ``close``, that is called at the end.
    jobs
        Taken one by one as workers become free.
    workers
        Number of processes.
    limit
        Seconds after which a job is lost and its worker replaced. Jobs have tighter limits of their own; this one is
        for a worker that hangs.
    """
    waiting = deque(jobs)
    crew: list[_Worker[Job, Outcome]] = []
    try:
        while waiting or any(worker.busy for worker in crew):
            while waiting and len(crew) < workers:
                crew.append(_Worker(start))
            for worker in crew:
                if waiting and not worker.busy:
                    worker.give(waiting.popleft(), limit)
            wait([worker.pipe for worker in crew if worker.busy], timeout=_IDLE_CHECK)
            for worker in [w for w in crew if w.busy]:
                if (ended := worker.poll()) is not None:
                    job, outcome = ended
                    if worker.gone:
                        crew.remove(worker)
                    yield job, outcome
    finally:
        for worker in crew:
            worker.dismiss()


class _Worker(Generic[Job, Outcome]):
    """One process and its pipe."""

    def __init__(self, start: Callable[[], Callable[[Job], Outcome]]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_work, args=(theirs, start), daemon=False)
        self.process.start()
        theirs.close()
        self.job: Job | None = None
        self.busy = False
        self.gone = False
        self.deadline = 0.0

    def give(self, job: Job, limit: float) -> None:
        self.job, self.busy, self.deadline = job, True, time.monotonic() + limit
        with contextlib.suppress(OSError):  # the worker died meanwhile: poll says so
            self.pipe.send(job)

    def poll(self) -> tuple[Job, Outcome | Lost] | None:
        """Return the job and its outcome once it ended."""
        job: Any = self.job
        try:
            if self.pipe.poll():
                outcome = self.pipe.recv()
                self.busy = False
                return job, outcome
        except (EOFError, OSError):
            self.stop()
            return job, Lost(f"The grading process ended unexpectedly (exit code {self.process.exitcode}).")
        if time.monotonic() > self.deadline:
            self.stop()
            return job, Lost("Grading did not end within its time and was stopped.")
        return None

    def dismiss(self) -> None:
        """Let an idle worker end by itself; a busy one is stopped."""
        if self.busy or self.gone:
            self.stop()
            return
        self.pipe.close()  # the worker reads the end of it, and cleans up
        self.process.join(timeout=_FAREWELL)
        self.stop()

    def stop(self) -> None:
        """End the process and everything it started."""
        self.busy, self.gone = False, True
        _kill_tree(self.process)
        self.pipe.close()


def _kill_tree(process: SpawnProcess) -> None:
    import psutil

    with contextlib.suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for member in family:
            with contextlib.suppress(psutil.Error):
                member.kill()
    process.join()


def _work(pipe: Connection, start: Callable[[], Callable[[Any], Any]]) -> None:
    """Do jobs until the pipe closes. Runs in the worker."""
    signal.signal(signal.SIGINT, lambda *_: None)  # the terminal sends Ctrl-C to all; the parent decides
    _die_with_parent()
    do: Any = None
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            break
        try:
            do = do or start()
            outcome = do(job)
        except Exception as error:  # a job must never take its worker along
            outcome = Lost(f"The grader failed on this submission: {type(error).__name__}: {error!s:.300}")
        pipe.send(outcome)
    if hasattr(do, "close"):
        do.close()


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the grader is killed; elsewhere the closed pipe ends it after its job."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
