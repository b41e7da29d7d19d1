"""The rules a notebook source keeps, so that what is released can be learnt from, graded and trusted.

Each rule takes a `Draft` (the source as cells with line numbers) and yields `Violation` objects; `breaches` runs all.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from autograder.authoring.course_list import NAME
from autograder.authoring.format import (
    EXERCISE_HEADING,
    GRADE_ID,
    TEXT_STUB,
    TITLE,
    Violation,
    exercise_of,
    grading,
    kind_of,
)
from autograder.authoring.markdown_rules import markdown_faults
from autograder.authoring.rubric import rubric_of
from autograder.model import NotebookSpec
from autograder.sandbox.names import names_bound

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["MAX_LINES", "breaches", "unwritten"]

MAX_LINES = 30  # of one code cell: longer ones no longer hold one idea

_FLAGS = {  # grade, solution, locked: what nbgrader needs to know of each kind of cell
    "solution": {"grade": False, "solution": True, "locked": False},
    "visible": {"grade": True, "solution": False, "locked": True},
    "hidden": {"grade": True, "solution": False, "locked": True},
    "manual": {"grade": True, "solution": True, "locked": False},
}
_SECTION = re.compile(r"^## (?P<number>\d+\.\d+) ", re.M)
_HINT = re.compile(r"<details>\s*<summary>Hint \d</summary>.*?</details>", re.S)
_TO_WRITE = re.compile(rf"\bTODO\b.*|(?<=^# ){re.escape(TEXT_STUB)}$")
_REGION = re.compile(r"^[ \t]*### BEGIN (?P<what>SOLUTION|HIDDEN TESTS)$.*?^[ \t]*### END (?P=what)$\n?", re.M | re.S)


@dataclass(frozen=True)
class SourceCell:
    """One cell of a source, with the place an author can jump to."""

    where: str  # "line 41 (check-1-2)"
    type: str
    source: str
    meta: dict[str, Any]

    @property
    def grade_id(self) -> str:
        """The nbgrader id, empty for a plain cell."""
        return str(self.meta.get("grade_id", ""))

    @property
    def role(self) -> str:
        """`solution`, `visible`, `hidden`, `manual`, or empty."""
        return kind_of(self.grade_id) or ("solution" if self.grade_id.startswith("ex-") else "")


@dataclass(frozen=True)
class Draft:
    """A source under review."""

    file: str
    number: int
    cells: tuple[SourceCell, ...]
    spec: NotebookSpec
    answers: Path

    def breach(self, cell: SourceCell | str, problem: str, fix: str) -> Violation:
        """Return a violation at ``cell`` (or at a place given in words)."""
        return Violation(self.file, cell if isinstance(cell, str) else cell.where, problem, fix)


def breaches(path: Path, notebook: NotebookNode, spec: NotebookSpec, answers: Path) -> Iterator[Violation]:
    """Yield every breach of the contract in ``notebook``, which was read from ``path``."""
    if NAME.fullmatch(path.stem) is None:
        fix = "name it by number and topic, such as 01_mlops_overview.py"
        yield Violation(path.name, "file name", "the name has no notebook number", fix)
        return
    draft = Draft(path.name, int(path.stem[:2]), tuple(_cells(path, notebook)), spec, answers)
    rules = (
        _headings, _metadata, _unique_ids, _exercises, _solutions, _hidden_tests, _leaks, _lengths, _interview,
        _readable,
    )  # fmt: skip
    for rule in rules:
        yield from rule(draft)


def unwritten(path: Path) -> Iterator[Violation]:
    """Yield each line of a source that is still to be written: those with TODO. They stop nothing from running."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if found := _TO_WRITE.search(line):
            yield Violation(path.name, f"line {number}", shorten(found[0], 90, placeholder=" …"), "")


def _cells(path: Path, notebook: NotebookNode) -> Iterator[SourceCell]:
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines, 1) if line.startswith("# %%")]
    known = len(starts) == len(notebook.cells)  # else text before the first marker shifts them: give cell numbers
    for index, cell in enumerate(notebook.cells):
        meta = grading(cell)
        place = f"line {starts[index]}" if known else f"cell {index + 1}"
        name = meta.get("grade_id") or next(iter(cell.source.strip().splitlines()), "empty cell")[:40]
        yield SourceCell(f"{place} ({name})", cell.cell_type, cell.source, meta)


def _headings(draft: Draft) -> Iterator[Violation]:
    text = "\n".join(cell.source for cell in draft.cells if cell.type == "markdown")
    title = TITLE.search(text)
    if title is None or not text.startswith("# ") or int(title["number"]) != draft.number:
        fix = f"start it with '# {draft.number} · Title'"
        yield draft.breach("first cell", "the notebook does not start with its numbered title", fix)
    head = text[: first.start()] if (first := _SECTION.search(text)) else text
    for needed, what in (("After this notebook you can", "list of abilities"), ("```mermaid", "lifecycle diagram")):
        if needed not in head:
            yield draft.breach("head", f"the {what} is missing", f"put '{needed}' before the first numbered section")
    if not re.search(r"\d+ min", head):
        yield draft.breach("head", "the time it takes is missing", "say it in minutes, such as '30 minutes'")
    sections = [match["number"] for match in _SECTION.finditer(text)]
    if sections != [f"{draft.number}.{k}" for k in range(1, len(sections) + 1)] or not sections:
        fix = f"number them {draft.number}.1, {draft.number}.2, … in order"
        yield draft.breach("sections", f"numbered sections are {', '.join(sections) or 'missing'}", fix)
    exercises = [match["number"] for match in EXERCISE_HEADING.finditer(text)]
    if exercises != [f"{draft.number}.{k}" for k in range(1, len(exercises) + 1)]:
        fix = f"number them {draft.number}.1, {draft.number}.2, … in order"
        yield draft.breach("exercises", f"exercise headings are {', '.join(exercises)}", fix)
    if not exercises:
        yield draft.breach("exercises", "there is none", f"write '### Exercise {draft.number}.1 · Title (3 points)'")
    for line in re.findall(r"^### Exercise.*$", text, re.M):
        if not EXERCISE_HEADING.fullmatch(line):
            yield draft.breach(line, "the heading is not readable", "write '### Exercise 1.2 · Title (3 points)'")
    tail = re.findall(r"^## .*$", text, re.M)[-2:]
    if tail != ["## Interview question", "## State of the desk"]:
        fix = "close with '## Interview question', then '## State of the desk'"
        yield draft.breach("end", "the two closing headings are missing or not last", fix)


def _metadata(draft: Draft) -> Iterator[Violation]:
    for cell in draft.cells:
        if not cell.meta:
            continue
        match = GRADE_ID.fullmatch(cell.grade_id)
        if match is None:
            fix = f"use ex-{draft.number}-1, check-{draft.number}-1, hidden-{draft.number}-1 or interview-1"
            yield draft.breach(cell, f"the grade id {cell.grade_id!r} follows no convention", fix)
            continue
        if match["exercise"] and int(match["exercise"].split("-")[0]) != draft.number:
            yield draft.breach(cell, "the grade id carries another notebook's number", f"number it {draft.number}-…")
        wanted = {**_FLAGS[cell.role], "schema_version": 3}
        wrong = [f"{key} {str(value).lower()}" for key, value in wanted.items() if cell.meta.get(key) != value]
        if wrong:
            yield draft.breach(cell, "its nbgrader metadata has wrong flags", "set " + ", ".join(wrong))
        points = cell.meta.get("points")
        if cell.role != "solution" and not (isinstance(points, (int, float)) and points > 0):
            yield draft.breach(cell, f"it has points {points!r}", "give it a positive number of points")
        if (cell.type == "markdown") != (cell.role == "manual"):
            yield draft.breach(cell, f"it is a {cell.type} cell", "only the interview answer is a markdown cell")


def _unique_ids(draft: Draft) -> Iterator[Violation]:
    counts = Counter(cell.grade_id for cell in draft.cells if cell.meta)
    for cell in draft.cells:
        if cell.meta and counts[cell.grade_id] > 1:
            fix = "give every graded cell an id of its own"
            yield draft.breach(cell, f"the grade id {cell.grade_id} is used {counts[cell.grade_id]} times", fix)


def _exercises(draft: Draft) -> Iterator[Violation]:
    text = "\n".join(f"{cell.source}\n\0{cell.grade_id}\0" for cell in draft.cells)
    headings = list(EXERCISE_HEADING.finditer(text))
    stray = {cell.grade_id for cell in draft.cells if exercise_of(cell.grade_id) not in ("", "interview")}
    for heading, following in zip_longest(headings, headings[1:]):
        body = text[heading.end() : following.start() if following else len(text)]
        ids = [grade_id for grade_id in re.findall(r"\0(.*?)\0", body) if exercise_of(grade_id) == heading["number"]]
        stray.difference_update(ids)
        yield from _exercise(draft, heading, ids, len(_HINT.findall(re.split(r"^## ", body, flags=re.M)[0])))
    for grade_id in sorted(stray):
        cell = next(cell for cell in draft.cells if cell.grade_id == grade_id)
        fix = f"put it below '### Exercise {exercise_of(grade_id)} · Title (P points)'"
        yield draft.breach(cell, "it is not below the heading of its exercise", fix)


def _exercise(draft: Draft, heading: re.Match[str], ids: list[str], hints: int) -> Iterator[Violation]:
    number, place = heading["number"], f"exercise {heading['number']}"
    roles = [kind_of(grade_id) or "solution" for grade_id in ids]
    if roles.count("solution") != 1 or roles[:1] != ["solution"]:
        fix = f"have exactly one cell ex-{number.replace('.', '-')}, before its checks"
        yield draft.breach(place, f"it has {roles.count('solution')} solution cells before its checks", fix)
    if "visible" not in roles:
        yield draft.breach(place, "it has no visible check", f"add a cell check-{number.replace('.', '-')}")
    if hints != 2:
        fix = "write two: <details><summary>Hint 1</summary> … </details>"
        yield draft.breach(place, f"it has {hints} folded hints", fix)
    exercise = next((exercise for exercise in draft.spec.exercises if exercise.number == number), None)
    points = exercise.points if exercise else 0
    if exercise and points != float(heading["points"]):
        fix = f"write ({points:g} points), or change the points of the checks"
        yield draft.breach(place, f"the heading says {heading['points']}, its checks give {points:g}", fix)
    file = draft.answers / f"ex_{number.replace('.', '_')}.py"
    if not file.is_file():
        fix = "write it: at least three wrong answers and two right ones"
        yield draft.breach(place, f"its answers file answers/{draft.answers.name}/{file.name} is missing", fix)


def _solutions(draft: Draft) -> Iterator[Violation]:
    checked = set[str]().union(*[_read(cell.source) for cell in draft.cells if cell.role in ("visible", "hidden")])
    for cell in draft.cells:
        if cell.role != "solution":
            continue
        regions = [match for match in _REGION.finditer(cell.source) if match["what"] == "SOLUTION"]
        if not regions or cell.source.count("SOLUTION") != 2 * len(regions):
            fix = "wrap each part of the solution in '### BEGIN SOLUTION' … '### END SOLUTION'"
            yield draft.breach(cell, f"it has {len(regions)} solution regions", fix)
            continue
        stub = _REGION.sub(lambda match: match[0][: len(match[0]) - len(match[0].lstrip())] + "raise\n", cell.source)
        try:
            tree = ast.parse(stub)
        except SyntaxError as error:
            fix = "keep signature and docstring outside the region, and mind the indentation"
            yield draft.breach(cell, f"without its solution it is no valid Python ({error.msg})", fix)
            continue
        definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        if not any(isinstance(node, definitions) and ast.get_docstring(node) for node in ast.walk(tree)):
            fix = "state the exact signature, with units and an example in the docstring"
            yield draft.breach(cell, "it shows no function or class with a docstring", fix)
        unsaid = (set(names_bound(cell.source)) - set(names_bound(stub))) & checked
        if unsaid:  # the judge binds what the stub shows: what only the solution defines never reaches a check
            fix = "show its signature outside the region; a cell may have a region for each function"
            yield draft.breach(cell, f"checks read {', '.join(sorted(unsaid))}, which the stub doesn't show", fix)


def _read(source: str) -> set[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return set()
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _hidden_tests(draft: Draft) -> Iterator[Violation]:
    for cell in draft.cells:
        if cell.role != "hidden":
            continue
        number, points = exercise_of(cell.grade_id), cell.meta.get("points", 0)
        noun = "point" if points == 1 else "points"
        line = f"# Hidden tests for exercise {number} ({points:g} {noun}) run when the notebook is graded."
        visible = _REGION.sub("", cell.source).strip()
        if visible != line:
            fix = f"make the visible part exactly '{line}', the rest between ### BEGIN/END HIDDEN TESTS"
            yield draft.breach(cell, "the part a learner sees is not the agreed comment line", fix)
        if not any(match["what"] == "HIDDEN TESTS" for match in _REGION.finditer(cell.source)):
            fix = "wrap the tests in '### BEGIN HIDDEN TESTS' … '### END HIDDEN TESTS'"
            yield draft.breach(cell, "it has no hidden region", fix)


def _leaks(draft: Draft) -> Iterator[Violation]:
    for cell in draft.cells:
        for what, role in (("SOLUTION", "solution"), ("HIDDEN TESTS", "hidden")):
            if re.search(rf"(BEGIN|END) {what}", cell.source) and cell.role != role:
                yield draft.breach(cell, f"a {what} region stands in another kind of cell", "move it to its own cell")


def _lengths(draft: Draft) -> Iterator[Violation]:
    for cell in draft.cells:
        lines = len(cell.source.splitlines())
        if cell.type == "code" and lines > MAX_LINES:
            fix = "split it, or move code to course_lib"
            yield draft.breach(cell, f"it has {lines} lines, {MAX_LINES} at most", fix)


def _interview(draft: Draft) -> Iterator[Violation]:
    heading = False
    found = 0
    above = ""
    for cell in draft.cells:
        heading = heading or bool(re.search(r"^## Interview question$", cell.source, re.M))
        found += cell.role == "manual"
        if cell.role == "manual" and not heading:
            yield draft.breach(cell, "it comes before '## Interview question'", "move it below that heading")
        if cell.role == "manual" and (given := sum(i.points for i in rubric_of(above))) != cell.meta.get("points"):
            fix = "write a table '| Points | For |' into the cell above it, a row for each thing that earns points"
            yield draft.breach(cell, f"it is worth {cell.meta.get('points')} points, its rubric gives {given:g}", fix)
        above = cell.source
    if found != 1:
        fix = "have one markdown cell with grade id interview-1, graded by a person"
        yield draft.breach("interview", f"there are {found} interview answer cells", fix)


def _readable(draft: Draft) -> Iterator[Violation]:
    for cell in draft.cells:
        for fault in markdown_faults(cell.source) if cell.type == "markdown" else ():
            yield draft.breach(cell, fault.problem, fault.fix)
