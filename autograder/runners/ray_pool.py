"""The pool of :mod:`autograder.runners.pool` on a Ray cluster: the same jobs, the same outcomes, on several machines.

A worker or a node that dies loses nothing: its job is given to another worker. Submissions and ``--out`` must be on a
file system that all nodes share; only the process that started the grader writes the gradebook.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from autograder.runners.pool import JobRunner, Lost
from course_lib.errors import CourseError

__all__ = ["RayError", "run_on_ray"]

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")

_ATTEMPTS = 3  # at a job whose worker died
_FAREWELL = 20.0  # seconds workers have to clean up at the end
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class RayError(CourseError):
    """No cluster can be had."""


class _Worker(JobRunner):
    """Runs in a process of the cluster."""

    def ready(self) -> None:
        """Answer once this process has its place on a node: only then the time of a job counts."""


@dataclass
class _Task:
    """A job that a worker has at the moment."""

    job: Any
    attempt: int
    worker: Any
    deadline: float


def run_on_ray(
    start: Callable[[], Callable[[Job], Outcome]],
    jobs: Iterable[Job],
    *,
    workers: int,
    limit: float,
    address: str = "",
) -> Generator[tuple[Job, Outcome | Lost], None, None]:
    """Run ``jobs`` in ``workers`` processes of a Ray cluster; see :func:`autograder.runners.pool.run_jobs`.

    Parameters
    ----------
    start, jobs, workers, limit
        As there.
    address
        Of the cluster's head, such as ``10.0.0.1:6379``; by default a cluster of this machine, for this call only.

    Raises
    ------
    RayError
        Ray is not installed, or nobody answers at ``address``.
    """
    ray, own = _connect(address, workers)
    make = ray.remote(num_cpus=1, max_restarts=0)(_Worker)
    waiting = deque((job, 1) for job in jobs)
    idle: list[Any] = []
    starting: dict[Any, Any] = {}
    running: dict[Any, _Task] = {}
    try:
        while waiting or running:
            while waiting and idle:
                (job, attempt), worker = waiting.popleft(), idle.pop()
                running[worker.do.remote(job)] = _Task(job, attempt, worker, time.monotonic() + limit)
            while len(starting) < min(len(waiting), workers - len(running) - len(idle)):
                worker = make.remote(start)
                starting[worker.ready.remote()] = worker
            for reference in ray.wait([*running, *starting], timeout=1.0)[0]:
                if reference in starting:
                    worker = starting.pop(reference)
                    with contextlib.suppress(ray.exceptions.RayError):  # gone with its node
                        ray.get(reference)
                        idle.append(worker)
                    continue
                task = running.pop(reference)
                try:
                    outcome = ray.get(reference)
                    idle.append(task.worker)
                except ray.exceptions.RayError as error:  # its worker or its node is gone
                    if task.attempt < _ATTEMPTS:
                        waiting.append((task.job, task.attempt + 1))
                        continue
                    outcome = Lost(f"The grading process ended unexpectedly {_ATTEMPTS} times: {type(error).__name__}.")
                yield task.job, outcome
            for reference in [r for r, task in running.items() if time.monotonic() > task.deadline]:
                task = running.pop(reference)
                ray.kill(task.worker)
                yield task.job, Lost("Grading did not end within its time and was stopped.")
    finally:
        _dismiss(ray, idle, [*starting.values(), *(task.worker for task in running.values())])
        if own:
            ray.shutdown()


def _connect(address: str, workers: int) -> tuple[Any, bool]:
    """Return Ray, connected, and whether this call made the connection."""
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    try:
        import ray
    except ImportError as error:
        raise RayError(
            "Ray is not installed.", expected="the extra 'cluster'", next_step="install ray, or use --executor local"
        ) from error
    if ray.is_initialized():
        return ray, False
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    options |= {"address": address} if address else {"num_cpus": workers, "include_dashboard": False}
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise RayError(
            f"No Ray cluster can be used{f' at {address}' if address else ''}: {error!s:.200}",
            expected="the address of a cluster's head, such as 10.0.0.1:6379",
            next_step="look at `ray status` there, or use --executor local",
        ) from error
    return ray, True


def _dismiss(ray: Any, idle: list[Any], busy: list[Any]) -> None:
    with contextlib.suppress(ray.exceptions.RayError):
        ray.wait(
            [worker.close.remote() for worker in idle] or [ray.put(0)], num_returns=max(1, len(idle)), timeout=_FAREWELL
        )
    for worker in [*idle, *busy]:
        ray.kill(worker)
