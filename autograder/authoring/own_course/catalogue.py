"""Catalogue of an own course: each notebook as an assignment that can be graded, built when it is asked for."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from autograder.authoring.assignments import Assignment, Catalogue
from autograder.authoring.own_course.folder import SourceFile, SourceFolder, locate
from autograder.authoring.own_course.helpers import helpers_beside, helpers_folder, staged
from autograder.authoring.own_course.notebook import read_notebook
from autograder.authoring.own_course.spec import any_spec
from autograder.authoring.own_course.steps import Steps

__all__ = ["own_catalogue"]


def own_catalogue(given: Path, *, kept: Path | None = None, apart: Iterable[Path] = ()) -> Catalogue:
    """Return the notebooks of the own course at ``given``, a file or a folder.

    Parameters
    ----------
    given
        What `autograder.authoring.own_course.folder.locate` understands.
    kept
        A folder for what is made of the course: tests from solutions, and helper files.
    apart
        Files and folders that are no helper files, such as what was handed in.

    Raises
    ------
    SourceError
        There is no notebook that can be graded. Loading one raises it when that notebook is wrong.
    """
    course = _OwnCourse(locate(given), kept, tuple(apart))
    return Catalogue(
        tuple(course.files),
        course.load,
        {name: (file.assignment, file.notebook) for name, file in course.files.items()},
        course.folder.elsewhere,
        course.folder.notes,
    )


@dataclass(frozen=True)
class _OwnCourse:
    folder: SourceFolder
    kept: Path | None
    apart: tuple[Path, ...]
    loaded: dict[str, Assignment] = field(default_factory=dict)

    @cached_property
    def files(self) -> dict[str, SourceFile]:
        return {file.name: file for file in self.folder.files}

    @cached_property
    def steps(self) -> Steps:
        return Steps(self.folder.root, self.kept / "autotests" if self.kept else None)

    def load(self, name: str) -> Assignment:
        if name not in self.loaded:
            self.loaded[name] = self._build(self.files[name])
        return self.loaded[name]

    def _build(self, file: SourceFile) -> Assignment:
        own = read_notebook(file.path)
        notes = [*own.notes, *self.steps.notes]
        if own.is_release:
            source, learner, graded = None, own.cells, own.cells
            notes.append(
                f"{file.path.name} is a release: no reference solution could be tried with its checks, and it has no "
                "hidden tests."
            )
        else:
            source = self.steps.with_tests(own.cells, file.path)
            learner, graded = self.steps.release(source, file.path)
        helpers = helpers_beside(file.path, self.apart)
        if helpers:
            notes.append(f"Taken along beside {file.path.name}, read-only: {_some(sorted(helpers))}.")
        return Assignment(
            any_spec(graded, file.name),
            copy.deepcopy(learner),
            copy.deepcopy(graded),
            source,
            nbgrader=(file.assignment, file.notebook),
            helpers=staged(helpers, helpers_folder(self.kept)) if self.kept else "",
            beside=tuple(sorted(helpers)),
            notes=tuple(notes),
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
