"""Lazy imports of a package's public names (PEP 562) that editors and type checkers can see through.

A package lists what it exports once, as imports that only a type checker executes::

    if TYPE_CHECKING:
        from course_lib.monitoring.statistics import psi as psi
    else:
        __getattr__, __dir__, __all__ = lazy.attach(__name__)
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from importlib import import_module, util

__all__ = ["attach"]


def attach(package: str) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package that imports its public names at first access.

    The names are read from the imports in the package's ``if TYPE_CHECKING:`` block, so there is no second list.

    Raises
    ------
    ImportError
        The package's source is not there to be read.
    """
    homes = _homes(package)

    def getattr_(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        if home == package or not hasattr(import_module(home), name):  # a module in a package, not a name in a module
            return import_module(f"{home}.{name}")
        return getattr(import_module(home), name)

    exported = sorted({*homes, *getattr(sys.modules[package], "__all__", ())})
    return getattr_, lambda: list(exported), exported


def _homes(package: str) -> dict[str, str]:
    """Return where each public name comes from: ``{"psi": "course_lib.monitoring.statistics"}``."""
    spec = util.find_spec(package)
    source = spec and spec.loader and getattr(spec.loader, "get_source", lambda _: None)(package)
    if not source:
        raise ImportError(f"the source of {package} cannot be read, so its public names are not known")
    blocks = (
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    )
    imports = (node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom) and node.module)
    return {alias.asname or alias.name: node.module for node in imports for alias in node.names if node.module}
