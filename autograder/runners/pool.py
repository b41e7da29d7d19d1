"""A pool of worker processes in which one bad job costs one job: a worker that dies or hangs is replaced.

The pools of the standard library break as a whole when a worker is killed, and cannot say which job did it. pebble's
`ProcessPool` (5.2.3 was tried) names the job, but its workers share one pipe: one that is killed in the middle of its
answer, as when memory runs out, cost seven of eight jobs; here it costs its own, because each worker has its own pipe.
pebble also leaves alive what a worker stopped at its limit had started; here that is ended with it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

__all__ = ["JobRunner", "Lost", "run_jobs"]

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
) -> Generator[tuple[Job, Outcome | Lost], None, None]:
    """Run ``jobs`` in ``workers`` processes; yield each job with its outcome, in the order in which they end.

    The workers are at work when this returns. Close what it returns: that ends them.

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
    running = _run_jobs(start, deque(jobs), workers=workers, limit=limit)
    next(running, None)  # to where the workers have their first jobs
    return running


def _run_jobs(
    start: Callable[[], Callable[[Job], Outcome]], waiting: deque[Job], *, workers: int, limit: float
) -> Generator[Any, None, None]:
    crew: list[_Worker[Job, Outcome]] = []
    at_work = False
    try:
        while waiting or any(worker.busy for worker in crew):
            while waiting and len(crew) < workers:
                crew.append(_Worker(start))
            for worker in crew:
                if waiting and not worker.busy:
                    worker.give(waiting.popleft(), limit)
            if not at_work:
                at_work = True
                yield None
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


class JobRunner:
    """What a worker does: start at its first job what does the jobs, and end it with the last one."""

    def __init__(self, start: Callable[[], Any]) -> None:
        self._start = start
        self._do: Any = None

    def do(self, job: Any) -> Any:
        """Return what came of ``job``; it must never take its worker along."""
        try:
            self._do = self._do or self._start()
            return self._do(job)
        except Exception as error:
            return Lost(f"The grader failed on this submission: {type(error).__name__}: {error!s:.300}")

    def close(self) -> None:
        """End what was started."""
        if hasattr(self._do, "close"):
            self._do.close()


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
    if sys.platform == "linux":  # elsewhere the closed pipe ends it after its job
        from autograder.sandbox.isolation.syscalls import die_with_parent

        die_with_parent()
    runner = JobRunner(start)
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(runner.do(pipe.recv()))
    runner.close()
