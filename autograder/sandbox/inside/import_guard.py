"""Keeping learner-made files from turning into code inside the twin."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from autograder.sandbox.isolation import mounts

__all__ = ["UnsafePickle", "guard_imports", "guard_pickles", "is_safe_global"]

_LIBRARIES = ("sklearn.", "scipy.sparse", "pandas.core.", "pandas._libs.", "course_lib.")
_NOT = ("._testing", ".tests", ".conftest")
_GLOBALS = frozenset(
    {
        "numpy:dtype", "numpy:ndarray", "numpy._core.multiarray:_reconstruct", "numpy._core.multiarray:scalar",
        "numpy.core.multiarray:_reconstruct", "numpy.core.multiarray:scalar", "numpy._core.numeric:_frombuffer",
        "numpy.random._pickle:__randomstate_ctor", "numpy.random._pickle:__generator_ctor",
        "numpy.random._pickle:__bit_generator_ctor", "numpy.random._mt19937:MT19937", "numpy.random._pcg64:PCG64",
        "collections:OrderedDict", "collections:defaultdict", "collections:deque", "collections:Counter",
        "copyreg:_reconstructor", "datetime:datetime", "datetime:date", "datetime:timedelta", "datetime:timezone",
        "decimal:Decimal", "fractions:Fraction", "uuid:UUID", "pathlib:PosixPath", "pathlib:PurePosixPath",
        "types:SimpleNamespace", "_codecs:encode",
        *(f"builtins:{n}" for n in ("object", "set", "frozenset", "bytearray", "complex", "slice", "range", "list",
                                    "dict", "tuple", "int", "float", "str", "bool", "bytes")),
    }
)  # fmt: skip


class UnsafePickle(AssertionError):
    """A file that the learner could have written would run code if it were loaded."""


def is_safe_global(module: str, name: str) -> bool:
    """Return whether a pickle in the twin may refer to ``module.name``: a class of a library, or a known rebuilder."""
    if f"{module}:{name}" in _GLOBALS:
        return True
    if not module.startswith(_LIBRARIES) or any(part in module for part in _NOT) or "." in name:
        return False
    if name.startswith(("__pyx_unpickle_", "_unpickle_block", "_new_Index")):
        return True
    found: Any = getattr(sys.modules.get(module), name, None)
    if module == "course_lib.features" and getattr(found, "__module__", "") == module:
        return True  # what pipelines are made of; it neither reads nor starts anything
    if module.startswith("course_lib."):
        return isinstance(found, type) and any(c.__module__ == "sklearn.base" for c in found.__mro__)
    return isinstance(found, type) and found.__module__.startswith(_LIBRARIES)


def guard_pickles() -> None:
    """Refuse to unpickle functions and foreign classes in this process from here on (audit hooks stay)."""
    import importlib

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "pickle.find_class":
            module, name = str(args[0]), str(args[1])
            if module.startswith(_LIBRARIES) and module not in sys.modules:
                importlib.import_module(module)
            if not is_safe_global(module, name):
                raise UnsafePickle(
                    f"a stored object refers to {module}.{name}, which checks don't load: "
                    "hand it in as data, as ONNX or in skops format"
                )

    sys.addaudithook(hook)


def guard_imports() -> None:
    """Take the work folder and everything else a learner can write to off the import path, for child processes too."""
    writable = [Path(folder).resolve() for folder in (Path.cwd(), os.environ.get("TMPDIR", "/tmp"))]
    own = [path.resolve() for path in mounts.shown()]  # mounted read-only, also where the course was cloned to /tmp

    def is_safe(entry: Path) -> bool:
        return any(entry.is_relative_to(p) for p in own) or not any(entry.is_relative_to(p) for p in writable)

    sys.path[:] = [entry for entry in sys.path if entry and is_safe(Path(entry).resolve())]
    os.environ["PYTHONSAFEPATH"] = "1"
    os.environ["PYTHONNOUSERSITE"] = "1"
