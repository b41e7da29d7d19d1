"""Confinement of forked processes: namespaces, mounts and limits, set before anything handed in runs.

One submission is a *session*: user, process, mount, network, IPC and host-name namespaces with one small supervisor.
From it come the judge (process 1: with it everything ends) and the learner's process. Both share the session's loopback
network, its work folder and its ``/tmp``, because exercises pass paths and addresses. The learner's process is process
1 of a process namespace below that, with user, IPC and mount namespaces of its own, so it sees neither the judge nor
the supervisor, and can't signal or trace them; what it leaves behind ends with it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autograder.sandbox.isolation import landlock, mounts, seccomp, syscalls
from autograder.sandbox.isolation.forked import reap_until

__all__ = [
    "WRITABLE_FOLDERS",
    "enclose_children",
    "enter_program_box",
    "enter_session",
    "limit",
    "private_folders",
    "set_streams",
    "wall_in_judge",
    "wall_in_learner",
    "wall_in_program",
]

BOX, STAGE, HOME, CACHE, CACHE_BELOW = "/box", "/stage", "/home/learner", "/cache", "/cache-below"
KERNELS = "/kernels"
_SESSION = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
_LEARNER = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWIPC
_TMPFS = syscalls.MS_NOSUID | syscalls.MS_NODEV
_HOME_MB = 64
WRITABLE_FOLDERS = (BOX, KERNELS, "/tmp", HOME, CACHE, "/dev/shm")
_WRITABLE_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/pts", "/dev/ptmx", "/proc")


def enter_session(*, disk_mb: int, helpers: str = "") -> None:
    """Make this process the supervisor of a new session: own user, mounts, network, and a fresh work folder.

    What lies in the folder ``helpers`` lies in the work folder too, read-only: nobody in the session can change it.
    """
    given = frozenset(os.listdir(helpers)) if helpers else frozenset[str]()  # noqa: PTH208
    syscalls.unshare_as_self(_SESSION)
    syscalls.make_mounts_private()
    syscalls.loopback_up()
    syscalls.set_hostname("grader")
    _fresh(STAGE, disk_mb, 0o755)
    for name, mode in (("work", 0o755), ("tmp", 0o1777)):
        (Path(STAGE) / name).mkdir()
        (Path(STAGE) / name).chmod(mode)
        if (Path(BOX) / name).is_dir():  # a snapshot's files
            ignore = _only_at(f"{BOX}/work", given)
            shutil.copytree(Path(BOX) / name, Path(STAGE) / name, symlinks=True, dirs_exist_ok=True, ignore=ignore)
    syscalls.bind(STAGE, BOX)
    syscalls.unmount(STAGE)
    for name in sorted(given):
        _show(Path(helpers) / name, Path(BOX) / "work" / name)
    _cover_tmp()
    os.chdir(BOX + "/work")


def _only_at(folder: str, names: frozenset[str]) -> Callable[[str, list[str]], set[str]]:
    return lambda place, found: set(names & set(found)) if place == folder else set()


def _show(source: Path, target: Path) -> None:
    """Show a file or a folder at ``target``; it stays as read-only as it was."""
    if source.is_dir():
        target.mkdir()
    else:
        target.touch()
    syscalls.bind(str(source), str(target))


def _cover_tmp() -> None:
    """Put the session's own folder over ``/tmp``, and show Python on top of it where the course was cloned there."""
    kept = {str(path): os.open(path, os.O_PATH) for path in mounts.shown() if path.is_relative_to("/tmp")}
    syscalls.bind(BOX + "/tmp", "/tmp")
    for path, handle in kept.items():
        Path(path).mkdir(parents=True, exist_ok=True)
        syscalls.bind(f"/proc/self/fd/{handle}", path)
        os.close(handle)


def enclose_children() -> None:
    """Make the next child of this process process 1 of a new process namespace."""
    syscalls.unshare(syscalls.CLONE_NEWPID)


def _fresh(target: str, size_mb: int, mode: int) -> None:
    syscalls.mount("tmpfs", target, "tmpfs", _TMPFS, f"size={size_mb}m,mode={mode:o},nr_inodes=20000")


def private_folders() -> None:
    """Give this mount namespace its own home, shared memory and copy-on-write view of the course's cache."""
    home = {
        p: p.read_bytes()
        for p in Path(HOME).rglob("*")
        if p.is_file() and not p.is_symlink() and p.stat().st_size < 1 << 20
    }
    _fresh(HOME, _HOME_MB, 0o755)
    for path, data in home.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    _fresh("/dev/shm", _HOME_MB, 0o1777)
    upper, scratch = HOME + "/.cache-upper", HOME + "/.cache-scratch"
    if Path(CACHE_BELOW).is_dir():
        for folder in (upper, scratch):
            Path(folder).mkdir(exist_ok=True)
        try:
            options = f"lowerdir={CACHE_BELOW},upperdir={upper},workdir={scratch},userxattr"
            syscalls.mount("overlay", CACHE, "overlay", _TMPFS, options)
        except OSError:  # an old kernel: the cache can be read but not added to
            syscalls.bind(CACHE_BELOW, CACHE)


def wall_in_judge() -> None:
    """Finish the judge, process 1 of the session: its own home, no privileges, the same filter as for the learner."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.make_mounts_private()
    syscalls.mount("proc", "/proc", "proc", _TMPFS | syscalls.MS_NOEXEC)
    private_folders()
    syscalls.drop_capabilities()
    syscalls.die_with_parent()
    os.setsid()
    _self_restraint(scoped=False)
    syscalls.hide_memory()


def wall_in_learner(*, kernel: str | None = None) -> None:
    """Become the learner's process, out of sight of all else; the caller stays outside and passes on its status."""
    syscalls.unshare_as_self(_LEARNER)
    inner = os.fork()
    if inner:
        os.closerange(3, 4096)
        syscalls.die_with_parent()
        os._exit(reap_until(inner))
    syscalls.make_mounts_private()
    syscalls.mount("proc", "/proc", "proc", _TMPFS | syscalls.MS_NOEXEC)
    syscalls.forbid_user_namespaces()
    private_folders()
    if Path(KERNELS).is_dir():  # of the folders with kernels' sockets only its own
        syscalls.bind(f"{KERNELS}/{kernel}", KERNELS) if kernel else syscalls.mount(
            "tmpfs", KERNELS, "tmpfs", _TMPFS, "size=4k"
        )
    syscalls.drop_capabilities()
    syscalls.die_with_parent()
    os.setsid()
    _self_restraint(scoped=True)


def enter_program_box(*, disk_mb: int) -> None:
    """Make this process the keeper of a new box for one program: nothing of the session's files or network is in it."""
    syscalls.unshare_as_self(_SESSION)
    syscalls.make_mounts_private()
    syscalls.loopback_up()
    _fresh(STAGE, disk_mb, 0o755)
    for name, mode in (("work", 0o755), ("tmp", 0o1777)):
        (Path(STAGE) / name).mkdir()
        (Path(STAGE) / name).chmod(mode)
    syscalls.bind(STAGE, BOX)
    syscalls.unmount(STAGE)
    _cover_tmp()
    _fresh(HOME, _HOME_MB, 0o755)
    _fresh("/dev/shm", _HOME_MB, 0o1777)
    for folder in (CACHE, CACHE_BELOW, KERNELS):
        if Path(folder).is_dir():
            _fresh(folder, 1, 0o755)
    os.chdir(BOX + "/work")


def wall_in_program() -> None:
    """Finish process 1 of a program's box: its own ``/proc``, no privileges, memory that the program can't open."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.make_mounts_private()
    syscalls.mount("proc", "/proc", "proc", _TMPFS | syscalls.MS_NOEXEC)
    syscalls.forbid_user_namespaces()
    syscalls.drop_capabilities()
    syscalls.die_with_parent()
    _self_restraint(scoped=True)
    syscalls.hide_memory()


def _self_restraint(*, scoped: bool) -> None:
    landlock.restrict([*WRITABLE_FOLDERS, *_WRITABLE_DEVICES], scoped=scoped)
    seccomp.install()


def limit(limits: Mapping[str, Any], *, walls: bool, after_exec: bool = False) -> None:
    """Set the limits that the kernel keeps for each process; ``after_exec``: for the program it is about to become."""
    own_data = 0 if after_exec else _data_bytes()
    values = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: int(limits["file_mb"]) << 20,
        resource.RLIMIT_NOFILE: 1024,
        resource.RLIMIT_CPU: int(limits["cpu_seconds"]) + 1,
        resource.RLIMIT_DATA: own_data + (int(limits["memory_mb"]) << 20),
        resource.RLIMIT_MSGQUEUE: 1 << 20,
        resource.RLIMIT_MEMLOCK: 1 << 20,
    }
    if walls:  # inside its own user namespace only its own processes count
        values[resource.RLIMIT_NPROC] = int(limits["processes"]) + 2
    for kind, value in values.items():
        hard = resource.getrlimit(kind)[1]
        new = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (new, new))


def _data_bytes() -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:")), 0)


def set_streams(out: int, err: int) -> None:
    """Point standard output and error at the given descriptors, standard input at nothing."""
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (out, 1), (err, 2)):
        os.dup2(source, target)
    os.close(null)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]
