"""Sandbox detection: which kinds this machine can give, found out by building one."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autograder.sandbox.errors import ExecutionError, SandboxUnavailable
from autograder.sandbox.forkserver import ForkServer
from autograder.sandbox.isolation import cgroups, landlock, syscalls
from autograder.sandbox.model import Limits, Plan, PlanCell
from autograder.sandbox.run import SubmissionRun
from autograder.sandbox.snapshots import SnapshotCache

__all__ = ["Capabilities", "Option", "capabilities", "choose"]


@dataclass(frozen=True)
class Option:
    """One way to wall submissions in."""

    name: str  # "bwrap" or "native"
    works: bool
    reason: str  # why not, empty if it works


@dataclass(frozen=True)
class Capabilities:
    """What this machine has, in order of preference, and what to do about what it hasn't."""

    options: tuple[Option, ...]
    memory: str  # how the memory of a process tree is limited
    landlock: int  # version, 0: none
    advice: str  # empty if the first choice works

    @property
    def best(self) -> str | None:
        """The name of the best sandbox, ``None`` if there is none."""
        return next((option.name for option in self.options if option.works), None)

    def choose(self, wanted: str) -> str:
        """Return the sandbox to use for ``wanted`` ("auto" or a name).

        Raises
        ------
        SandboxUnavailable
            If it can't be had.
        """
        found = (
            self.best
            if wanted == "auto"
            else next((o.name for o in self.options if o.name == wanted and o.works), None)
        )
        if found is None:
            raise SandboxUnavailable(
                "Strangers' code can't be walled in on this machine: "
                + "; ".join(f"{o.name}: {o.reason}" for o in self.options if not o.works),
                expected="Linux with user namespaces for this user" if wanted == "auto" else f"a working {wanted}",
                next_step=self.advice or 'use "auto"',
            )
        return found

    def __str__(self) -> str:
        lines = [f"{o.name}: {'works' if o.works else o.reason}" for o in self.options]
        lines += [
            f"memory of a process tree: {self.memory}",
            f"Landlock: {f'version {self.landlock}' if self.landlock else 'no'}",
        ]
        return "\n".join([*lines, *([f"Next: {self.advice}"] if self.advice else [])])


@functools.cache
def capabilities() -> Capabilities:
    """Find out what this machine can do by starting an empty process behind each kind of wall."""
    if not _supported():
        reason = f"{platform.system()} on {platform.machine()} is not supported"
        advice = "grade on Linux (a virtual machine will do), or say --sandbox none for submissions you trust"
        return Capabilities(
            (Option("bwrap", works=False, reason=reason), Option("native", works=False, reason=reason)),
            "none",
            0,
            advice,
        )
    options = tuple(probe() for probe in _PROBES.values())
    memory = cgroups.available() or "a supervisor that adds up the tree and kills it (no writable control groups)"
    return Capabilities(options, memory, landlock.abi(), _advice(options))


def choose(wanted: str) -> str:
    """Return which sandbox to use for ``wanted``, and try no more of them than it takes to know.

    Raises
    ------
    SandboxUnavailable
        If it can't be had.
    """
    if _supported():
        for name, probe in _PROBES.items():
            if wanted in {name, "auto"} and probe().works:
                return name
    return capabilities().choose(wanted)


def _supported() -> bool:
    return sys.platform == "linux" and platform.machine() in syscalls.SUPPORTED_MACHINES


@functools.cache
def _probe_bwrap() -> Option:
    if shutil.which("bwrap") is None:
        return Option("bwrap", works=False, reason="bubblewrap is not installed")
    return _probe("bwrap")


@functools.cache
def _probe_native() -> Option:
    return _probe("native")


_PROBES: dict[str, Callable[[], Option]] = {"bwrap": _probe_bwrap, "native": _probe_native}


def _probe(name: str) -> Option:
    plan = Plan(cells=(PlanCell("probe", "free", "import os; ids = os.getuid()", "import os; ids = os.getuid()"),))
    try:
        with ForkServer(sandbox=name, preload=(), cache=None) as forkserver:
            limits = Limits(memory_mb=256, processes=16, wall_seconds=20, restarts=0)
            snapshots = SnapshotCache(forkserver)
            try:
                done = SubmissionRun(forkserver, snapshots, plan, limits).execute()
            finally:
                snapshots.close()
    except (ExecutionError, OSError) as error:
        return Option(name, works=False, reason=_last_line(str(error)))
    return Option(
        name, works=done.outcomes[0].ok, reason="" if done.outcomes[0].ok else done.reason or done.outcomes[0].message
    )


def _last_line(text: str) -> str:
    """Return the last line of an error: what the kernel or bubblewrap said, below the traceback around it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][-300:] if lines else "it does not start"


def _advice(options: tuple[Option, ...]) -> str:
    if options[0].works:
        return ""
    if options[1].works:
        return "install bubblewrap (apt-get install bubblewrap): its walls are better tested than our own"
    words = []
    if (
        _reads("/proc/sys/user/max_user_namespaces") == "0"
        or _reads("/proc/sys/kernel/unprivileged_userns_clone") == "0"
    ):
        words.append(
            "allow user namespaces: sysctl -w user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1"
        )
    if _reads("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        words.append("AppArmor restricts user namespaces: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
    if os.path.exists("/.dockerenv") or "docker" in (_reads("/proc/1/cgroup") or ""):  # noqa: PTH110
        flags = "seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"
        root = " --cap-add SYS_ADMIN" if os.getuid() == 0 else ""
        words.append("in a container: start it with " + " ".join(f"--security-opt {flag}" for flag in flags) + root)
    words.append("or grade on another machine, or say --sandbox none for submissions you trust")
    return "; ".join(words)


def _reads(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
