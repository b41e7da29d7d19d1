"""Resource usage of a process tree, seen from outside: memory, processor time, number of processes.

Control groups limit memory by themselves where there are any; this works everywhere. Memory is the sum of proportional
set sizes, so pages that forked processes share with the forkserver are not counted for each of them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Usage", "children", "descendants", "parent_of", "resident_mb", "usage"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What a process tree uses at one moment."""

    memory_mb: float
    cpu_seconds: float
    processes: int


def descendants(pid: int, *, spare: Collection[int] = ()) -> list[int]:
    """Return ``pid`` and all processes below it, without those in ``spare`` and what is below them."""
    found, queue = [], [pid]
    while queue:
        current = queue.pop()
        found.append(current)
        queue += [child for child in children(current) if child not in spare]
    return found


def children(pid: int) -> list[int]:
    """Return the processes that ``pid``'s threads have started."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with contextlib.suppress(OSError, ValueError):
                found += [int(word) for word in Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
    return found


def usage(pid: int, *, baseline_mb: float, alarm_mb: float) -> Usage:
    """Return what the tree below ``pid`` uses.

    ``baseline_mb`` is what each process shares with the forkserver; the cheap estimate that leaves it out is made exact
    only when it comes near ``alarm_mb``.
    """
    pids = descendants(pid)
    cheap = sum(max(resident_mb(p) - baseline_mb, 0.0) for p in pids)
    memory = cheap if cheap < alarm_mb / 2 else sum(_own_mb(p, baseline_mb) for p in pids)
    return Usage(memory, sum(_cpu_seconds(p) for p in pids), len(pids))


def resident_mb(pid: int) -> float:
    """Return the memory of a process, shared pages included, in MB; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / (1 << 20)
    except (OSError, IndexError):
        return 0.0


def _own_mb(pid: int, baseline_mb: float) -> float:
    """Return the private memory of a process, and its share of what it shares, in MB."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except (OSError, IndexError):
        pass
    return max(resident_mb(pid) - baseline_mb, 0.0)


def parent_of(pid: int) -> int:
    """Return the parent of process ``pid``, 0 if that is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15]) / _TICKS
    except (OSError, IndexError):
        return 0.0
