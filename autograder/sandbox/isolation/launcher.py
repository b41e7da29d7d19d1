"""Launcher: builds the outer wall and becomes a command behind it. A program, for it gives up rights step by step.

As root: first a private mount namespace in which everything the sandbox shows is bound to a place that user 65534 can
reach (an interpreter below root's closed home included), then that user for good, and only then the wall. So hostile
code never runs as root, not even as root of a namespace.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from autograder.sandbox.isolation import syscalls
from autograder.sandbox.isolation.mounts import Kind, Mount, bwrap_arguments
from autograder.sandbox.messages import Launch, dumps, loads

__all__ = ["launch_command", "main"]

NOBODY = 65534
CACHE = "/cache-below"
_NATIVE = (
    syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
)
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_STAGE = "/tmp"


def launch_command(
    plan: Sequence[Mount], *, wall: str, command: Sequence[str], environment: Mapping[str, str]
) -> list[str]:
    """Return what runs ``command`` behind a ``wall`` (``bwrap`` or ``native``) with the mounts of ``plan``."""
    launch = Launch(
        plan=tuple((mount.kind, mount.target, mount.source) for mount in plan),
        wall=cast("Any", wall),
        bwrap=shutil.which("bwrap"),
        command=tuple(command),
        environment=dict(environment),
    )
    return [sys.executable, "-P", "-m", "autograder.sandbox.isolation.launcher", dumps(launch)]


def main() -> None:
    """Build the wall that the JSON in its argument describes, and become the forkserver behind it."""
    launch = loads(sys.argv[1], Launch)
    plan = [Mount(cast("Kind", kind), target, source) for kind, target, source in launch.plan]
    if os.getuid() == 0:
        plan = _stage(plan)
        syscalls.become(NOBODY, NOBODY)
        syscalls.no_new_privileges()
    if launch.wall == "bwrap":
        words = bwrap_arguments(plan, launch.environment)
        os.execvp(launch.bwrap or "bwrap", [*words, *launch.command])
    _build(plan)
    os.execve(launch.command[0], launch.command, launch.environment)


def _stage(plan: list[Mount]) -> list[Mount]:
    """Bind every source to a folder that any user can pass through; return the plan with the new sources."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.make_mounts_private()
    handles = {m.source: os.open(m.source, os.O_PATH) for m in plan if m.kind in ("ro", "rw")}  # of this namespace
    syscalls.mount("tmpfs", _STAGE, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755,size=1m")
    places = {}
    for number, (source, handle) in enumerate(handles.items()):
        places[source] = f"{_STAGE}/{number}"
        _make_point(places[source], handle)
        _show(
            f"/proc/self/fd/{handle}",
            places[source],
            is_cache=any(m.source == source and m.target == CACHE for m in plan),
        )
        os.close(handle)
    return [replace(m, source=places[m.source]) if m.kind in ("ro", "rw") else m for m in plan]


def _show(source: str, target: str, *, is_cache: bool) -> None:
    """Bind ``source``; the cache as if root's files were ours, or its copy-on-write view stays fixed."""
    if is_cache:
        try:
            syscalls.bind_as(source, target, owner=0, seen_as=NOBODY)
        except OSError:  # an old kernel or file system: the cache can be read, files in it can't be replaced
            pass
        else:
            return
    syscalls.bind(source, target)


def _make_point(path: str, handle: int | None) -> None:
    """Make a folder, or an empty file if ``handle`` is one, to mount on."""
    point = Path(path)
    point.parent.mkdir(parents=True, exist_ok=True)
    if handle is None or stat.S_ISDIR(os.fstat(handle).st_mode):
        point.mkdir(exist_ok=True)
    else:
        point.touch(exist_ok=True)


def _build(plan: list[Mount]) -> None:
    """Do what bubblewrap would: new namespaces, a new root with the plan's mounts, this process's child alone in it."""
    syscalls.unshare_as_self(_NATIVE)
    child = os.fork()
    if child:
        _wait_for(child)
    syscalls.die_with_parent()
    syscalls.make_mounts_private()
    syscalls.set_hostname("grader")
    syscalls.loopback_up()
    handles = {m.source: os.open(m.source, os.O_PATH) for m in plan if m.kind in ("ro", "rw")}
    devices = {name: os.open(f"/dev/{name}", os.O_PATH) for name in _DEVICES}
    root = _STAGE
    syscalls.mount("tmpfs", root, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755,size=4m")
    for mount in plan:
        _perform(mount, root, handles, devices)
    syscalls.pivot_root(root)
    syscalls.mount(
        None, "/", None, 0x20 | syscalls.MS_BIND | syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV
    )  # remount
    inner = os.fork()  # process 1 stays behind as the reaper
    if inner:
        _wait_for(inner)
    syscalls.die_with_parent()
    syscalls.drop_capabilities()
    syscalls.no_new_privileges()


def _perform(mount: Mount, root: str, handles: dict[str, int], devices: dict[str, int]) -> None:
    target = root + mount.target
    if mount.kind == "link":
        os.symlink(mount.source, target)  # noqa: PTH211
        return
    source = f"/proc/self/fd/{handles[mount.source]}" if mount.source else ""
    _make_point(target, handles.get(mount.source))
    if mount.kind in ("ro", "rw"):
        syscalls.bind(source, target)
        extra = syscalls.MOUNT_ATTR_RDONLY if mount.kind == "ro" else 0
        syscalls.protect(target, extra | syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV)
    elif mount.kind == "tmpfs":
        syscalls.mount("tmpfs", target, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=1777,size=64m")
    elif mount.kind == "proc":
        syscalls.mount("proc", target, "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    elif mount.kind == "dev":
        _devices(target, devices)


def _devices(target: str, devices: dict[str, int]) -> None:
    syscalls.mount("tmpfs", target, "tmpfs", syscalls.MS_NOSUID, "mode=755,size=1m")
    for name, handle in devices.items():
        Path(target, name).touch()
        syscalls.bind(f"/proc/self/fd/{handle}", f"{target}/{name}")
    Path(target, "pts").mkdir()
    syscalls.mount(
        "devpts",
        f"{target}/pts",
        "devpts",
        syscalls.MS_NOSUID | syscalls.MS_NOEXEC,
        "newinstance,ptmxmode=0666,mode=620",
    )
    Path(target, "shm").mkdir()
    for name, goal in (
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ):
        Path(target, name).symlink_to(goal)


def _wait_for(child: int) -> Any:
    os.closerange(3, 4096)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            os._exit(max(os.waitstatus_to_exitcode(status), 0))


if __name__ == "__main__":
    main()
