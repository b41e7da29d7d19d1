"""Static look at checks: which of them cannot be judged from outside of the learner's process, and why.

Behind the judge a check has proxies in place of what the learner defined: calls travel, and values come back. A check
that deletes or replaces one of these names, patches a function, reads a source or an output, or changes a module does
so in the judge alone; the learner's code does not notice, and the check may pass or fail whatever the answer is.

This reads source code and can miss such a check: those on which the reference solution fails behind the judge, and not
in one process, are found by running it.
"""

from __future__ import annotations

import ast
import builtins
import re
import symtable
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from autograder.authoring.assignments import grade_id_of
from autograder.authoring.format import grading
from autograder.sandbox.names import UNREADABLE, names_bound, without_magics

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["unseen_by_look"]

_SEEN_OF_INSPECT = {"signature", "Parameter", "Signature", "isfunction", "iscoroutinefunction", "isclass"}
_INSIDE = {
    "__code__", "__closure__", "__globals__", "__dict__", "__mro__", "__bases__", "__subclasses__", "__wrapped__",
    "__defaults__", "__kwdefaults__", "__annotations__", "__class__", "__slots__",
}  # fmt: skip
_NAMESPACES = {"globals", "locals", "vars", "dir", "get_ipython"}
_OF_THE_KERNEL = {"In", "Out", "_ih", "_oh", "__main__"}
_OUTPUT = {"redirect_stdout", "redirect_stderr", "capture_output", "capsys"}
_FIGURES = {"gcf", "gca", "get_fignums"}
_HARMLESS_MAGICS = {"matplotlib", "load_ext", "config", "autoreload", "precision", "pylab"}
_MAGIC = re.compile(r"^\s*(?:%%?(\w*)|!)", re.M)


def unseen_by_look(graded: NotebookNode, source: NotebookNode | None) -> dict[str, str]:
    """Return why a check cannot be judged from outside, by the id of its cell.

    Parameters
    ----------
    graded
        The release with the hidden tests in place.
    source
        The same with the solutions, if there are any.
    """
    answers = [c.source for c in (source or graded).cells if c.cell_type == "code" and grading(c).get("solution")]
    answers += [c.source for c in graded.cells if c.cell_type == "code" and grading(c).get("solution")]
    looker = _Looker(answers, [cell.source for cell in graded.cells if cell.cell_type == "code"])
    found = {}
    for cell in graded.cells:
        meta = grading(cell)
        is_test = cell.cell_type == "code" and meta.get("grade") and not meta.get("solution")
        if is_test and (why := list(dict.fromkeys(looker.reasons(cell.source)))):
            found[grade_id_of(cell)] = ", ".join(why[:3])
    return found


class _Looker:
    """What the learner's code defines and reads, and what that says about the source of a check."""

    def __init__(self, answers: Iterable[str], released: Iterable[str]) -> None:
        answers = list(answers)
        self.modules = {name for source in (*answers, *released) for name in _imported(source)}
        self.names = {name for source in answers for name in names_bound(source)} - self.modules
        self.read = set[str]().union(*[_read_inside(source) for source in answers])
        self.functions = {name for source in answers for name in _defined(source)}

    def reasons(self, source: str) -> Iterator[str]:
        """Yield what a check with this source does that the judge cannot see through."""
        for match in _MAGIC.finditer(source):
            if match[1] is None or match[1] not in _HARMLESS_MAGICS:
                yield f"it uses the magic command {source[match.start() :].strip().splitlines()[0][:40]!r}"
        tree = _parsed(source)
        for node in ast.walk(tree) if tree else ():
            yield from self._reason(node)
        yield from self._looks_at_arguments(tree.body if tree else [])

    def _looks_at_arguments(self, body: list[ast.stmt]) -> Iterator[str]:
        """Say where a check looks whether the answer changed what it was called with: it got a copy."""
        passed: set[str] = set()
        theirs = set(self.names)  # what the learner's code has given
        for node in body:
            calls = [n for n in ast.walk(node) if isinstance(n, ast.Call) and _root(n.func) in self.names]
            looked_at = _names_of(node) if _asserts(node) else set()
            if not theirs & looked_at:
                yield from (f"it looks whether the answer changes {name}" for name in sorted(passed & looked_at))
            if isinstance(node, ast.Assign) and theirs & _names_of(node.value):
                theirs |= {name for target in node.targets for name in _names_of(target)}
            elif isinstance(node, ast.Assign):
                passed -= {name for target in node.targets for name in _names_of(target)}
            passed |= {arg.id for call in calls for arg in call.args if isinstance(arg, ast.Name)} - theirs

    def _reason(self, node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Delete(targets=targets):
                yield from (f"it deletes {t.id}" for t in targets if isinstance(t, ast.Name) and t.id in self.names)
            case ast.Name(id=name, ctx=ast.Store()) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield from self._replaced(name)
            case ast.Name(id=name) if name in _OF_THE_KERNEL | {"get_ipython"}:
                yield f"it reads {name}"
            case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
                root = _root(node)
                if root in self.modules or (root in self.functions and isinstance(node, ast.Attribute)):
                    yield f"it changes {ast.unparse(node)[:60]}"
            case ast.Attribute(attr=name, value=value):
                yield from self._attribute(name, value)
            case ast.Call(func=ast.Name(id=name), args=args):
                yield from self._called(name, args)
            case ast.Import(names=aliases):
                yield from (r for a in aliases for r in _imports(a.name))
            case ast.ImportFrom(module=module, names=aliases):
                yield from (r for a in aliases for r in _imports(f"{module}.{a.name}"))
            case ast.Compare(left=left, comparators=[right]) if _asks_type(left) or _asks_type(right):
                named = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & self.functions
                yield from (f"it compares a type with {name}" for name in sorted(named) if _is_name(left, right, name))

    def _replaced(self, name: str) -> Iterator[str]:
        if name in self.functions or (name in self.names and name in self.read):
            yield f"it replaces {name}"
        elif name in self.read and hasattr(builtins, name):
            yield f"it replaces {name}, which the answer calls"

    def _attribute(self, name: str, value: ast.expr) -> Iterator[str]:
        root = _root(value)
        if root == "inspect" and isinstance(value, ast.Name) and name not in _SEEN_OF_INSPECT:
            yield f"it inspects with inspect.{name}"
        elif name in _INSIDE and any(isinstance(n, ast.Name) and n.id in self.names for n in ast.walk(value)):
            yield f"it looks at {name}"
        elif name in _FIGURES and root in self.modules:
            yield f"it looks at the current figure ({root}.{name})"
        elif name in _OUTPUT:
            yield f"it reads what is printed ({name})"
        elif (root, name) in {("sys", "modules"), ("importlib", "reload"), ("os", "chdir"), ("os", "putenv")}:
            yield f"it changes or reads the process ({root}.{name})"
        elif root in ("mock", "patch", "monkeypatch"):
            yield "it patches functions (mock)"

    def _called(self, name: str, args: list[ast.expr]) -> Iterator[str]:
        if name in _NAMESPACES and (name in ("globals", "locals", "get_ipython") or not args):
            yield f"it reads the names of the process ({name})"
        elif name in ("setattr", "delattr") and args and _root(args[0]) in self.modules | self.functions:
            yield f"it changes {ast.unparse(args[0])[:40]} ({name})"
        elif name == "issubclass" and any(isinstance(a, ast.Name) and a.id in self.functions for a in args):
            yield "it asks for the bases of a class (issubclass)"
        elif name == "patch":
            yield "it patches functions (mock)"
        elif name in _OUTPUT:
            yield f"it reads what is printed ({name})"
        elif name in ("getsource", "getsourcelines", "getclosurevars", "getmembers"):
            yield f"it inspects with {name}"


def _imports(name: str) -> Iterator[str]:
    if name.startswith(("unittest.mock", "mock")):
        yield "it patches functions (mock)"
    elif name.partition(".")[0] == "__main__":
        yield "it reads __main__"


def _asks_type(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "type"


def _is_name(left: ast.expr, right: ast.expr, name: str) -> bool:
    return any(isinstance(side, ast.Name) and side.id == name for side in (left, right))


def _asserts(node: ast.stmt) -> bool:
    """Whether a statement is an assertion, or the call of a function such as ``np.testing.assert_equal``."""
    call = node.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
    name = getattr(call.func, "attr", getattr(call.func, "id", "")) if call else ""
    return isinstance(node, ast.Assert) or str(name).startswith("assert")


def _names_of(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(without_magics(source))
    except UNREADABLE:
        return None


def _imported(source: str) -> set[str]:
    tree = _parsed(source)
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)] if tree else []
    return {alias.asname or alias.name.partition(".")[0] for node in found for alias in node.names}


def _defined(source: str) -> set[str]:
    tree = _parsed(source)
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for node in tree.body if isinstance(node, kinds)} if tree else set()


def _read_inside(source: str) -> set[str]:
    """Return the names that the functions and classes in ``source`` read from outside when they run."""
    tree = _parsed(source)
    if tree is None:
        return set()
    table = symtable.symtable(ast.unparse(tree), "<cell>", "exec")
    return {name for child in table.get_children() for name in _globals_of(child)}


def _globals_of(table: symtable.SymbolTable) -> Iterator[str]:
    yield from (symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced())
    for child in table.get_children():
        yield from _globals_of(child)
