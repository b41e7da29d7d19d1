"""Detection of the real engines on this machine: the notebooks run what is here, and say what is missing."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib.errors import EngineError

if TYPE_CHECKING:
    from IPython.display import Markdown

__all__ = ["ENGINES", "Engine", "Found", "found", "require", "table"]


@dataclass(frozen=True)
class Engine:
    """A program or package outside the notebook that does the real work.

    Attributes
    ----------
    name
        What people call it.
    probe
        Returns its version, or ``None`` where it is missing.
    used_for
        What the course uses it for.
    without
        What happens where it is missing.
    """

    name: str
    probe: Callable[[], str | None]
    used_for: str
    without: str


@dataclass(frozen=True)
class Found:
    """An engine, and the version found on this machine (``None``: not found)."""

    engine: Engine
    version: str | None


def _program(command: list[str]) -> Callable[[], str | None]:
    """Return a probe that asks an installed program for its version."""

    def probe() -> str | None:
        if shutil.which(command[0]) is None:
            return None
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        words = (done.stdout + done.stderr).replace(",", " ").replace("v=", "").split()
        return next((word.lstrip("v") for word in words if word.lstrip("v")[:1].isdigit()), "unknown version")

    return probe


def _package(name: str) -> Callable[[], str | None]:
    """Return a probe that looks an installed Python package up, without importing it."""

    def probe() -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    return probe


def _told_by(place: str) -> Callable[[], str | None]:
    """Return a probe that is a function of the course, ``module:function``, imported only when it is asked."""

    def probe() -> str | None:
        module, _, function = place.partition(":")
        answer: str | None = getattr(import_module(module), function)()
        return answer

    return probe


def _read(path: Path) -> dict[str, Engine]:
    """Return the engines of a TOML file, which says how each is looked for."""
    probes: dict[str, Callable[[Any], Callable[[], str | None]]]
    probes = {"package": _package, "program": _program, "function": _told_by}
    engines = {}
    for key, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
        (kind,) = entry.keys() & probes.keys()
        engines[key] = Engine(entry["name"], probes[kind](entry[kind]), entry["used_for"], entry["without"])
    return engines


ENGINES: dict[str, Engine] = _read(Path(__file__).with_suffix(".toml"))


def found(names: Iterable[str] | None = None) -> tuple[Found, ...]:
    """Look for engines on this machine.

    Parameters
    ----------
    names
        Keys of :data:`ENGINES`; by default all.

    Raises
    ------
    EngineError
        A name is unknown.
    """
    wanted = list(ENGINES if names is None else names)
    if unknown := [name for name in wanted if name not in ENGINES]:
        raise EngineError(f"There is no engine called {', '.join(unknown)}.", expected=f"some of {', '.join(ENGINES)}")
    return tuple(Found(ENGINES[name], ENGINES[name].probe()) for name in wanted)


def require(name: str) -> str:
    """Return the version of an engine.

    Raises
    ------
    EngineError
        It is not on this machine.
    """
    (one,) = found([name])
    if one.version is None:
        raise EngineError(
            f"{one.engine.name} was not found on this machine.",
            expected=f"{one.engine.name}, for {one.engine.used_for}",
            next_step=f"run `make engines` on Debian or Ubuntu; without it {one.engine.without}",
        )
    return one.version


def table(*names: str) -> Markdown:
    """Return the engines a notebook uses, and what was found here, as a Markdown table for display."""
    from IPython.display import Markdown

    rows = [
        f"| {f.engine.name} | {f.engine.used_for} | "
        + (f"found {f.version} |" if f.version else f"**not found**: {f.engine.without} |")
        for f in found(names)
    ]
    markdown: Any = Markdown  # IPython's class has no annotations
    shown: Markdown = markdown("\n".join(["| Engine | Used for | On this machine |", "|---|---|---|", *rows]))
    return shown
