"""A notebook as the grader needs it: what learners were given, and the same cells with the hidden tests in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.authoring.format import grading, spec_of
from autograder.model import Check, Exercise, NotebookSpec

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = [
    "Assignment",
    "Catalogue",
    "any_spec",
    "assignment_of",
    "catalogue_of",
    "course_catalogue",
    "grade_id_of",
    "is_locked",
    "release_ids",
]


@dataclass(frozen=True)
class Assignment:
    """One released notebook.

    ``graded`` holds the cells of ``learner`` in the same order; solution cells are stubs in both, and only ``graded``
    contains hidden tests.
    """

    spec: NotebookSpec
    learner: NotebookNode = field(repr=False)
    graded: NotebookNode = field(repr=False)
    source: NotebookNode | None = field(default=None, repr=False)  # with the reference solutions, for the instructor

    @property
    def name(self) -> str:
        """Name of the notebook, such as ``01_mlops_overview``."""
        return self.spec.name

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Every graded cell, in the order of the notebook."""
        known = [check for exercise in self.spec.exercises for check in exercise.checks]
        by_id = {check.grade_id: check for check in [*known, *self.spec.manual]}
        return tuple(by_id[i] for cell in self.graded.cells if (i := grade_id_of(cell)) in by_id)

    @cached_property
    def hints(self) -> dict[str, tuple[str, ...]]:
        """The folded hints of each exercise, by its number."""
        return _hints(self.learner)


def grade_id_of(cell: Any) -> str:
    """Return the nbgrader id of ``cell``; empty if it has none or the metadata are nonsense."""
    meta = cell.get("metadata", {}).get("nbgrader", {})
    grade_id = meta.get("grade_id", "") if isinstance(meta, dict) else ""
    graded = isinstance(meta, dict) and any(meta.get(key) for key in ("grade", "solution", "locked", "task"))
    return grade_id if isinstance(grade_id, str) and graded else ""


def is_locked(cell: NotebookNode) -> bool:
    """Whether the source of a release's cell belongs to the course and not to the learner."""
    meta = grading(cell)
    return bool(not meta.get("solution") and (meta.get("grade") or meta.get("locked") or meta.get("task")))


def assignment_of(source: NotebookNode, name: str) -> Assignment:
    """Build the assignment from an instructor's notebook, by nbgrader's own steps.

    Parameters
    ----------
    source
        The notebook with solutions and hidden tests.
    name
        The name of the notebook, which is also the name of nbgrader's assignment.
    """
    from nbgrader.preprocessors import (
        ClearHiddenTests,
        ClearMarkScheme,
        ClearOutput,
        ClearSolutions,
        ComputeChecksums,
        LockCells,
    )

    stub = {"python": f"raise NotImplementedError({_STUB!r})"}
    resources: dict[str, Any] = {"language": "python"}
    graded = _copy(source)
    for step in (LockCells(), ClearSolutions(code_stub=stub), ClearOutput(), ComputeChecksums()):
        graded, resources = step.preprocess(graded, resources)
    learner = _copy(graded)
    for step in (ClearHiddenTests(), ClearMarkScheme(), ComputeChecksums()):
        learner, resources = step.preprocess(learner, resources)
    return Assignment(any_spec(graded, name), learner, graded, source)


@dataclass(frozen=True)
class Catalogue:
    """The notebooks that can be graded; each is built when it is asked for."""

    names: tuple[str, ...]
    load: Callable[[str], Assignment]


def catalogue_of(*assignments: Assignment) -> Catalogue:
    """Return the catalogue of these assignments."""
    return Catalogue(tuple(a.name for a in assignments), {a.name: a for a in assignments}.__getitem__)


def course_catalogue(root: Path) -> Catalogue:
    """Return the notebooks of the course at ``root`` that have a source.

    Loading one raises :class:`autograder.authoring.sources.SourceError` when its source breaks the contract; the
    others can still be graded.
    """
    from autograder.authoring.format import written
    from autograder.authoring.release import learner_copy, read_sources, release_of

    def load(name: str) -> Assignment:
        (source,) = read_sources(root, [name])
        return Assignment(source.spec, learner_copy(source), release_of(source), source.notebook)

    return Catalogue(tuple(written(root)), load)


_STUB = "Replace this line with your code, then run the check below."


def _copy(notebook: NotebookNode) -> NotebookNode:
    import nbformat

    copied: NotebookNode = nbformat.from_dict(notebook)
    return copied


def any_spec(graded: NotebookNode, name: str) -> NotebookSpec:
    """Return the spec; a notebook that doesn't follow the course's ids has one exercise for each graded cell."""
    spec = spec_of(graded, name)
    ours = {check.grade_id for exercise in spec.exercises for check in exercise.checks}
    ours |= {check.grade_id for check in spec.manual}
    foreign = [cell for cell in graded.cells if grading(cell).get("grade") or grading(cell).get("task")]
    if all(grade_id_of(cell) in ours for cell in foreign):
        return spec
    checks = [_foreign_check(cell) for cell in foreign]
    exercises = tuple(Exercise(c.exercise, c.exercise, c.grade_id, (c,)) for c in checks if c.kind != "manual")
    return NotebookSpec(name, name, exercises, tuple(c for c in checks if c.kind == "manual"))


def _foreign_check(cell: NotebookNode) -> Check:
    meta, grade_id = grading(cell), grade_id_of(cell)
    points = float(meta.get("points", 0))
    if meta.get("solution") or meta.get("task") or cell.cell_type != "code":
        return Check(grade_id, grade_id, "manual", points)
    return Check(grade_id, grade_id, "hidden" if "### BEGIN HIDDEN TESTS" in cell.source else "visible", points)


def _hints(notebook: NotebookNode) -> dict[str, tuple[str, ...]]:
    import re

    from autograder.authoring.format import EXERCISE_HEADING

    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = list(EXERCISE_HEADING.finditer(text))
    ends = [following.start() for following in headings[1:]] + [len(text)]
    found = {}
    for heading, end in zip(headings, ends, strict=True):
        body = text[heading.end() : end].split("\n## ")[0]
        hints = re.findall(r"<details>\s*<summary>.*?</summary>(.*?)</details>", body, re.S)
        found[heading["number"]] = tuple(hint.strip() for hint in hints)
    return found


def release_ids(release: NotebookNode) -> list[str]:
    """Return an id for each cell of a release: its own, or one made from its number where it has none."""
    return [cell.get("id") or f"cell-{number}" for number, cell in enumerate(release.cells)]
