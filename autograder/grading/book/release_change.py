"""Changed releases: fit the rows of submissions that were graded against other checks, and say what became stale.

nbgrader refuses to add or remove a graded cell once there are submissions. Here a new cell gets a row in each of them;
a cell that is gone takes its rows along, after the gradebook was copied if a person had written into one of them.
Points that people gave to cells that stay are kept; where the cell changed, a person is asked to look again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.authoring.assignments import Assignment
from autograder.grading.book.database import back_up

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from nbgrader.api import Gradebook, Notebook

__all__ = ["adapt"]


def adapt(gradebook: Gradebook, folder: Path, assignment: Assignment) -> list[str]:
    """Fit the gradebook's rows to the cells of ``assignment`` at once; return what to tell the instructor."""
    from nbgrader.api import MissingEntry

    name, (whole, own) = assignment.name, assignment.place
    try:
        notebook = gradebook.find_notebook(own, whole)
    except MissingEntry:
        return []
    if not notebook.submissions:
        return []
    wanted = _wanted(assignment.graded)
    here = {(type(cell).__name__, cell.name): cell for cell in _cells(notebook)}
    notes = _stale(notebook, assignment.graded)
    gone = {key: cell for key, cell in here.items() if key not in wanted}
    notes += _remove(gradebook, folder, notebook, gone.values())
    added = sorted(cell.metadata.nbgrader["grade_id"] for key, cell in wanted.items() if key not in here and _asks(key))
    for (kind, grade_id), cell in wanted.items():
        if (kind, grade_id) not in here:
            _add(gradebook, notebook, kind, grade_id, cell)
    if added:
        notes.append(f"{name}: new since it was graded: {', '.join(added)}.")
    gradebook.db.commit()
    return notes


def _asks(key: tuple[str, str]) -> bool:
    return key[0] in ("GradeCell", "TaskCell")


def _wanted(graded: NotebookNode) -> dict[tuple[str, str], NotebookNode]:
    """Return the cells that nbgrader keeps track of, by the class of their row and their id."""
    from nbgrader import utils

    found: dict[tuple[str, str], NotebookNode] = {}
    for cell in graded.cells:
        kinds = {
            "GradeCell": utils.is_grade(cell),
            "SolutionCell": utils.is_solution(cell),
            "TaskCell": utils.is_task(cell),
        }
        kinds["SourceCell"] = any(kinds.values()) or utils.is_locked(cell)
        found |= {(kind, cell.metadata.nbgrader["grade_id"]): cell for kind, is_it in kinds.items() if is_it}
    return found


def _cells(notebook: Notebook) -> list[Any]:
    return [*notebook.grade_cells, *notebook.solution_cells, *notebook.task_cells, *notebook.source_cells]


def _add(gradebook: Gradebook, notebook: Notebook, kind: str, grade_id: str, cell: NotebookNode) -> None:
    from nbgrader import api, utils

    values: dict[str, Any] = {"name": grade_id, "notebook": notebook}
    if kind != "SolutionCell":
        values["cell_type"] = cell.cell_type
    if _asks((kind, grade_id)):
        values["max_score"] = float(cell.metadata.nbgrader["points"])
    if kind == "SourceCell":
        values |= {"locked": utils.is_locked(cell), "source": cell.source}
    row = getattr(api, kind)(**values)
    gradebook.db.add(row)
    for submitted in notebook.submissions:
        if _asks((kind, grade_id)):
            gradebook.db.add(api.Grade(cell=row, notebook=submitted))
        if kind in ("SolutionCell", "TaskCell"):
            gradebook.db.add(api.Comment(cell=row, notebook=submitted))


def _remove(gradebook: Gradebook, folder: Path, notebook: Notebook, gone: Iterable[Any]) -> list[str]:
    cells = list(gone)
    grades = [grade for cell in cells for grade in getattr(cell, "grades", ())]
    comments = [comment for cell in cells for comment in getattr(cell, "comments", ())]
    given = [g for g in grades if g.manual_score is not None or g.extra_credit]
    written = [c for c in comments if c.manual_comment]
    notes = []
    if names := sorted({cell.name for cell in cells}):
        notes.append(f"{notebook.name}: gone since it was graded: {', '.join(names)}.")
    if given or written:
        copy = back_up(folder / "gradebook.db")
        who = [f"{g.notebook.assignment.student_id} ({g.name}: {g.manual_score or 0:g})" for g in given]
        who += [f"{c.notebook.assignment.student_id} ({c.name}: a comment)" for c in written]
        notes.append(
            f"{notebook.name}: given by hand to cells that are gone, and not counted any more: "
            f"{', '.join(sorted(who))}. The gradebook as it was is {copy.name}."
        )
    for row in (*grades, *comments, *cells):
        gradebook.db.delete(row)
    gradebook.db.flush()
    return notes


def _stale(notebook: Notebook, graded: NotebookNode) -> list[str]:
    """Ask for another look at points given by hand to cells that changed, and say which."""
    cells = {
        cell.metadata.nbgrader["grade_id"]: cell for (kind, _), cell in _wanted(graded).items() if kind != "SourceCell"
    }
    sources = {cell.name: cell.source for cell in notebook.source_cells}
    notes = []
    for row in (*notebook.grade_cells, *notebook.task_cells):
        cell = cells.get(row.name)
        if cell is None:
            continue
        most = float(cell.metadata.nbgrader["points"])
        what = ["its text"] if sources.get(row.name, cell.source) != cell.source else []
        what += [f"its points, {row.max_score:g} before and {most:g} now"] if most != row.max_score else []
        given = [grade for grade in row.grades if grade.manual_score is not None] if what else []
        for grade in given:
            grade.needs_manual_grade = True
        if given:
            who = sorted(
                grade.notebook.assignment.student_id
                + (f" ({grade.manual_score:g}, counts as {most:g})" if grade.manual_score > most else "")
                for grade in given
            )
            notes.append(
                f"{notebook.name}: {row.name} changed ({' and '.join(what)}). Points given by hand stay, "
                f"and should be looked at again: {', '.join(who)}."
            )
    return notes
