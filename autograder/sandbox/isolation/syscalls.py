"""System calls of Linux that Python 3.11 does not wrap: namespaces, mounts, privileges.

Every function raises ``OSError`` with the kernel's reason. Constants carry their names from the kernel's headers.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import socket
import struct
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}
_SYS_MOUNT_SETATTR = 442
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_MOUNT_ATTR_IDMAP = 0x100000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_AT_EMPTY_PATH = 0x1000
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x41

SUPPORTED_MACHINES = ("x86_64", "aarch64")


def libc() -> ctypes.CDLL:
    """Return the C library of this process."""
    return ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> int:
    """Return ``result``, or raise the error that the C library recorded for ``what``."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(number: int, *args: object) -> int:
    """Call a system call by number: integers, pointers, bytes or ``None`` as arguments."""
    plain = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    function = libc().syscall
    function.restype = ctypes.c_long
    return check(int(function(ctypes.c_long(number), *plain)), f"system call {number}")


def _prctl(option: int, *args: int) -> None:
    padded = [ctypes.c_ulong(a) for a in (*args, 0, 0, 0, 0)[:4]]
    check(libc().prctl(option, *padded), f"prctl({option})")


def unshare(flags: int) -> None:
    """Move this process (or its next child, for process ids) into new namespaces."""
    check(libc().unshare(flags), "unshare")


def unshare_as_self(flags: int) -> None:
    """Make a new user namespace in which this user keeps its own id, and the other namespaces inside it."""
    uid, gid = os.getuid(), os.getgid()
    unshare(CLONE_NEWUSER | flags)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def mount(source: str | None, target: str, kind: str | None, flags: int = 0, data: str = "") -> None:
    """Mount ``source`` of type ``kind`` on ``target``."""
    encoded = [None if text is None else text.encode() for text in (source, target, kind)]
    check(libc().mount(*encoded, ctypes.c_ulong(flags), data.encode() or None), f"mount {kind or source} on {target}")


def unmount(target: str) -> None:
    """Detach what is mounted on ``target``."""
    check(libc().umount2(target.encode(), MNT_DETACH), f"unmount {target}")


def bind(source: str, target: str) -> None:
    """Show the tree at ``source`` at ``target`` as well."""
    mount(source, target, None, MS_BIND | MS_REC)


def protect(target: str, attributes: int = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV) -> None:
    """Set mount attributes on a whole tree, keeping those it has (Linux 5.12 or newer)."""
    attr = struct.pack("QQQQ", attributes, 0, 0, 0)
    syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, target.encode(), _AT_RECURSIVE, attr, len(attr))


def bind_as(source: str, target: str, *, owner: int, seen_as: int) -> None:
    """Show ``source`` at ``target`` with ``owner``'s files belonging to ``seen_as`` (needs root and Linux 5.12)."""
    tree = syscall(_SYS_OPEN_TREE, _AT_FDCWD, source.encode(), _OPEN_TREE_CLONE | _AT_RECURSIVE)
    namespace = _mapping_namespace(owner, seen_as)
    try:
        attr = struct.pack("QQQQ", _MOUNT_ATTR_IDMAP, 0, 0, namespace)
        syscall(_SYS_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH | _AT_RECURSIVE, attr, len(attr))
        syscall(_SYS_MOVE_MOUNT, tree, b"", _AT_FDCWD, target.encode(), _MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(tree)
        os.close(namespace)


def _mapping_namespace(inside: int, outside: int) -> int:
    """Return a descriptor of a user namespace that maps one id, held open by nothing else."""
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        unshare(CLONE_NEWUSER)
        os.write(ready[1], b"r")
        os.read(go[0], 1)
        os._exit(0)
    try:
        os.read(ready[0], 1)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{child}/{name}").write_text(f"{inside} {outside} 1")
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY)
    finally:
        os.write(go[1], b"g")
        os.waitpid(child, 0)
        for fd in (*ready, *go):
            os.close(fd)


def make_mounts_private() -> None:
    """Keep every later mount of this namespace to itself."""
    mount(None, "/", None, MS_PRIVATE | MS_REC)


def pivot_root(new_root: str) -> None:
    """Make ``new_root`` (a mount point) the root and let go of the old one."""
    os.chdir(new_root)
    syscall(_SYS_PIVOT_ROOT[platform.machine()], b".", b".")
    unmount(".")
    os.chdir("/")


def loopback_up() -> None:
    """Bring up the loopback interface of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        fcntl.ioctl(probe.fileno(), _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP_RUNNING))


def set_hostname(name: str) -> None:
    """Name this UTS namespace."""
    check(libc().sethostname(name.encode(), len(name)), "sethostname")


def die_with_parent(signal_number: int = 9) -> None:
    """Have the kernel send ``signal_number`` to this process when the thread that made it ends."""
    _prctl(_PR_SET_PDEATHSIG, signal_number)


def hide_memory() -> None:
    """Close this process's memory to everybody who is not privileged: ``/proc/PID/mem``, tracing, core files."""
    _prctl(_PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def no_new_privileges() -> None:
    """Make set-uid programs and file capabilities powerless from here on."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Give up every capability, now and after any ``execve``."""
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(last + 1):
        _prctl(_PR_CAPBSET_DROP, capability)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    syscall(_SYS_CAPSET[platform.machine()], header, bytes(24))


def forbid_user_namespaces() -> None:
    """Allow no user namespace below this one (needs its capabilities, so before they are dropped)."""
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def become(uid: int, gid: int) -> None:
    """Turn from root into ``uid``:``gid`` for good."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    _prctl(_PR_SET_DUMPABLE, 1)  # else /proc/self would stay root's
