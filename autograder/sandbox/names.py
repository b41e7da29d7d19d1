"""Which names a cell binds, read from its source without running it."""

from __future__ import annotations

import ast

__all__ = ["names_bound", "stored_in"]


def names_bound(source: str) -> tuple[str, ...]:
    r"""Return the names that ``source`` binds at top level, in order: functions, classes, assignments, imports.

    >>> names_bound("import a.b\nx, (y, z) = 1, (2, 3)\ndef f(q): w = 1")
    ('a', 'x', 'y', 'z', 'f')
    """
    lines = [line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))]
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError):  # null bytes, before Python 3.11.4
        return ()
    found: dict[str, None] = {}
    for node in tree.body:
        found.update(dict.fromkeys(_bound_by(node)))
    return tuple(found)


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
