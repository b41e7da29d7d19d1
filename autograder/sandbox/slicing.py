"""Program slicing of a notebook: leave out the ungraded cells and statements that no check can notice.

A cell is kept when a check, a solution or another kept cell reads a name it binds, or when it changes something they
can see: an object they share, a tracking server, the environment. What is left out are figures, tables and
demonstrations. Kept cells that don't depend on the learner's code move to the front, where one snapshot runs them for
all submissions.

This reads source code and can be wrong, so it is never trusted by itself: `Engine.run` uses a sliced plan only after
the reference solution has earned every point under it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from functools import lru_cache

from autograder.sandbox.model import Plan, PlanCell
from autograder.sandbox.names import UNREADABLE, names_bound, stored_in

__all__ = ["STRATEGIES", "SlicingStrategy", "sliced"]

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

_MAX_SOURCE = 200_000  # characters of a cell: beyond that it is kept, for reading it would take longer than running it


@dataclass
class _Facts:
    """What one piece of source does to names."""

    binds: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)  # when the cell runs
    reads_later: set[str] = field(default_factory=set)  # inside functions and classes: whenever they are called
    changes: set[str] = field(default_factory=set)  # items and attributes stored to
    effects: set[str] = field(default_factory=set)  # methods called for what they do
    opaque: bool = False  # magics, syntax errors: keep

    def with_(self, other: _Facts) -> _Facts:
        """Return what both do; whether to keep the cell is decided by this one."""
        return _Facts(
            self.binds | other.binds,
            self.reads | other.reads,
            self.reads_later | other.reads_later,
            self.changes | other.changes,
            self.effects | other.effects,
            self.opaque,
        )


@dataclass(frozen=True)
class SlicingStrategy:
    """How much is believed about cells whose effects can't be read from their source.

    Attributes
    ----------
    bold
        Also leave out cells that only call methods for their effect (log a run, register a model): right where checks
        use stores of their own.
    modules_apart
        What a check or a solution does to a module (``mlflow.end_run()``) doesn't tie later cells to their place.
    statements
        Of the cells that are kept, leave out assignments to names that nothing reads, and values that are only shown.
    """

    bold: bool = False
    modules_apart: bool = False
    statements: bool = False


STRATEGIES = (
    SlicingStrategy(bold=True, modules_apart=True, statements=True),
    SlicingStrategy(bold=True, modules_apart=True),
    SlicingStrategy(bold=True),
    SlicingStrategy(),
)  # the boldest first


def sliced(plan: Plan, strategy: SlicingStrategy = STRATEGIES[-1]) -> Plan:
    """Return ``plan`` without the work no check can notice, learner-independent cells first.

    Cells keep their ids; a cell that is left out stays in the plan with nothing to run.
    """
    numbered = [replace(cell, number=cell.number or i) for i, cell in enumerate(plan.cells, 1)]
    trimmed = _shortened(numbered, strategy)
    while trimmed != numbered:  # what only served something that was left out can go as well
        numbered, trimmed = trimmed, _shortened(trimmed, strategy)
    return replace(plan, cells=tuple(_hoisted(trimmed, modules_apart=strategy.modules_apart)))


def _shortened(cells: list[PlanCell], strategy: SlicingStrategy) -> list[PlanCell]:
    kept = _needed(cells, bold=strategy.bold)
    trimmed = [cell if i in kept else _emptied(cell) for i, cell in enumerate(cells)]
    return _without_idle_statements(trimmed) if strategy.statements else trimmed


def _is_changed(cell: PlanCell) -> bool:
    return cell.learner.strip() != cell.release.strip()


def _emptied(cell: PlanCell) -> PlanCell:
    return replace(cell, release="", learner=cell.learner if _is_changed(cell) else "")


def _facts_of(cell: PlanCell) -> _Facts:
    facts = _facts(cell.release)
    if cell.kind != "test" and _is_changed(cell):
        facts = facts.with_(_facts(cell.learner))
    if cell.kind == "solution" and cell.names:
        facts = facts.with_(_Facts(binds=set(cell.names)))
    return facts


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


def _without_idle_statements(cells: list[PlanCell]) -> list[PlanCell]:
    facts = [_facts_of(cell) for cell in cells]
    later = frozenset[str]().union(*[fact.reads_later for fact in facts])
    after, found = set(later), list[PlanCell]()
    for cell, fact in zip(reversed(cells), reversed(facts), strict=True):
        if cell.kind == "free" and cell.release.strip() and not _is_changed(cell) and not fact.opaque:
            source = _trimmed(cell.release, frozenset(after))
            cell = replace(cell, release=source, learner=source)  # noqa: PLW2901
        after |= fact.reads
        found.append(cell)
    return found[::-1]


@lru_cache(maxsize=4096)
def _trimmed(source: str, after: frozenset[str]) -> str:
    """Return ``source`` with the lines of statements blank that bind only names not in ``after``, or only show."""
    lines, needed = source.splitlines(), set(after)
    body = ast.parse(source).body
    places = [range(node.lineno - 1, node.end_lineno or node.lineno) for node in body]
    for node, place in reversed(list(zip(body, places, strict=True))):
        alone = sum(place.start < other.stop and other.start < place.stop for other in places) == 1
        if alone and _is_idle(node, needed, is_last=node is body[-1]):
            for number in place:
                lines[number] = ""
            if node is body[-1]:
                lines[place.start] = "pass"  # so that the statement before it is not taken for one that only shows
        else:
            now, inside = _free(node)
            needed |= now | inside
    return "\n".join(lines)


def _is_idle(node: ast.stmt, needed: set[str], *, is_last: bool) -> bool:
    if isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets):
        return not needed & set(stored_in(node)) and not any(isinstance(n, ast.NamedExpr) for n in ast.walk(node))
    facts = _Facts()
    _change(node, facts, is_last=is_last)
    return is_last and isinstance(node, ast.Expr) and not facts.changes and not facts.effects


def _hoisted(cells: list[PlanCell], *, modules_apart: bool) -> list[PlanCell]:
    """Move cells that don't depend on the learner, directly or through others, before the first one that does."""
    facts = [_facts_of(cell) for cell in cells]
    modules = {name for cell in cells for name in _imported(cell.release)} if modules_apart else set[str]()
    first = next((i for i, cell in enumerate(cells) if cell.kind != "free" or _is_changed(cell)), len(cells))
    tainted: set[str] = set()
    seen: set[str] = set()  # names that the cells which stay read or bind: what crosses them must leave those alone
    moved, stay = [], []
    for i, (cell, fact) in enumerate(zip(cells, facts, strict=True)):
        touched = (fact.reads | fact.reads_later | fact.changes | fact.effects) & tainted
        disturbs = (fact.binds | ((fact.changes | fact.effects) - modules)) & seen
        if i < first or (
            cell.kind == "free" and not _is_changed(cell) and not touched and not disturbs and not fact.opaque
        ):
            moved.append(cell)
        else:
            stay.append(cell)
            tainted |= fact.binds | ((fact.changes | fact.effects) - modules)
            seen |= fact.reads | fact.reads_later | fact.binds
    return [*moved, *stay]


@lru_cache(maxsize=4096)
def _imported(source: str) -> frozenset[str]:
    try:
        tree = ast.parse(source)
    except UNREADABLE:
        return frozenset()
    return frozenset(
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    )


@lru_cache(maxsize=4096)
def _facts(source: str) -> _Facts:
    """Return what ``source`` does; read only, for it is read once for all submissions that contain it."""
    if len(source) > _MAX_SOURCE:
        return _Facts(opaque=True)
    try:
        return _read(source)
    except UNREADABLE:
        return _Facts(binds=set(names_bound(source)), opaque=bool(source.strip()))


def _read(source: str) -> _Facts:
    facts = _Facts(binds=set(names_bound(source)))
    tree = ast.parse(source)
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
