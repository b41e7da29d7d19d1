"""Mutants of an answer: copies with one small fault each, to see whether the checks notice.

A right answer is changed in one place at a time: a comparison moved to its other side, a clause or a statement left
out, a constant next to itself, a rounding or an ordering replaced, one line of a text dropped. Each mutant has to lose
points; one that cannot, because it does the same, stands in the exercise's list of equivalents with the reason.

The operators are the usual ones of mutation testing (Jia and Harman 2011, https://doi.org/10.1109/TSE.2010.62), and
those that a learner's mistakes look like: `None` taken for falsy, a loop that ends after its first turn, a keyword left
out.
"""

from __future__ import annotations

import ast
import copy
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder.authoring.format import Violation
from autograder.authoring.sources import SourceError

__all__ = ["Equivalent", "Mutant", "mutants_of", "read_equivalents"]

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
_NAMES = {
    "min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "reversed": "list", "ceil": "floor",
    "floor": "ceil", "round": "int", "int": "round", "abs": "float", "sum": "max", "startswith": "endswith",
    "endswith": "startswith", "head": "tail", "tail": "head", "mean": "median", "median": "mean", "first": "last",
    "last": "first", "append": "insert", "update": "setdefault",
}  # fmt: skip
_LONGEST = 90  # characters of a change as it is told


@dataclass(frozen=True)
class Mutant:
    """A copy of an answer with one fault."""

    line: int
    change: str  # "was → now", as Python
    source: str

    @property
    def title(self) -> str:
        """The line and the change."""
        return f"line {self.line}: {self.change}"


@dataclass(frozen=True)
class Equivalent:
    """A mutant that need not lose points, and why."""

    exercise: str
    answer: str  # the title of the answer, or "reference"
    mutant: str  # its title: line and change
    reason: str


def mutants_of(source: str) -> list[Mutant]:
    """Return the mutants of ``source``, each once, in the order of their lines.

    A cell that is no Python (a shell line, a cell magic) has none but those that lack one of its lines.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return [Mutant(line, f"{_short(text)} → nothing", changed) for line, text, changed in _without_lines(source)]
    nodes = list(ast.walk(tree))
    documented = {id(node) for node in _docstrings(tree)}
    found: dict[str, Mutant] = {}
    for index, node in enumerate(nodes):
        if id(node) in documented:
            continue
        for edit in _edits(node):
            again = copy.deepcopy(tree)
            target = list(ast.walk(again))[index]
            was, line = _short(ast.unparse(node)), getattr(node, "lineno", 1)
            now = edit(target)
            changed = _unparsed(_Replaced(target, now).visit(again) if now is not target else again)
            if changed and changed != ast.unparse(tree) and changed not in found:
                told = "nothing" if isinstance(now, ast.Pass) else _short(ast.unparse(now))
                found[changed] = Mutant(line, f"{was} → {told}", changed)
    return sorted(found.values(), key=lambda mutant: mutant.line)


def read_equivalents(path: Path) -> list[Equivalent]:
    """Read a notebook's equivalent mutants; a file that is not there holds none.

    Raises
    ------
    SourceError
        An entry lacks one of ``exercise``, ``answer``, ``mutant`` and ``reason``.
    """
    if not path.is_file():
        return []
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", [])
    violations = [
        Violation(path.name, f"entry {number}", "it needs " + ", ".join(sorted(missing)), "add it")
        for number, entry in enumerate(entries, 1)
        if (missing := {"exercise", "answer", "mutant", "reason"} - {key for key, value in entry.items() if value})
    ]
    if violations:
        raise SourceError(violations)
    return [Equivalent(e["exercise"], e["answer"], e["mutant"], e["reason"]) for e in entries]


class _Replaced(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else self.generic_visit(node)


Edit = Callable[[ast.AST], ast.AST]  # changes a node, or returns what comes in its place


def _edits(node: ast.AST) -> Iterator[Edit]:  # noqa: PLR0912 - one case for each kind of node
    match node:
        case ast.Compare(ops=ops):
            for place, operator in enumerate(ops):
                for other in _COMPARISONS.get(type(operator), ()):
                    yield _set_item("ops", place, other)
            if len(ops) == 1 and isinstance(ops[0], (ast.Is, ast.IsNot)) and _is_none(node.comparators[0]):
                yield _falsy
        case ast.BoolOp(values=values):
            yield _swap_bool
            for place in range(len(values)):
                yield _without_clause(place)
        case ast.UnaryOp():
            yield lambda n: n.operand  # type: ignore[attr-defined,no-any-return]
        case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
            yield _set("op", _ARITHMETIC[type(op)]())
        case ast.AugAssign(op=op) if type(op) in _ARITHMETIC:
            yield _set("op", _ARITHMETIC[type(op)]())
            yield _dropped
        case ast.Constant(value=bool() as value):
            yield _set("value", not value)
        case ast.Constant(value=int() | float() as value):
            step = 1 if isinstance(value, int) else abs(value) / 8 or 0.5
            yield _set("value", value + step)
            yield _set("value", value - step)
        case ast.Constant(value=str() as text) if "\n" in text.strip():
            for _, _, changed in _without_lines(text):
                yield _set("value", changed)
        case ast.Call():
            yield from _call_edits(node)
        case ast.IfExp():
            yield lambda n: n.body  # type: ignore[attr-defined,no-any-return]
            yield lambda n: n.orelse  # type: ignore[attr-defined,no-any-return]
        case ast.If() | ast.While():
            yield _set("test", ast.Constant(value=False))
            if isinstance(node, ast.If):
                yield _set("test", ast.Constant(value=True))
                if node.orelse:
                    yield _set("orelse", [])
        case ast.For():
            yield _once
        case ast.comprehension(ifs=ifs):
            for place in range(len(ifs)):
                yield _without_if(place)
        case ast.Return(value=ast.expr()):
            yield _set("value", None)
        case ast.Break():
            yield lambda _: ast.Continue()
        case ast.Continue():
            yield lambda _: ast.Break()
        case ast.Expr() | ast.Assign() | ast.Raise() | ast.Assert() | ast.Delete():
            yield _dropped
        case ast.With():
            yield lambda n: ast.If(test=ast.Constant(value=True), body=n.body, orelse=[])  # type: ignore[attr-defined]


def _call_edits(node: ast.Call) -> Iterator[Edit]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in _NAMES:
        yield _renamed(_NAMES[name])
    if name in {"sorted", "reversed", "list", "set", "tuple", "float", "int", "str", "round", "abs"} and node.args:
        yield lambda n: n.args[0]  # type: ignore[attr-defined,no-any-return]
    for place in range(len(node.keywords)):
        yield _without_keyword(place)


def _set(field: str, value: object) -> Edit:
    def edit(node: ast.AST) -> ast.AST:
        setattr(node, field, value)
        return node

    return edit


def _set_item(field: str, place: int, kind: type[ast.AST]) -> Edit:
    def edit(node: ast.AST) -> ast.AST:
        getattr(node, field)[place] = kind()
        return node

    return edit


def _without_clause(place: int) -> Edit:
    def edit(node: ast.AST) -> ast.AST:
        del node.values[place]  # type: ignore[attr-defined]
        return node.values[0] if len(node.values) == 1 else node  # type: ignore[attr-defined,no-any-return]

    return edit


def _without_if(place: int) -> Edit:
    def edit(node: ast.AST) -> ast.AST:
        del node.ifs[place]  # type: ignore[attr-defined]
        return node

    return edit


def _without_keyword(place: int) -> Edit:
    def edit(node: ast.AST) -> ast.AST:
        del node.keywords[place]  # type: ignore[attr-defined]
        return node

    return edit


def _renamed(name: str) -> Edit:
    def edit(node: ast.AST) -> ast.AST:
        func = node.func  # type: ignore[attr-defined]
        setattr(func, "attr" if isinstance(func, ast.Attribute) else "id", name)
        return node

    return edit


def _swap_bool(node: ast.AST) -> ast.AST:
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()  # type: ignore[attr-defined]
    return node


def _falsy(node: ast.AST) -> ast.AST:
    """Take `None` for falsy: ``x is None`` becomes ``not x``."""
    value: ast.expr = node.left  # type: ignore[attr-defined]
    return ast.UnaryOp(op=ast.Not(), operand=value) if isinstance(node.ops[0], ast.Is) else value  # type: ignore[attr-defined]


def _once(node: ast.AST) -> ast.AST:
    node.body.append(ast.Break())  # type: ignore[attr-defined]
    return node


def _dropped(_: ast.AST) -> ast.AST:
    return ast.Pass()


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _docstrings(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield docstrings, the statements and the constants."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            yield node.body[0]
            yield node.body[0].value  # type: ignore[attr-defined]


def _without_lines(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield, for each line that is not blank, its number, itself, and the text without it."""
    lines = text.split("\n")
    for place, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            yield place + 1, line, "\n".join(lines[:place] + lines[place + 1 :])


def _unparsed(tree: ast.AST) -> str:
    """Return a tree as text, nothing if it is no program any more."""
    try:
        text = ast.unparse(ast.fix_missing_locations(tree))
        compile(text, "<mutant>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError, AttributeError, TypeError):
        return ""
    return text


def _short(text: str) -> str:
    """Return a piece of a program on one line."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
