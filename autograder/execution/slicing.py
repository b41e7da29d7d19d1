"""Grading needs less than a notebook shows: find the ungraded cells that no check can notice.

A cell is kept when a check, a solution or another kept cell reads a name it binds, or when it changes something they
can see: an object they share, a tracking server, the environment. What is left out are figures, tables and
demonstrations. Kept cells that don't depend on the learner's code move to the front, where one snapshot runs them for
all submissions.

This reads source code and can be wrong, so it is never trusted by itself: `Engine.run` uses a lean plan only after the
reference solution has earned every point under it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace

from autograder.execution.names import names_bound, stored_in
from autograder.execution.plan import Plan, PlanCell

__all__ = ["lean"]

_SHOWING = frozenset({"print", "display", "plt", "plots", "fig", "figure", "ax", "axes", "sns", "Markdown", "HTML"})
_STATEFUL = frozenset({"mlflow", "os", "sys", "np", "numpy", "random", "logging", "warnings"})
_CHANGING = (
    "update", "append", "extend", "add", "insert", "pop", "remove", "clear", "set", "register", "log",
    "promote", "delete",
    "write", "save", "start", "stop", "close", "fit", "put", "push", "create", "apply", "commit",
)  # fmt: skip
_SHOWN_BY = frozenset(
    {"head", "tail", "describe", "info", "plot", "show", "hist", "round", "sample", "style", "to_string"}
)


@dataclass
class _Facts:
    """What one piece of source does to names."""

    binds: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)  # when the cell runs
    reads_later: set[str] = field(default_factory=set)  # inside functions and classes: whenever they are called
    changes: set[str] = field(default_factory=set)  # items and attributes stored to
    effects: set[str] = field(default_factory=set)  # methods called for what they do
    opaque: bool = False  # magics, syntax errors: keep


def lean(plan: Plan, *, bold: bool = False) -> Plan:
    """Return ``plan`` without the work no check can notice, learner-independent cells first.

    Cells keep their ids; a cell that is left out stays in the plan with nothing to run. ``bold`` also leaves out cells
    that only call methods for their effect (log a run, register a model): right where checks use stores of their own.
    """
    numbered = [replace(cell, number=cell.number or i) for i, cell in enumerate(plan.cells, 1)]
    kept = _needed(numbered, bold=bold)
    trimmed = [cell if i in kept else _emptied(cell) for i, cell in enumerate(numbered)]
    return replace(plan, cells=tuple(_hoisted(trimmed)))


def _is_changed(cell: PlanCell) -> bool:
    return cell.learner.strip() != cell.release.strip()


def _emptied(cell: PlanCell) -> PlanCell:
    return replace(cell, release="", learner=cell.learner if _is_changed(cell) else "")


def _facts_of(cell: PlanCell) -> _Facts:
    if cell.kind == "test":
        return _facts(cell.release)
    merged = _facts(cell.release)
    if _is_changed(cell):
        other = _facts(cell.learner)
        merged.binds |= other.binds
        merged.reads |= other.reads
        merged.reads_later |= other.reads_later
        merged.changes |= other.changes
        merged.effects |= other.effects
    if cell.kind == "solution":
        merged.binds |= set(cell.names or ())
    return merged


def _needed(cells: list[PlanCell], *, bold: bool) -> set[int]:
    """Return the positions of the cells to keep: graded ones, changed ones, and what they lean on."""
    facts = [_facts_of(cell) for cell in cells]
    kept = {i for i, c in enumerate(cells) if c.kind != "free" or not c.release.strip() or facts[i].opaque}
    own = {i for i, c in enumerate(cells) if c.kind == "free" and _is_changed(c)}  # these run in the learner's process
    imports = {name for cell in cells for name in _imported(cell.release)}
    while True:
        later = set[str]().union(*[facts[i].reads_later for i in kept | own])
        added = set()
        for i, fact in enumerate(facts):
            if i in kept:
                continue
            after = set[str]().union(*[facts[j].reads for j in kept | own if j > i]) | later
            visible = {n for j in kept for n in facts[j].binds} & after
            changes = fact.changes if bold else fact.changes | fact.effects
            if fact.binds & after or changes & (visible - imports) or changes & after & imports & _STATEFUL:
                added.add(i)
        if not added:
            return kept
        kept |= added


def _hoisted(cells: list[PlanCell]) -> list[PlanCell]:
    """Move cells that don't depend on the learner, directly or through others, before the first one that does."""
    first = next((i for i, cell in enumerate(cells) if cell.kind != "free" or _is_changed(cell)), len(cells))
    tainted: set[str] = set()
    moved, stay = [], []
    for i, cell in enumerate(cells):
        fact = _facts_of(cell)
        touched = (fact.reads | fact.reads_later | fact.changes | fact.effects) & tainted
        rebinds = any(
            fact.binds & (_facts_of(c).reads | _facts_of(c).reads_later | _facts_of(c).binds) for c in cells[first:i]
        )
        if i < first or (
            cell.kind == "free" and not _is_changed(cell) and not touched and not rebinds and not fact.opaque
        ):
            moved.append(cell)
        else:
            stay.append(cell)
            tainted |= fact.binds | fact.changes | fact.effects
    return [*moved, *stay]


def _imported(source: str) -> set[str]:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return set()
    return {
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def _facts(source: str) -> _Facts:
    facts = _Facts()
    facts.binds = set(names_bound(source))
    try:
        tree = ast.parse(source)
    except SyntaxError:
        facts.opaque = bool(source.strip())
        return facts
    bound: set[str] = set()
    for place, node in enumerate(tree.body):
        now, later = _free(node)
        facts.reads |= now - bound
        facts.reads_later |= later - facts.binds
        if not isinstance(node, ast.If | ast.For | ast.While | ast.Try | ast.With):
            bound |= set(names_bound(ast.unparse(node)))  # what is bound under a condition may not be
        _change(node, facts, is_last=place == len(tree.body) - 1)
    return facts


def _free(node: ast.AST) -> tuple[set[str], set[str]]:
    """Return the names ``node`` reads when it runs, and those its functions will read when they are called."""
    now: set[str] = set()
    later: set[str] = set()
    if isinstance(node, ast.Name):
        return ({node.id} if isinstance(node.ctx, ast.Load) else set()), set()
    for child in ast.iter_child_nodes(node):
        child_now, child_later = _free(child)
        now |= child_now
        later |= child_later
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        targets = {name for generator in node.generators for name in stored_in(generator.target)}
        return now - targets, later - targets
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        arguments = node.args
        own = {a.arg for a in ast.walk(arguments) if isinstance(a, ast.arg)}
        if not isinstance(node, ast.Lambda):
            own |= {n for statement in node.body for n in names_bound(ast.unparse(statement))}
        return set(), (now | later) - own
    return now, later


def _change(node: ast.AST, facts: _Facts, *, is_last: bool) -> None:
    """Note names whose objects a statement may change: items and attributes set, methods called for effect."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    for child in ast.walk(node):
        if isinstance(child, ast.Subscript | ast.Attribute) and isinstance(child.ctx, ast.Store | ast.Del):
            facts.changes |= {_root(child)} - {""}
        if isinstance(child, ast.AugAssign) and isinstance(child.target, ast.Name):
            facts.changes.add(child.target.id)
        if isinstance(child, ast.With | ast.AsyncWith):
            facts.effects |= {_root(item.context_expr) for item in child.items} - {""} - _SHOWING
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Call) and not (is_last and child is node):
            _called(child.value, facts)
    if is_last and isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        _called(node.value, facts, is_shown=True)


def _called(call: ast.Call, facts: _Facts, *, is_shown: bool = False) -> None:
    root = _root(call.func)
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if root in _SHOWING or not method or method in _SHOWN_BY:
        return
    if not is_shown or root in _STATEFUL or method.startswith(_CHANGING):
        facts.effects.add(root)


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
