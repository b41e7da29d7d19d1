"""Questions that a person grades: what was asked, the rubric, and the reference answer, as the source has them.

They are read from ``source/`` of the course folder, so a course of your own has them too. A rubric is a table whose
first column is headed *Points*, in the text above the answer or in the cell's own marking scheme (nbgrader's
``### BEGIN MARK SCHEME``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.authoring.assignments import grade_id_of
from autograder.authoring.format import grading
from autograder.authoring.rubric import RubricItem, rubric_of
from autograder.grading.book.settings import names_by_place
from autograder.text import shortened

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Question", "answer_cells", "read_notebook", "read_questions"]

_MARKER = re.compile(r"^.*### (?:BEGIN|END) (?:SOLUTION|MARK SCHEME).*\n?", re.M)
_GIST = 160  # characters


@dataclass(frozen=True)
class Question:
    """One graded cell of a notebook, for a person to grade."""

    notebook: str
    place: tuple[str, str]  # nbgrader's assignment and notebook
    cell: str  # grade id of the cell that carries the points
    answer: str  # id of the cell that the learner writes, and that comments are about: mostly the same
    manual: bool  # False: a check of the machine's, in which a person only has a say
    asked: str  # Markdown
    rubric: tuple[RubricItem, ...]
    reference: str  # the source's own answer; empty if it has none
    code: bool  # whether the answer is code

    @property
    def title(self) -> str:
        """First heading of what was asked."""
        heading = re.search(r"^#+ +(.+?)\s*$", self.asked, re.M)
        return heading[1] if heading else self.cell

    @property
    def gist(self) -> str:
        """First paragraph below the heading, cut short."""
        text = re.sub(r"^[#|].*$|^> ?", "", self.asked, flags=re.M).strip()
        return shortened(" ".join(text.split("\n\n")[0].split()), _GIST)


def read_notebook(path: Path) -> NotebookNode | None:
    """Return a notebook of the course folder; None if there is none."""
    from nbformat import v4

    try:
        notebook: NotebookNode = v4.reads(path.read_text(encoding="utf-8"))  # grade wrote it: it is valid
    except (OSError, ValueError):
        return None
    return notebook


def read_questions(folder: Path, only: str = "") -> dict[tuple[str, str], Question]:
    """Return every question of the notebooks in ``source/`` of a course folder, or of one, by notebook and cell."""
    found: dict[tuple[str, str], Question] = {}
    names = names_by_place(folder)
    for path in sorted(folder.glob("source/*/*.ipynb")):
        place = (path.parent.name, path.stem)
        name = names.get(place, path.stem if place[0] == place[1] else "")
        if name and only in ("", name):
            questions = _read(name, path, path.stat().st_mtime_ns, folder / "release" / place[0] / path.name)
            found |= {(name, question.cell): question for question in questions}
    return found


def answer_cells(notebook: NotebookNode, question: Question) -> list[NotebookNode]:
    """Return the cells of a submission that answer ``question``: those of its id, or, of a task, those below it."""
    own = [number for number, cell in enumerate(notebook.cells) if grade_id_of(cell) == question.answer]
    if not own or not grading(notebook.cells[own[0]]).get("task"):
        return [notebook.cells[number] for number in own]
    below = notebook.cells[own[-1] + 1 :]
    end = next((number for number, cell in enumerate(below) if grading(cell)), len(below))
    return list(below[:end])


@lru_cache(maxsize=100)
def _read(name: str, source: Path, _changed: int, release: Path) -> tuple[Question, ...]:
    asks, given = read_notebook(source), read_notebook(release)
    if asks is None:
        return ()
    stubs = {grade_id_of(c): c.source for c in given.cells} if given else {}
    return tuple(_questions(name, (source.parent.name, source.stem), asks.cells, stubs))


def _questions(
    name: str, where: tuple[str, str], cells: Sequence[NotebookNode], given: dict[str, str]
) -> Iterator[Question]:
    place: int | None = None  # of the last cell that a learner writes
    for number, cell in enumerate(cells):
        meta = grading(cell)
        if meta.get("solution") or meta.get("task"):
            place = number
        if not (meta.get("grade") or meta.get("task")) or place is None:
            continue
        answer = cells[place]
        asked = _asked(cells, place) + (f"\n\n{cell.source}" if meta.get("task") else "")
        known = given.get(grade_id_of(answer)) not in (None, answer.source) and not meta.get("task")
        yield Question(
            notebook=name,
            place=where,
            cell=grade_id_of(cell),
            answer=grade_id_of(answer),
            manual=bool(meta.get("solution") or meta.get("task")),
            asked=_MARKER.sub("", asked),
            rubric=rubric_of(asked) if place == number else (),
            reference=_MARKER.sub("", answer.source) if known else "",
            code=answer.cell_type == "code",
        )


def _asked(cells: Sequence[NotebookNode], place: int) -> str:
    """Return the Markdown above a cell, from its heading on."""
    above: list[str] = []
    for cell in reversed(cells[:place]):
        if cell.cell_type != "markdown" or grading(cell):
            break
        above.insert(0, cell.source)
        if cell.source.lstrip().startswith("#"):
            break
    return "\n\n".join(above)
