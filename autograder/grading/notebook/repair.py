"""Submission repair before a notebook runs: the learner's cells in the learner's order, the course's cells as released.

What a learner (or an editor) may do to a notebook, and what happens to it here:

- *locked cell changed, retyped, worth more points*: restored from the release; text that was merged into it is kept as
  a cell of its own in front of it;
- *check deleted, or moved above the solution it checks*: put back, after the solution;
- *cell duplicated*: exact copies are dropped. Of several solution cells, stubs are dropped when another one was
  written, and every written one runs in its place, as it does for the learner: the last one before the check counts. A
  changed copy of a locked cell runs as an ordinary cell;
- *solution retyped*: it is code again; *metadata lost or renumbered*: the cell is recognised by its id, its text, or
  the functions it defines;
- *solution deleted*: nothing is put back, for a stub could hide a function that was written elsewhere.

Every repair is recorded in words an instructor can read.
"""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autograder.authoring.assignments import Assignment, grade_id_of, is_locked, release_ids
from autograder.authoring.format import grading
from autograder.grading.notebook.read import new_cell, told
from autograder.text import runnable

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Repaired", "repair"]

_DEFINED = re.compile(r"^(?:async\s+def|def|class)\s+(\w+)", re.M)
_PYTHON = {"python", "python3", "ipython", ""}


@dataclass(frozen=True)
class Repaired:
    """A submission that can be run: hidden tests are in place, so it must not be shown to learners."""

    notebook: NotebookNode = field(repr=False)
    repairs: tuple[str, ...]
    untouched: frozenset[str]  # ids of solution and answer cells still as released


@dataclass(eq=False)  # two slots may hold the same text
class _Slot:
    """A submitted cell and the place it has in the release, if any."""

    cell: NotebookNode
    place: int | None = None
    learner: bool = True  # False: put in from the release


def repair(submitted: NotebookNode, assignment: Assignment) -> Repaired:
    """Return the notebook to run for a submission of ``assignment``."""
    return _Repairer(submitted, assignment).run()


class _Repairer:
    """One notebook on its way from what was handed in to what is run."""

    def __init__(self, submitted: NotebookNode, assignment: Assignment) -> None:
        self.assignment = assignment
        self.learner, self.graded = assignment.learner.cells, assignment.graded.cells
        self.place = {i: n for n, cell in enumerate(self.graded) if (i := grade_id_of(cell))}
        self.kernel = submitted.metadata.get("kernelspec", {})
        self.slots = [_Slot(copy.deepcopy(cell)) for cell in submitted.cells]
        self.repairs: list[str] = []

    def run(self) -> Repaired:
        self._record_kernel()
        self._claim_by_grade_id()
        self._split_merged()
        self._claim_by_cell_id()
        self._claim_by_text()
        self._claim_by_names()
        self._claim_answers()
        self._settle_duplicates()
        self._move_early_checks()
        self._put_back_missing()
        untouched = frozenset(self._untouched())
        return Repaired(self._finished(), told(self.repairs), untouched)

    def _record_kernel(self) -> None:
        language = self.kernel.get("language", "")
        if not isinstance(language, str) or language.lower() not in _PYTHON:
            self.repairs.append(f"The notebook asked for a kernel of {language!s:.40}; it was run with Python.")

    # identify cells

    def _claim_by_grade_id(self) -> None:
        for slot in self.slots:
            grade_id = grade_id_of(slot.cell)
            slot.place = self.place.get(grade_id)
            if grade_id and slot.place is None:
                self.repairs.append(f"The id {grade_id:.40} is not one of this notebook; its cell is an ordinary one.")

    def _claim_by_cell_id(self) -> None:
        known = {cell.get("id"): n for n, cell in enumerate(self.learner) if cell.get("id")}
        for slot, n in self._unidentified(lambda cell: known.get(cell.metadata.get("submitted_id"))):
            if slot.cell.cell_type == self.learner[n].cell_type:
                self._claim(slot, n)

    def _claim_by_text(self) -> None:
        known: dict[str, int] = {}
        for n in self._unclaimed():
            known.setdefault(_text(self.learner[n]), n)
        for slot, n in self._unidentified(lambda cell: known.get(_text(cell))):
            self._claim(slot, n)

    def _claim_by_names(self) -> None:
        """Recognise a solution whose metadata are lost by the functions it defines."""
        for n in self._unclaimed():
            names = set(_DEFINED.findall(self.learner[n].source))
            if grading(self.learner[n]).get("solution") and names:
                code = [s for s in self.slots if s.place is None and s.cell.cell_type == "code"]
                for slot in [s for s in code if names <= set(_DEFINED.findall(s.cell.source))][-1:]:
                    self._claim(slot, n)

    def _claim_answers(self) -> None:
        """Recognise a written answer whose metadata are lost by where it stands: between its neighbours."""
        for n in self._unclaimed():
            if not (grading(self.learner[n]).get("grade") and grading(self.learner[n]).get("solution")):
                continue
            start, end = self._last_before(n) + 1, self._first_after(n)
            same = [
                s for s in self.slots[start:end] if s.place is None and s.cell.cell_type == self.learner[n].cell_type
            ]
            for slot in [s for s in same if s.cell.source.strip()][:1]:
                self._claim(slot, n)

    def _claim(self, slot: _Slot, n: int) -> None:
        slot.place = n
        if grade_id := grade_id_of(self.graded[n]):
            self.repairs.append(f"The cell {grade_id} had lost its number; it was recognised.")

    def _unclaimed(self) -> list[int]:
        taken = {slot.place for slot in self.slots}
        return [n for n in range(len(self.learner)) if n not in taken]

    def _unidentified(self, find: Callable[[NotebookNode], int | None]) -> Iterator[tuple[_Slot, int]]:
        """Yield the cells not identified yet with the free place that ``find`` names, each place once."""
        free = set(self._unclaimed())
        for slot in self.slots:
            if slot.place is None and (n := find(slot.cell)) in free:
                free.discard(n)
                yield slot, n

    # cells that are two, and two cells that are one

    def _split_merged(self) -> None:
        """Cut what was merged into a locked cell out of it, so that restoring it loses nothing."""
        result: list[_Slot] = []
        for slot in self.slots:
            if slot.place is not None and is_locked(self.graded[slot.place]) and not self._is_release(slot):
                released = _text(self.learner[slot.place])
                before, found, after = _text(slot.cell).partition(released) if released else ("", "", "")
                rest = [part for part in (before, after) if found and part.strip()]
                if rest:
                    name = grade_id_of(self.graded[slot.place])
                    self.repairs.append(f"Other text had been merged into the locked cell {name}; it was parted.")
                    result += [_Slot(new_cell("code", part.strip("\n"))) for part in rest]
                    slot.cell.source = released
            result.append(slot)
        self.slots = result

    def _settle_duplicates(self) -> None:
        groups: dict[int, list[_Slot]] = defaultdict(list)
        for slot in self.slots:
            if slot.place is not None:
                groups[slot.place].append(slot)
        for n, group in groups.items():
            if len(group) > 1:
                self._settle(n, group)

    def _settle(self, n: int, group: list[_Slot]) -> None:
        released = _text(self.learner[n])
        locked = is_locked(self.graded[n])
        keep = self._kept_test(n, group) if locked else self._kept_solution(n, group)
        drop = {id(s) for s in group if s is not keep and _text(s.cell) in (_text(keep.cell), released)}
        self.slots = [slot for slot in self.slots if id(slot) not in drop]
        for slot in group:
            slot.place = n if slot is keep else None
        if name := grade_id_of(self.graded[n]):
            self.repairs.append(f"The cell {name} was there {len(group)} times; one of them was graded.")

    def _kept_test(self, n: int, group: list[_Slot]) -> _Slot:
        """Keep the first copy of a check that comes after the solution, else the last one."""
        solution = self._position_of_solution(n)
        later = [slot for slot in group if self.slots.index(slot) > solution]
        return later[0] if later else group[-1]

    def _kept_solution(self, n: int, group: list[_Slot]) -> _Slot:
        """Keep the last copy that was written, counting only those before the check where there are any."""
        written = [slot for slot in group if _text(slot.cell) != _text(self.learner[n])]
        exercise = [e for e in self.assignment.spec.exercises if e.solution_id == grade_id_of(self.graded[n])]
        places = {self.place.get(check.grade_id) for e in exercise for check in e.checks}
        first = next((i for i, slot in enumerate(self.slots) if slot.place in places), len(self.slots))
        before = [slot for slot in written if self.slots.index(slot) < first]
        return (before or written or group[:1])[-1]

    # order

    def _position_of_solution(self, n: int) -> int:
        """Return where the solution stands that cell ``n`` of the release checks, or -1."""
        grade_id = grade_id_of(self.graded[n])
        owner = [e for e in self.assignment.spec.exercises if grade_id in {c.grade_id for c in e.checks}]
        wanted = self.place.get(owner[0].solution_id) if owner else None
        if wanted is None or wanted == n:
            return -1
        return max((i for i, slot in enumerate(self.slots) if slot.place == wanted), default=-1)

    def _move_early_checks(self) -> None:
        for slot in list(self.slots):
            n = slot.place
            if n is None or not grade_id_of(self.graded[n]) or not is_locked(self.graded[n]):
                continue
            solution = self._position_of_solution(n)
            if self.slots.index(slot) < solution:
                self.slots.insert(solution + 1, slot)
                self.slots.remove(slot)
                self.repairs.append(f"The check {grade_id_of(self.graded[n])} stood before its solution; it was moved.")

    def _put_back_missing(self) -> None:
        for n in self._unclaimed():
            name = grade_id_of(self.graded[n])
            if not name:
                continue
            meta = grading(self.graded[n])
            if meta.get("solution") and not meta.get("grade"):
                self.repairs.append(f"The solution cell {name} is missing.")
                continue
            at = max(self._first_after(n), self._position_of_solution(n) + 1)
            self.slots.insert(at, _Slot(copy.deepcopy(self.learner[n]), n, learner=False))
            self.repairs.append(f"The cell {name} was missing; it was put back.")

    def _first_after(self, n: int) -> int:
        """Return the position of the next cell of the release that is there; the end if there is none."""
        return next(
            (i for i, slot in enumerate(self.slots) if slot.place is not None and slot.place > n), len(self.slots)
        )

    def _last_before(self, n: int) -> int:
        return max((i for i, slot in enumerate(self.slots) if slot.place is not None and slot.place < n), default=-1)

    # the result

    def _untouched(self) -> Iterator[str]:
        for slot in self.slots:
            if slot.place is None or _text(slot.cell) != _text(self.learner[slot.place]):
                continue
            if grading(self.graded[slot.place]).get("solution"):
                yield grade_id_of(self.graded[slot.place])

    def _finished(self) -> NotebookNode:
        from nbformat.v4 import new_notebook

        notebook: NotebookNode = new_notebook(metadata=copy.deepcopy(self.assignment.graded.metadata))
        taken = set(ids := release_ids(self.assignment.graded))
        for number, slot in enumerate(self.slots):
            cell = self._final(slot)
            own = next(i for k in range(len(taken) + 1) if (i := f"own-{number}" + "x" * k) not in taken)
            cell.id = own if slot.place is None else ids[slot.place]
            cell.metadata.pop("submitted_id", None)
            notebook.cells.append(cell)
        return notebook

    def _final(self, slot: _Slot) -> NotebookNode:
        name = grade_id_of(self.graded[slot.place]) if slot.place is not None else ""
        if slot.place is None or not name:
            slot.cell.metadata.pop("nbgrader", None)
            return slot.cell
        released = self.graded[slot.place]
        if is_locked(released):
            self._record_tampering(slot, name)
            restored: NotebookNode = copy.deepcopy(released)
            return restored
        if slot.cell.cell_type != released.cell_type:
            self.repairs.append(f"The cell {name} had become {slot.cell.cell_type}; it is {released.cell_type} again.")
            slot.cell = new_cell(released.cell_type, slot.cell.source, metadata=slot.cell.metadata)
        self._record_points(slot, name)
        slot.cell.metadata = copy.deepcopy(released.metadata)
        return slot.cell

    def _record_tampering(self, slot: _Slot, name: str) -> None:
        learner = self.learner[slot.place or 0]
        if slot.cell.cell_type != learner.cell_type:
            self.repairs.append(f"The locked cell {name} had become {slot.cell.cell_type}; it was restored.")
        elif not self._is_release(slot):
            self.repairs.append(f"The locked cell {name} had been changed; it was restored.")
        self._record_points(slot, name)

    def _is_release(self, slot: _Slot) -> bool:
        """Whether the text is the released one, with the hidden tests (a reference solution) or without."""
        return _text(slot.cell) in (_text(self.learner[slot.place or 0]), _text(self.graded[slot.place or 0]))

    def _record_points(self, slot: _Slot, name: str) -> None:
        meta = slot.cell.metadata.get("nbgrader")
        given, right = (meta.get("points") if isinstance(meta, dict) else None), grading(self.graded[slot.place or 0])
        if right.get("grade") and given is not None and given != right.get("points"):
            self.repairs.append(f"The points of {name} had been changed to {given!s:.20}; they were restored.")


def _text(cell: NotebookNode) -> str:
    """Return a cell's text as it is compared: line ends and trailing blanks don't count."""
    return "\n".join(line.rstrip() for line in runnable(cell.source).replace("\r\n", "\n").split("\n")).rstrip()
