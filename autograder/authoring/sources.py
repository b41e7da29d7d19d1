"""Notebook sources: `solutions/NN_name.py` in, a notebook and its `NotebookSpec` out.

A source is a Jupytext ``py:percent`` file with nbgrader metadata. It is the only place where a notebook is edited, so
it is read strictly: every breach of the contract (see `autograder.authoring.rules`) is collected and reported at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.authoring.format import Violation, spec_of
from autograder.authoring.rules import breaches, unwritten
from autograder.model import NotebookSpec
from course_lib.errors import CourseError

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Source", "SourceError", "read_source"]


class SourceError(CourseError):
    """A notebook source breaks the contract; `violations` lists every breach found, not only the first."""

    def __init__(self, violations: Sequence[Violation], *, next_step: str = "fix each and build again") -> None:
        self.violations = tuple(violations)
        count = len(self.violations)
        problems = "\n".join(f"  - {violation}" for violation in self.violations)
        noun = "problem" if count == 1 else "problems"
        super().__init__(f"{count} {noun} in the notebook sources:\n{problems}", next_step=next_step)


@dataclass(frozen=True)
class Source:
    """A source that keeps the contract: its file, the notebook it stands for, and what that notebook asks.

    One with ``unwritten`` lines is a draft: it can be built, run and graded, and is not handed out.
    """

    path: Path
    notebook: NotebookNode
    spec: NotebookSpec
    unwritten: tuple[Violation, ...] = ()

    @property
    def name(self) -> str:
        """Name of the notebook, such as ``01_mlops_overview``."""
        return self.spec.name

    @property
    def draft(self) -> str:
        """Why this is a draft; empty if it is none."""
        count = len(self.unwritten)
        lines = f"{count} lines are" if count > 1 else "a line is"
        return f"a draft: {lines} still to be written, the first in {self.unwritten[0].cell}" if count else ""


def read_source(path: Path, *, answers: Path | None = None) -> Source:
    """Read and validate the source at ``path``.

    Parameters
    ----------
    path
        The ``NN_name.py`` file.
    answers
        Folder with the answers of this notebook; the default is ``answers/NN_name`` beside the source.

    Raises
    ------
    SourceError
        The file cannot be read or breaks the contract. Every breach is listed.
    """
    notebook = _parse(path)
    spec = spec_of(notebook, path.stem)
    found = list(breaches(path, notebook, spec, answers or path.parent / "answers" / path.stem))
    if found:
        raise SourceError(found)
    return Source(path, notebook, spec, tuple(unwritten(path)))


def _parse(path: Path) -> NotebookNode:
    import jupytext

    try:
        notebook: NotebookNode = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
        return notebook
    except FileNotFoundError:
        problem, fix = "there is no such file", "write it, or check the name of the notebook"
    except Exception as error:  # jupytext and nbformat raise many types for a malformed header or cell marker
        problem, fix = f"it cannot be read as a Jupytext py:percent file ({error})", "fix its header and cell markers"
    raise SourceError([Violation(path.name, "whole file", problem.splitlines()[0], fix)])
