"""Execution engine: one forkserver behind a sandbox, and as many submissions at once as callers ask for."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from autograder.sandbox.capabilities import choose
from autograder.sandbox.forkserver import ForkServer
from autograder.sandbox.inside.preload import COURSE_LIBRARIES
from autograder.sandbox.model import ExecutedSubmission, Limits, Plan
from autograder.sandbox.run import SubmissionRun
from autograder.sandbox.slicing import STRATEGIES, SlicingStrategy, sliced
from autograder.sandbox.snapshots import SnapshotCache

__all__ = ["Engine", "SandboxName", "course_cache", "open_engine"]

SandboxName = Literal["auto", "bwrap", "native", "none"]


class Engine:
    """Runs submissions. Open it with `open_engine`; close it, or leave the ``with`` block, to end all its processes.

    Attributes
    ----------
    forkserver
        What the processes of submissions are forked from.
    """

    def __init__(
        self,
        *,
        sandbox: str,
        preload: Sequence[str],
        cache: Path | None,
        read_only: Sequence[Path] = (),
        helpers: Path | None = None,
    ) -> None:
        self.forkserver = ForkServer(
            sandbox=sandbox, preload=preload, cache=cache, read_only=read_only, helpers=helpers
        )
        self._snapshots = SnapshotCache(self.forkserver)
        self._lock = threading.Lock()
        self._strategies: dict[str, SlicingStrategy | None] = {}
        self._strategy_locks: dict[str, threading.Lock] = {}

    @property
    def pid(self) -> int:
        """Process id of the outermost process; everything else the engine starts is below it."""
        return self.forkserver.pid

    def run(
        self, plan: Plan, *, limits: Limits | None = None, reference: Plan | None = None, seed: str = ""
    ) -> ExecutedSubmission:
        """Run one submission; see :mod:`autograder.sandbox`. Safe to call from several threads.

        Parameters
        ----------
        plan
            The submission beside its release.
        limits
            What it may use.
        reference
            The same release with the reference solutions handed in. If it earns every point without the cells that no
            check can notice (:mod:`autograder.sandbox.slicing`), submissions run without them as well.
        seed
            The secret of this grading, from which tests draw (`course_lib.draws`); a fresh one by default.

        Raises
        ------
        ExecutionError
            If the machinery itself is broken; never because of the submission.
        """
        limits = limits or Limits()
        if reference is not None:
            strategy = self.prepare(reference, limits=limits)
            plan = sliced(plan, strategy) if strategy else plan
        return SubmissionRun(self.forkserver, self._snapshots, plan, limits, seed=seed or secrets.token_hex()).execute()

    def prepare(self, reference: Plan, *, limits: Limits | None = None) -> SlicingStrategy | None:
        """Return the boldest strategy under which ``reference`` passes all checks; found once a release.

        What it leaves behind is a snapshot that has run all cells which no learner can change; it is kept.
        """
        limits = limits or Limits()
        key = _key_of(reference)
        with self._lock:
            lock = self._strategy_locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._strategies:
                self._strategies[key] = next(
                    (strategy for strategy in STRATEGIES if self._passes(sliced(reference, strategy), limits)), None
                )
            return self._strategies[key]

    def is_sliced(self, reference: Plan) -> bool:
        """Return whether submissions of this release run without the cells that no check can notice."""
        return self._strategies.get(_key_of(reference)) is not None

    def _passes(self, plan: Plan, limits: Limits) -> bool:
        done = SubmissionRun(
            self.forkserver, self._snapshots, plan, limits, seed=secrets.token_hex(), keep=True
        ).execute()
        return all(outcome.ok for outcome in done.outcomes if outcome.kind == "test")

    def close(self) -> None:
        """End the forkserver and everything it has forked; return when nothing of it is left."""
        self._snapshots.close()
        self.forkserver.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _key_of(plan: Plan) -> str:
    return hashlib.sha256(
        repr([plan.helpers, *((c.kind, c.release, c.learner) for c in plan.cells)]).encode()
    ).hexdigest()


def open_engine(
    *,
    sandbox: SandboxName = "auto",
    preload: Sequence[str] | None = None,
    cache: Path | None = None,
    read_only: Sequence[Path] = (),
    helpers: Path | None = None,
    probe: bool = True,
) -> Engine:
    """Start an engine: import the course's libraries once, behind the sandbox.

    Parameters
    ----------
    sandbox
        "auto" takes the best that `capabilities` finds; "none" runs without walls.
    preload
        Modules to import in advance; the course's own list by default.
    cache
        The folder of derived data to show inside; that of :func:`course_lib.data.cache_dir` by default.
    read_only
        Other folders to show inside.
    helpers
        The folder in which a plan's ``helpers`` are.
    probe
        Whether to try the sandbox first; not needed for one that `capabilities` named a moment ago.

    Raises
    ------
    SandboxUnavailable
        If no sandbox, or not the one asked for, can be had on this machine.
    ExecutionError
        If the warm process doesn't start.
    """
    chosen: str = sandbox
    if sandbox != "none" and probe:
        chosen = choose(sandbox)
    if cache is None:
        cache = course_cache()
    return Engine(
        sandbox=chosen,
        preload=COURSE_LIBRARIES if preload is None else preload,
        cache=cache,
        read_only=read_only,
        helpers=helpers,
    )


def course_cache() -> Path | None:
    """Return the course's cache of derived data, ``None`` if there is none."""
    with contextlib.suppress(Exception):
        from course_lib.data import cache_dir

        return cache_dir()
    return None
