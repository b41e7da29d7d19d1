"""Carried assignment: a notebook of the course as one JSON file, so that the container needs no sources.

Read back, it is the same value: what it asks, the learner's copy, the release with hidden tests and, unless it was left
out, the reference solution.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autograder.authoring.assignments import Assignment
from autograder.authoring.format import grading
from autograder.grading.gradescope.settings import GradescopeError
from autograder.model import NotebookSpec

__all__ = ["FILE", "carried", "unpacked"]

FILE = "assignment.json"


def carried(assignment: Assignment, *, with_solution: bool) -> str:
    """Return ``assignment`` as text: the same assignment gives the same text."""
    value = {
        "spec": asdict(assignment.spec),
        "learner": assignment.learner,
        "graded": assignment.graded,
        "unseen": sorted(assignment.unseen),
        "source": {"cells": _solutions(assignment)} if with_solution and assignment.source else None,
    }
    return json.dumps(value, indent=1) + "\n"


def _solutions(assignment: Assignment) -> list[dict[str, Any]]:
    """Return the cells of the source with what the grader uses of them: the ids that Jupytext draws are not."""
    cells = assignment.source.cells if assignment.source is not None else []
    return [
        {"cell_type": cell.cell_type, "source": cell.source, "metadata": {"nbgrader": grading(cell)}} for cell in cells
    ]


def unpacked(folder: Path) -> Assignment:
    """Return the assignment that lies in ``folder``.

    Raises
    ------
    GradescopeError
        It is missing or damaged.
    """
    from nbformat import from_dict
    from pydantic import TypeAdapter

    try:
        value = json.loads((folder / FILE).read_text(encoding="utf-8"))
        spec = TypeAdapter(NotebookSpec).validate_python(value["spec"])
        learner, graded, source = (value[part] and from_dict(value[part]) for part in ("learner", "graded", "source"))
        return Assignment(spec, learner, graded, source, unseen=frozenset(value["unseen"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GradescopeError(
            f"The notebook of this autograder cannot be read: {error!s:.300}",
            expected=f"{folder / FILE}, as `python -m autograder gradescope` wrote it",
            next_step="make the zip again, upload it as it is, and rebuild the autograder",
        ) from error
