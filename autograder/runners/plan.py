"""Plan of a run: which cells of a submission run in the learner's process and which in the judge, and what crosses.

A solution cell must define the names that its stub binds, and those that the reference solution binds or changes and
other cells read. What the reference imports and others read is imported in the judge as well: a module that a learner
hands over could be anything.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from autograder.authoring.assignments import grade_id_of, is_locked, release_ids
from autograder.authoring.format import grading
from autograder.sandbox.model import Plan, PlanCell
from autograder.sandbox.names import UNREADABLE, names_bound, without_magics

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Asked", "asked_of", "plan_of", "solved"]

_OF_THE_SHELL = {"display", "get_ipython", "In", "Out", "exit", "quit", "_", "__name__"}


@dataclass(frozen=True)
class Asked:
    """What a solution cell has to give to the judge."""

    names: tuple[str, ...] | None = None  # None: those that its stub binds
    imports: str = ""  # statements that the judge runs for itself


def solved(release: NotebookNode, source: NotebookNode) -> NotebookNode:
    """Return ``release`` with the reference solutions of ``source`` handed in."""
    from nbformat import from_dict

    notebook: NotebookNode = from_dict(release)
    notebook.nbformat, notebook.nbformat_minor = 4, 5  # the first in which cells have ids
    answers = {grade_id_of(cell): cell.source for cell in source.cells}
    for cell_id, cell in zip(release_ids(release), notebook.cells, strict=True):
        cell.id = cell_id
        if grading(cell).get("solution"):
            cell.source = answers.get(grade_id_of(cell), cell.source)
    return notebook


def asked_of(release: NotebookNode, source: NotebookNode | None) -> dict[str, Asked]:
    """Return what each solution cell has to give, by its id; only for those of which the stub does not say it all.

    Parameters
    ----------
    release
        The notebook as released, with hidden tests.
    source
        The same with the reference solutions, if there are any; without, every name counts that a check reads and no
        cell of the release binds.
    """
    others = [cell.source for cell in release.cells if cell.cell_type == "code" and not _is_answer(cell)]
    needed = set[str]().union(*[_names_in(text) for text in others])
    nowhere = needed - {name for text in others for name in _bound_anywhere(text)} - set(dir(builtins)) - _OF_THE_SHELL
    references = {grade_id_of(cell): cell.source for cell in source.cells} if source is not None else {}
    modules = {name for text in (*others, *references.values()) for _, bound in _imports(text) for name in bound}
    found = {}
    for cell_id, cell in zip(release_ids(release), release.cells, strict=True):
        if cell.cell_type != "code" or not _is_answer(cell):
            continue
        reference = references.get(grade_id_of(cell), "")
        imports = {line: bound for text in (cell.source, reference) for line, bound in _imports(text) if bound & needed}
        imported = set[str]().union(*imports.values())
        changed = (name for name in sorted(_changed(reference)) if name not in modules and not hasattr(builtins, name))
        more = [*names_bound(reference), *changed] if source is not None else sorted(nowhere)
        stub = names_bound(cell.source)
        names = [n for n in dict.fromkeys([*stub, *(n for n in more if n in needed)]) if n not in imported and n != "*"]
        if tuple(names) != stub or imports:
            found[cell_id] = Asked(tuple(names), "\n".join(imports))
    return found


def plan_of(
    notebook: NotebookNode,
    release: NotebookNode,
    *,
    asked: Mapping[str, Asked] | None = None,
    unseen: Collection[str] = (),
    files: Mapping[str, bytes] | None = None,
    helpers: str = "",
) -> Plan:
    """Return what to run for ``notebook``, a repaired submission of ``release``.

    The learner's process runs the learner's cells in their order. The judge runs every code cell of the release, those
    included that the learner deleted: such a cell comes before the next one of the release that is there.

    Parameters
    ----------
    notebook, release
        The cells.
    asked
        What :func:`asked_of` says of the release.
    unseen
        Checks, by their grade ids, that run in the learner's process.
    files
        What lies in the work folder at the start.
    helpers
        The folder of the course's own files, which lie there too.
    """
    released = dict(zip(release_ids(release), release.cells, strict=True))
    order = {cell_id: number for number, cell_id in enumerate(released)}
    here = {cell.id for cell in notebook.cells}
    lost = [cell_id for cell_id, cell in released.items() if cell_id not in here and cell.cell_type == "code"]
    cells: list[PlanCell] = []
    numbers = _numbers(release, released)
    for cell in notebook.cells:
        while lost and cell.id in order and order[lost[0]] < order[cell.id]:
            cells.append(_plan_cell(lost[0], released[lost.pop(0)], None))
        if cell.cell_type == "code":
            cells.append(_plan_cell(cell.id, released.get(cell.id), cell))
    cells += [_plan_cell(cell_id, released[cell_id], None) for cell_id in lost]
    blind = {cell_id for cell_id, cell in released.items() if grade_id_of(cell) in unseen}
    whole = tuple(_with_imports(list(_numbered(cells, numbers)), asked or {}, blind))
    return Plan(cells=whole, files=files or {}, helpers=helpers)


def _with_imports(cells: list[PlanCell], asked: Mapping[str, Asked], blind: set[str]) -> Iterator[PlanCell]:
    """Let checks that are among ``blind`` run in the learner's process, and give the judge the imports it lacks then.

    Such a check finds what earlier checks have imported, as in one process.
    """
    before: list[str] = []
    for cell in cells:
        lines = [line for line, _ in _imports(cell.release)] if cell.kind == "test" else []
        imports = ""
        if cell.id in blind:
            yield replace(cell, learner="\n".join([*before, cell.release]))
            imports = "\n".join(lines)
        else:
            of_cell = asked.get(cell.id, Asked())
            yield replace(cell, names=of_cell.names) if cell.kind == "solution" else cell
            imports = of_cell.imports
        if imports:
            yield PlanCell(f"{cell.id}\0imports", "free", imports, number=cell.number)
        before += [line for line in lines if blind and line not in before]


def _numbers(release: NotebookNode, released: dict[str, NotebookNode]) -> dict[str, int]:
    code = [cell_id for cell_id, cell in zip(released, release.cells, strict=True) if cell.cell_type == "code"]
    return {cell_id: number for number, cell_id in enumerate(code, 1)}


def _numbered(cells: list[PlanCell], numbers: dict[str, int]) -> Iterator[PlanCell]:
    """Give cells that are as released the number they have there: a cell inserted above doesn't make them others."""
    for number, cell in enumerate(cells, 1):
        same = cell.kind == "free" and cell.learner.strip() == cell.release.strip()
        yield replace(cell, number=numbers.get(cell.id, number) if same else number)


def _plan_cell(cell_id: str, released: NotebookNode | None, submitted: NotebookNode | None) -> PlanCell:
    learner = submitted.source if submitted is not None else ""
    if released is None:
        return PlanCell(cell_id, "free", "", learner)
    meta = grading(released)
    if not grade_id_of(released):
        return PlanCell(cell_id, "free", released.source, learner)
    if meta.get("grade") and not meta.get("solution"):
        return PlanCell(cell_id, "test", released.source)
    if is_locked(released):
        return PlanCell(cell_id, "free", released.source, released.source)
    return PlanCell(cell_id, "solution", released.source, learner)


# reading source


def _is_answer(cell: NotebookNode) -> bool:
    return bool(grading(cell).get("solution"))


def _tree(source: str) -> ast.Module:
    try:
        return ast.parse(without_magics(source))
    except UNREADABLE:
        return ast.Module([], [])


def _names_in(source: str) -> set[str]:
    return _names_of(_tree(source))


def _bound_anywhere(source: str) -> set[str]:
    """Return the names that a cell binds at any depth: variables, functions, classes, parameters, imports."""
    found = set()
    for node in ast.walk(_tree(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
    return found


def _imports(source: str) -> Iterator[tuple[str, set[str]]]:
    """Yield the imports at the left margin of a cell, each as a statement and the names it binds."""
    for node in _tree(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield ast.unparse(node), {alias.asname or alias.name.partition(".")[0] for alias in node.names}


def _changed(source: str) -> set[str]:
    """Return the names whose objects a cell changes in place: items and attributes set, methods called for effect.

    A name of a loop or an assignment may stand for a part of another object: that one is changed with it.
    """
    found: set[str] = set()
    parts: dict[str, set[str]] = {}
    for node in _outside_functions(_tree(source)):
        if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            found.add(_root(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            found.add(_root(node.value.func) if isinstance(node.value.func, ast.Attribute) else "")
        elif isinstance(node, ast.For | ast.AsyncFor):
            for name in _names_of(node.target):
                parts.setdefault(name, set()).update(_names_of(node.iter))
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name | ast.Subscript | ast.Attribute):
            for name in (n for target in node.targets for n in _names_of(target)):
                parts.setdefault(name, set()).add(_root(node.value))
    while more := {whole for name in found for whole in parts.get(name, ())} - found:
        found |= more
    return found - {""}


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a cell does itself; what its functions do to their own names is not its doing."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield child
            yield from _outside_functions(child)


def _names_of(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
