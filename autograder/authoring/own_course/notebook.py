"""Notebook of an own course, read as nbgrader reads it: any version of its metadata, every fault named.

What nbgrader would find later, or not at all, is found here: ids that are used twice, metadata that are too new,
solutions that are not there, and a release that was changed after it was handed out.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.authoring.format import grading
from autograder.authoring.own_course.folder import SourceError

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["OwnNotebook", "read_notebook"]

_IDLE = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Pass
_PYTHON = {"", "python", "python3", "ipython"}
_SOLVED = "BEGIN SOLUTION"


@dataclass(frozen=True)
class OwnNotebook:
    """A notebook as its instructor wrote it, or as it was handed out."""

    cells: NotebookNode = field(repr=False)
    is_release: bool = False  # it has no solutions: nothing can be tried with them
    notes: tuple[str, ...] = ()


def read_notebook(path: Path) -> OwnNotebook:
    """Read the source or release at ``path``.

    Raises
    ------
    SourceError
        It cannot be read, or nbgrader could not grade it; says what is wrong with which cell.
    """
    notebook = _parsed(path)
    language = str(notebook.metadata.get("kernelspec", {}).get("language", ""))
    if language.lower() not in _PYTHON:
        fix = "give a notebook for Python; others can't be run here"
        raise _wrong(path, f"its kernel's language is {language}", fix)
    notes = tuple(_upgraded(path, notebook))
    _check_ids(path, notebook)
    _check_metadata(path, notebook)
    return OwnNotebook(notebook, _is_release(path, notebook), notes)


def _wrong(path: Path, what: str, next_step: str) -> SourceError:
    return SourceError(
        f"{path.name} cannot be graded: {what}.",
        expected="a source or a release as nbgrader writes it",
        next_step=next_step,
    )


def _parsed(path: Path) -> NotebookNode:
    import jupytext
    import nbformat

    try:
        if path.suffix.lower() == ".py":
            notebook: NotebookNode = jupytext.reads(path.read_text(encoding="utf-8-sig"), fmt="py:percent")
        else:
            notebook = nbformat.reads(path.read_text(encoding="utf-8-sig"), as_version=4)
        if not isinstance(notebook.get("cells"), list):
            raise ValueError("it has no list of cells")
        for cell in notebook.cells:
            str(cell.source), str(cell.cell_type), cell.metadata.get("nbgrader")
    except Exception as error:  # jupytext, nbformat and its converters raise whatever a damaged file makes them
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise _wrong(path, f"it cannot be read ({said[0][:200]})", "open it in JupyterLab and save it again") from error
    return notebook


def _upgraded(path: Path, notebook: NotebookNode) -> Iterator[str]:
    """Bring old metadata to the version of the installed nbgrader, as its command ``update`` does."""
    from nbgrader.nbgraderformat import SCHEMA_VERSION, MetadataValidator

    versions = {_version(meta) for cell in notebook.cells if (meta := cell.metadata.get("nbgrader"))}
    if newer := [version for version in versions if version > SCHEMA_VERSION]:
        fix = "upgrade nbgrader in the environment of the grader"
        raise _wrong(path, f"its nbgrader metadata are of version {newer[0]}, and {SCHEMA_VERSION} is known here", fix)
    try:
        MetadataValidator().upgrade_notebook_metadata(notebook)
    except Exception as error:
        fix = "run `nbgrader update` on it, and look at what it says"
        raise _wrong(path, f"its nbgrader metadata are damaged ({type(error).__name__}: {error})", fix) from error
    if older := sorted(version for version in versions if version < SCHEMA_VERSION):
        yield (
            f"{path.name}: its nbgrader metadata are of version {older[0]}; they were read as version "
            f"{SCHEMA_VERSION}, and the file was left as it is."
        )


def _version(meta: object) -> int:
    version = meta.get("schema_version", 0) if isinstance(meta, dict) else 0
    return version if isinstance(version, int) else 0


def _check_ids(path: Path, notebook: NotebookNode) -> None:
    ids = [str(meta["grade_id"]) for cell in notebook.cells if (meta := grading(cell)) and meta.get("grade_id")]
    if twice := sorted(grade_id for grade_id, count in Counter(ids).items() if count > 1):
        count = Counter(ids)[twice[0]]
        fix = "give each of these cells an id of its own (the field ID of Create Assignment)"
        raise _wrong(path, f"{count} cells have the id {', '.join(map(repr, twice))}", fix)


def _check_metadata(path: Path, notebook: NotebookNode) -> None:
    """Let nbgrader look at the metadata; say which cell it does not like."""
    from nbgrader.nbgraderformat import MetadataValidator

    validator = MetadataValidator()
    for number, cell in enumerate(notebook.cells, 1):
        try:
            validator.validate_cell(cell)
        except Exception as error:
            said = getattr(error, "message", "") or str(error)
            what = f"cell {number} ({grading(cell).get('grade_id', 'without an id')}): {said.splitlines()[0][:200]}"
            raise _wrong(path, what, "correct the cell's settings in Create Assignment") from error
    if not any(meta.get("grade") or meta.get("task") for cell in notebook.cells if (meta := grading(cell))):
        raise _wrong(path, "no cell of it is worth points", "mark its tests, or the answers that a person will read")


def _is_release(path: Path, notebook: NotebookNode) -> bool:
    """Whether the notebook has no solutions because they were taken out.

    Raises
    ------
    SourceError
        They are not there and were not taken out by nbgrader, or the release is another one than was handed out.
    """
    solutions = [cell for cell in notebook.cells if cell.cell_type == "code" and grading(cell).get("solution")]
    own = [cell for cell in solutions if not grading(cell).get("grade")]
    if any(_SOLVED in cell.source for cell in notebook.cells) or any(_is_solved(cell) for cell in own):
        return False
    released = any(grading(cell).get("checksum") for cell in notebook.cells)
    if own and not released:
        names = ", ".join(str(grading(cell)["grade_id"]) for cell in own[:5])
        fix = "write it into its cells (### BEGIN SOLUTION … ### END SOLUTION), or give the release that nbgrader made"
        raise _wrong(path, f"there is no solution in it ({names})", fix)
    if released:
        _check_unchanged(path, notebook)
    return released


def _is_solved(cell: NotebookNode) -> bool:
    """Whether a solution cell holds more than what nbgrader leaves in a release."""
    from nbgrader.utils import compute_checksum

    meta = grading(cell)
    if meta.get("checksum") and meta["checksum"] == compute_checksum(cell):
        return False
    return not _is_stub(cell.source)


def _is_stub(source: str) -> bool:
    """Whether nothing is in ``source``, or only ``raise NotImplementedError`` in definitions that do nothing else."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return False
    raises = [n for n in nodes if isinstance(n, ast.Raise) and "NotImplementedError" in ast.unparse(n)]
    acts = [n for n in nodes if isinstance(n, ast.stmt) and not (isinstance(n, _IDLE) or n in raises or _is_text(n))]
    return not acts and (bool(raises) or not any(isinstance(n, ast.stmt) for n in nodes))


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _check_unchanged(path: Path, notebook: NotebookNode) -> None:
    from nbgrader.utils import compute_checksum, is_locked

    for cell in notebook.cells:
        meta = grading(cell)
        if is_locked(cell) and meta.get("checksum") and compute_checksum(cell) != meta["checksum"]:
            what = f"the locked cell {meta['grade_id']} is not as it was released (its checksum differs)"
            fix = "give the source, or the release as nbgrader wrote it; this may be what a learner handed in"
            raise _wrong(path, what, fix)
