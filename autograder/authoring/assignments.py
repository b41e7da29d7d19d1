"""A notebook as the grader needs it: what learners were given, and the same cells with the hidden tests in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.authoring.format import grading, resolve_names
from autograder.model import Check, NotebookSpec

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from autograder.authoring.sources import Source

__all__ = [
    "Assignment",
    "Catalogue",
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
    nbgrader: tuple[str, str] = ("", "")  # how nbgrader calls assignment and notebook, where that is another name
    helpers: str = ""  # the folder with what lies beside the notebook, among those that the sandbox shows
    beside: tuple[str, ...] = ()  # the files in there, by their paths
    unseen: frozenset[str] = (
        frozenset()
    )  # checks that run where the learner's code runs, for none could see from outside
    notes: tuple[str, ...] = ()  # what the instructor should know of it

    @classmethod
    def of(cls, source: Source) -> Assignment:
        """Return the assignment of a notebook of the course."""
        from autograder.authoring.release import learner_copy, release_of

        return cls(source.spec, learner_copy(source), release_of(source), source.notebook)

    @property
    def name(self) -> str:
        """Name of the notebook, such as ``01_mlops_overview``."""
        return self.spec.name

    @property
    def place(self) -> tuple[str, str]:
        """The assignment of nbgrader, and its notebook in there."""
        return self.nbgrader if self.nbgrader[0] else (self.name, self.name)

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


@dataclass(frozen=True)
class Catalogue:
    """The notebooks that can be graded; each is built when it is asked for."""

    names: tuple[str, ...]
    load: Callable[[str], Assignment]
    places: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # nbgrader's assignment and notebook, by name
    elsewhere: frozenset[str] = frozenset()  # nbgrader's assignments that are not in it: their folders are others' work
    notes: tuple[str, ...] = ()  # what the instructor should know of it

    def place(self, name: str) -> tuple[str, str]:
        """Return nbgrader's assignment and notebook of a name."""
        return self.places.get(name, (name, name))

    def resolve(self, words: Iterable[str]) -> list[str]:
        """Return the notebooks that ``words`` name, each once: by name, by number, or by nbgrader's assignment.

        Raises
        ------
        autograder.authoring.format.UnknownNotebookError
            One of them names nothing.
        """
        of_assignment = {word: [name for name in self.names if self.place(name)[0] == word] for word in words}
        named = [name for word, own in of_assignment.items() for name in own or [word]]
        return resolve_names(named, self.names)


def course_catalogue(root: Path) -> Catalogue:
    """Return the notebooks of the course at ``root`` that have a source.

    Loading one raises :class:`autograder.authoring.sources.SourceError` when its source breaks the contract; the
    others can still be graded.
    """
    from autograder.authoring.format import source_path, written
    from autograder.authoring.sources import SourceError, read_source

    names = tuple(written(root))

    def load(name: str) -> Assignment:
        try:
            return Assignment.of(read_source(source_path(root, name)))
        except SourceError as error:
            others = ",".join(other[:2] for other in names if other != name)
            way_out = f"fix each; to take the other notebooks meanwhile, say --only {others}" if others else "fix each"
            raise SourceError(error.violations, next_step=way_out) from error

    return Catalogue(names, load)


def _hints(notebook: NotebookNode) -> dict[str, tuple[str, ...]]:
    import re

    from autograder.authoring.format import EXERCISE_HEADING

    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = list(EXERCISE_HEADING.finditer(text))
    found = {}
    for heading, following in zip_longest(headings, headings[1:]):
        body = text[heading.end() : following.start() if following else len(text)].split("\n## ")[0]
        hints = re.findall(r"<details>\s*<summary>.*?</summary>(.*?)</details>", body, re.S)
        found[heading["number"]] = tuple(hint.strip() for hint in hints)
    return found


def release_ids(release: NotebookNode) -> list[str]:
    """Return an id for each cell of a release: its own, or one made from its number where it has none."""
    return [cell.get("id") or f"cell-{number}" for number, cell in enumerate(release.cells)]
