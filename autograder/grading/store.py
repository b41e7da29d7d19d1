"""What was graded, kept beside the gradebook, so that feedback and tables can be made again without running anything.

One small file for each submission: its result and where it came from. It holds messages, and no test source.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from autograder.authoring.assignments import Assignment, Catalogue
from autograder.grading.gradebook import open_gradebook
from autograder.model import Check, CheckResult, GradebookRow, Result
from autograder.reports.feedback import write_feedback
from autograder.reports.files import write_atomically
from autograder.reports.tables import write_exports
from course_lib.errors import CourseError

__all__ = ["ResultsError", "export", "feedback", "keep", "read_rows"]


class ResultsError(CourseError):
    """There is nothing to make feedback or tables from."""


def keep(row: GradebookRow, folder: Path) -> None:
    """Write down what one submission gave, whole or not at all."""
    write_atomically(_place(folder, row.result), json.dumps(asdict(row), ensure_ascii=False))


def read_rows(folder: Path) -> list[GradebookRow]:
    """Return the rows of every submission graded into ``folder``, by student and notebook.

    Raises
    ------
    ResultsError
        Nothing was graded into it, or a file is damaged.
    """
    paths = sorted(folder.glob("results/*/*.json"))
    if not paths:
        raise ResultsError(
            f"Nothing has been graded into {folder}.",
            expected="the folder that was given to grade as --out",
            next_step="run `python -m autograder grade` first, or check the path",
        )
    return [_row(path) for path in paths]


def feedback(folder: Path, catalogue: Catalogue) -> int:
    """Write the feedback of every submission again; return how many."""
    known: dict[str, Assignment] = {}
    rows = read_rows(folder)
    for row in rows:
        name, student = row.result.notebook, row.result.student
        assignment = known.setdefault(name, known.get(name) or catalogue.load(name))
        write_feedback(row.result, assignment, folder / "feedback" / student, penalty=row.penalty)
    return len(rows)


def export(folder: Path, catalogue: Catalogue) -> int:
    """Write all tables again, with the points that people have given since; return the number of rows."""
    rows = read_rows(folder)
    assignments = [catalogue.load(name) for name in dict.fromkeys(row.result.notebook for row in rows)]
    with open_gradebook(folder) as grades:
        rows = [replace(row, total=grades.total(row.result)) for row in rows]
    write_exports(rows, assignments, folder)
    return len(rows)


def _place(folder: Path, result: Result) -> Path:
    return folder / "results" / result.student / f"{result.notebook}.json"


def _row(path: Path) -> GradebookRow:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        result = values.pop("result")
        checks = tuple(CheckResult(Check(**c["check"]), c["points"], c["message"]) for c in result.pop("checks"))
        result["repairs"] = tuple(result["repairs"])
        return GradebookRow(Result(**result, checks=checks), **values)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ResultsError(
            f"{path} is damaged: {error}",
            expected="what grade wrote there",
            next_step="grade the class again: what is known is taken from the cache",
        ) from error
