"""MLflow store reader for an SQLite file that a stranger wrote: read-only, in memory, with a limit on the work."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from autograder.projects.model import Unmet

__all__ = ["TrackedRun", "runs"]

_STEPS = 2_000  # of a thousand virtual-machine instructions: a query that needs more is no honest table's


@dataclass(frozen=True)
class TrackedRun:
    """A finished run: what it logged."""

    id: str
    params: Mapping[str, str]
    metrics: Mapping[str, tuple[tuple[int, float], ...]]  # by name: step and value
    tags: Mapping[str, str] = field(default_factory=dict)

    def curves(self, points: int) -> list[str]:
        """Return the metrics that have values at no fewer than ``points`` different steps."""
        return sorted(name for name, values in self.metrics.items() if len({step for step, _ in values}) >= points)


def runs(data: bytes | None) -> list[TrackedRun]:
    """Return the finished runs of a store, oldest first.

    Raises
    ------
    Unmet
        It is no such store.
    """
    if not data:
        raise Unmet("training wrote no SQLite store where `tracking` says")
    try:
        with _opened(data) as database:
            return list(_runs(database))
    except (sqlite3.Error, ValueError, OverflowError, MemoryError) as error:
        raise Unmet(f"the tracking store could not be read as MLflow's: {type(error).__name__}") from error


@contextmanager
def _opened(data: bytes) -> Iterator[sqlite3.Connection]:
    left = [_STEPS]

    def tick() -> int:
        left[0] -= 1
        return left[0] < 0

    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(data)
        database.execute("PRAGMA trusted_schema = OFF")
        database.execute("PRAGMA query_only = ON")
        database.set_progress_handler(tick, 1_000)
        yield database


def _runs(database: sqlite3.Connection) -> Iterator[TrackedRun]:
    rows = database.execute("SELECT run_uuid FROM runs WHERE status = 'FINISHED' ORDER BY start_time LIMIT 50")
    for (run,) in rows.fetchall():
        params = dict(_all(database, "SELECT key, value FROM params WHERE run_uuid = ? LIMIT 500", run))
        tags = dict(_all(database, "SELECT key, value FROM tags WHERE run_uuid = ? LIMIT 500", run))
        metrics: dict[str, list[tuple[int, float]]] = {}
        for key, step, value in _all(
            database, "SELECT key, step, value FROM metrics WHERE run_uuid = ? ORDER BY step LIMIT 20000", run
        ):
            metrics.setdefault(str(key), []).append((int(step), float(value)))
        yield TrackedRun(str(run), params, {k: tuple(v) for k, v in metrics.items()}, tags)


def _all(database: sqlite3.Connection, query: str, run: str) -> list[Any]:
    return database.execute(query, (run,)).fetchall()
