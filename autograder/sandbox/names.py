"""Name binding: which names a cell binds, read from its source without running it."""

from __future__ import annotations

import ast

__all__ = ["UNREADABLE", "names_bound", "stored_in", "without_magics"]

UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)  # what parsing a stranger's source may raise


def without_magics(source: str) -> str:
    """Return ``source`` with the lines blank that are commands of IPython (``%magic``, ``!shell``), and no Python."""
    lines = source.splitlines()
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in lines)


def names_bound(source: str) -> tuple[str, ...]:
    r"""Return the names that ``source`` binds at top level, in order: functions, classes, assignments, imports.

    >>> names_bound("import a.b\nx, (y, z) = 1, (2, 3)\ndef f(q): w = 1")
    ('a', 'x', 'y', 'z', 'f')
    """
    try:
        tree = ast.parse(without_magics(source))
        return tuple(dict.fromkeys(name for node in tree.body for name in _bound_by(node)))
    except UNREADABLE:
        return ()


def _bound_by(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name.partition(".")[0]) for alias in node.names]
    names = []
    for child in ast.iter_child_nodes(node):
        names += _bound_by(child) if isinstance(child, ast.stmt) else stored_in(child)
        if isinstance(child, ast.ExceptHandler):
            names += [name for statement in child.body for name in _bound_by(statement)]
    return names


def stored_in(node: ast.AST) -> list[str]:
    """Return the names an expression or target binds outside of comprehensions and lambdas, which have their own."""
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Store) else []
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.Lambda):
        return [n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr)]
    return [
        name for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt) for name in stored_in(child)
    ]
