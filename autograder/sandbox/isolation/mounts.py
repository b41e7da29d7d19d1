"""Mount plan of the sandbox: the file system that the forkserver and everything it forks can see.

bubblewrap builds it where it is installed; :mod:`autograder.sandbox.isolation.launcher` builds the same list by itself
where not. Nothing is visible that isn't listed: no home folder, no other submission, no solutions, no gradebook.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["HELPERS", "Kind", "Mount", "bwrap_arguments", "layout", "packages", "shown"]

HELPERS = "/helpers"
Kind = Literal["ro", "rw", "link", "dir", "tmpfs", "proc", "dev"]

_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = (
    "alternatives", "ca-certificates.conf", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime",
    "mime.types", "nsswitch.conf", "protocols", "services", "ssl", "timezone",
)  # fmt: skip
_MOUNT_POINTS = ("/box", "/stage", "/cache", "/home", "/etc", "/sys", "/var", "/var/tmp")


@dataclass(frozen=True)
class Mount:
    """One line of the wall's plan; ``source`` is a path outside, a link's target, or empty."""

    kind: Kind
    target: str
    source: str = ""


def packages() -> tuple[Path, ...]:
    """Return the folders of the packages that processes inside import: the course's library and this one."""
    found = []
    for name in ("course_lib", "autograder"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            found.append(Path(next(iter(spec.submodule_search_locations))).resolve())
    return tuple(found)


def layout(
    *,
    etc: Path,
    cache: Path | None = None,
    kernels: Path | None = None,
    helpers: Path | None = None,
    extra: Sequence[Path] = (),
) -> tuple[Mount, ...]:
    """Return the mounts of the sandbox, parents before children.

    Parameters
    ----------
    etc
        A folder with the small files (``passwd``, ``group``, ``hosts``) that the sandbox has of its own.
    cache
        The course's cache of derived data; the sandbox sees it below a copy-on-write view.
    kernels
        A folder for the sockets of Jupyter kernels; the only place outside that can be written to.
    helpers
        The folder with the files that lie beside notebooks.
    extra
        Other folders to show, read-only.
    """
    plan = [Mount("ro", "/usr", "/usr")]
    for name in _SYSTEM:
        path = Path(name)
        if path.is_symlink():
            plan.append(Mount("link", name, os.readlink(name)))  # noqa: PTH115
        elif path.is_dir():
            plan.append(Mount("ro", name, name))
    plan += [Mount("dir", name) for name in _MOUNT_POINTS]
    plan += [Mount("ro", f"/etc/{name}", f"/etc/{name}") for name in _ETC if (Path("/etc") / name).exists()]
    plan += [Mount("ro", f"/etc/{file.name}", str(file)) for file in sorted(etc.iterdir())]
    plan += [Mount("proc", "/proc"), Mount("dev", "/dev")]
    if Path("/sys/devices/system/cpu").is_dir():
        plan.append(Mount("ro", "/sys/devices/system/cpu", "/sys/devices/system/cpu"))
    plan += [Mount("tmpfs", "/tmp"), Mount("tmpfs", "/dev/shm"), Mount("tmpfs", "/home/learner")]
    plan += [Mount("ro", str(path), str(path)) for path in shown(extra)]
    if cache is not None and cache.is_dir():
        plan.append(Mount("ro", "/cache-below", str(cache)))
    if helpers is not None:
        plan.append(Mount("ro", HELPERS, str(helpers)))
    if kernels is not None:
        plan.append(Mount("rw", "/kernels", str(kernels)))
    return tuple(plan)


def shown(extra: Sequence[Path] = ()) -> list[Path]:
    """Return the folders of Python and of the packages, which processes inside must see besides the system's own."""
    return _outermost([Path(sys.base_prefix), Path(sys.prefix), *packages(), *extra])


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Return ``paths`` without those that lie below another one or below the system's own folders."""
    kept: list[Path] = []
    for path in sorted({p.absolute() for p in paths}):
        if not path.is_relative_to("/usr") and not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return kept


def bwrap_arguments(plan: Sequence[Mount], environment: dict[str, str]) -> list[str]:
    """Return bubblewrap's command line for ``plan``, without the program to run.

    The program becomes process 1 of the sandbox: when it ends, the kernel ends everything in there.
    """
    words = ["bwrap", "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    words += ["--unshare-cgroup-try", "--as-pid-1", "--hostname", "grader", "--clearenv"]
    for key, value in environment.items():
        words += ["--setenv", key, value]
    for mount in plan:
        if mount.kind == "link":
            words += ["--symlink", mount.source, mount.target]
        elif mount.kind in ("ro", "rw"):
            words += ["--bind" if mount.kind == "rw" else "--ro-bind", mount.source, mount.target]
        else:
            words += [f"--{mount.kind}", mount.target]
    return [*words, "--chdir", "/", "--remount-ro", "/", "--"]
