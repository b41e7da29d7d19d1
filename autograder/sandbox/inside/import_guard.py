"""Import and pickle guard: keeps files that a learner made from turning into code inside the judge."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from autograder.sandbox.isolation import mounts
from autograder.sandbox.isolation.confine import WRITABLE_FOLDERS

__all__ = ["UnsafePickle", "guard_imports", "guard_pickles", "is_writable", "safe_names"]

_NAMES = Path(__file__).with_name("pickle_names.txt")


class UnsafePickle(AssertionError):
    """A file that the learner could have written would run code if it were loaded."""


@lru_cache(maxsize=1)
def safe_names() -> frozenset[str]:
    """Return what a pickle in the judge may refer to, as ``module:name``: classes and rebuilders, each named in full.

    A prefix would let in whatever else a library has there, such as ``pandas.core.computation.expr:Expr``, which
    evaluates text while it is made.
    """
    lines = (line.partition(":") for line in _NAMES.read_text(encoding="ascii").splitlines())
    return frozenset(f"{module}:{name}" for module, _, names in lines for name in names.split())


def guard_pickles() -> None:
    """Refuse to unpickle anything but `safe_names` in this process from here on (audit hooks stay)."""
    allowed = safe_names()

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "pickle.find_class":
            module, name = str(args[0]), str(args[1])
            if f"{module}:{name}" not in allowed:
                raise UnsafePickle(
                    f"a stored object refers to {module}.{name}, which checks don't load: "
                    "hand it in as data, as ONNX or in skops format"
                )

    sys.addaudithook(hook)


def is_writable(path: str | Path) -> bool:
    """Return whether a learner can write to ``path``; Python's own folders never count, wherever they lie."""
    real = Path(os.path.realpath(path))
    if any(real.is_relative_to(folder.resolve()) for folder in mounts.shown()):  # mounted read-only
        return False
    folders = (*WRITABLE_FOLDERS, Path.home(), Path.cwd(), os.environ.get("TMPDIR", "/tmp"))
    return any(real.is_relative_to(os.path.realpath(folder)) for folder in folders)


def guard_imports() -> None:
    """Take the work folder and everything else a learner can write to off the import path, for child processes too."""
    sys.path[:] = [entry for entry in sys.path if entry and not is_writable(entry)]
    here = str(Path.cwd())
    for module in list(sys.modules.values()):
        places = list(vars(module).get("__path__") or ()) if isinstance(module, ModuleType) else []
        if any(str(place).startswith(here) for place in places):  # a package that a cell wrote: no more of it is loaded
            module.__path__ = [place for place in places if not is_writable(place)]
    os.environ["PYTHONSAFEPATH"] = "1"
    os.environ["PYTHONNOUSERSITE"] = "1"
