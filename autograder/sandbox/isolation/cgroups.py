"""Control groups of version 1 and 2, made below this process's own: limits over a whole tree of processes."""

from __future__ import annotations

import contextlib
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Group", "available", "make_group"]

_ROOT = Path("/sys/fs/cgroup")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Group:
    """The control groups of one process tree."""

    memory: Path
    pids: Path | None
    version: int

    def add(self, pid: int) -> None:
        """Put process ``pid`` in; what it forks later is in as well."""
        for folder in {self.memory, self.pids} - {None}:
            (folder / "cgroup.procs").write_text(str(pid))  # type: ignore[operator]

    def peak_mb(self) -> float:
        """Return the most memory the tree has used, in MB."""
        name = "memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"
        with contextlib.suppress(OSError, ValueError):
            return int((self.memory / name).read_text()) / (1 << 20)
        return 0.0

    def out_of_memory(self) -> bool:
        """Return whether the kernel had to kill a process of the tree for its memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        with contextlib.suppress(OSError, ValueError):
            words = (self.memory / name).read_text().split()
            return int(words[words.index("oom_kill") + 1]) > 0
        return False

    def remove(self) -> None:
        """Remove the groups; the processes must be gone."""
        for folder in {self.memory, self.pids} - {None}:
            with contextlib.suppress(OSError):
                folder.rmdir()  # type: ignore[union-attr]


def _own_folders() -> dict[str, Path]:
    """Return where this process is: controller -> folder, version 2 under the empty name."""
    found: dict[str, Path] = {}
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            base = (
                _ROOT / controller
                if controllers
                else (_ROOT if (_ROOT / "cgroup.controllers").exists() else _ROOT / "unified")
            )
            found[controller] = Path(f"{base}{path}".rstrip("/"))
    return found


def available() -> str:
    """Return "cgroup v1", "cgroup v2", or the empty string where trees can't be limited that way."""
    try:
        group = make_group(memory_mb=64, processes=8)
    except OSError:
        return ""
    if group is None:
        return ""
    group.remove()
    return f"cgroup v{group.version}"


def make_group(*, memory_mb: int, processes: int) -> Group | None:
    """Make groups with these limits, nested below this process's own; ``None`` where that can't be done."""
    own = _own_folders()
    name = f"course-grader-{os.getpid()}-{next(_numbers)}"
    try:
        if "memory" in own:
            return _version_1(own, name, memory_mb << 20, processes)
        if "" in own and "memory" in (own[""] / "cgroup.subtree_control").read_text().split():
            return _version_2(own[""] / name, memory_mb << 20, processes)
    except OSError:
        return None
    return None


def _version_1(own: dict[str, Path], name: str, limit: int, processes: int) -> Group:
    memory = own["memory"] / name
    memory.mkdir()
    (memory / "memory.limit_in_bytes").write_text(str(limit))
    with contextlib.suppress(OSError):
        (memory / "memory.memsw.limit_in_bytes").write_text(str(limit))
    pids = own["pids"] / name if "pids" in own else None
    if pids is not None:
        try:
            pids.mkdir()
            (pids / "pids.max").write_text(str(processes))
        except OSError:
            pids = None
    return Group(memory, pids, 1)


def _version_2(folder: Path, limit: int, processes: int) -> Group:
    folder.mkdir()
    (folder / "memory.max").write_text(str(limit))
    for file, value in (("memory.swap.max", "0"), ("pids.max", str(processes))):
        with contextlib.suppress(OSError):
            (folder / file).write_text(value)
    return Group(folder, None, 2)
