"""results.json: what Gradescope shows of one graded notebook (its Autograder Specifications, "Output format").

Every text goes out as plain text: messages quote what a learner wrote, and the default of the top one renders HTML.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autograder.authoring.assignments import Assignment
from autograder.grading.gradescope.metadata import Lateness
from autograder.grading.gradescope.settings import GradescopeSettings
from autograder.model import CheckResult, Result
from autograder.text import shortened

__all__ = ["failure", "results_of"]

_FORMATS = {"output_format": "text", "test_output_format": "text", "test_name_format": "text"}
_MOST = 10_000  # characters of one output
_NOT_YOU = (
    "Your work was not graded: the autograder could not run. This is not your fault, and it is not a grade. "
    "Your instructor sees the reason and can have everything graded again; you need not hand in again."
)


def results_of(
    result: Result, assignment: Assignment, settings: GradescopeSettings, lateness: Lateness
) -> dict[str, Any]:
    """Return the content of results.json for a submission that was graded, rejected or stopped."""
    counts = 0.0 if settings.late == "zero" and lateness.seconds else result.score
    return {
        "score": round(counts, 4),
        "execution_time": round(result.seconds),
        "output": shortened("\n".join(_notes(result, settings, lateness)), _MOST),
        **_FORMATS,
        "stdout_visibility": "hidden",
        "tests": [_test(check, assignment, settings) for check in result.checks],
        "extra_data": {
            "notebook": result.notebook,
            "status": result.status,
            "file_sha256": result.digest,
            "late_seconds": lateness.seconds,
        },
    }


def failure(reason: str) -> dict[str, Any]:
    """Return the content of results.json where the grader itself could not work; nothing was judged.

    The reason stands in a hidden test: instructors see it, and a score of 0 that is none is not shown to learners
    ("If test cases are hidden, students will not be able to see their total score").
    """
    return {
        "score": 0,
        "output": _NOT_YOU,
        **_FORMATS,
        "stdout_visibility": "hidden",
        "tests": [
            {"name": "Not graded", "status": "failed", "output": _NOT_YOU, "visibility": "visible"},
            {
                "name": "For the instructor: why nothing was graded",
                "status": "failed",
                "output": shortened(reason, _MOST),
                "visibility": "hidden",
            },
        ],
        "extra_data": {"status": "not graded"},
    }


def _test(check: CheckResult, assignment: Assignment, settings: GradescopeSettings) -> dict[str, Any]:
    asked = check.check
    titles = {exercise.number: exercise.title for exercise in assignment.spec.exercises}
    shown = {"output": shortened(check.message, _MOST), "visibility": "visible"}
    if asked.kind == "manual":  # graded on Gradescope by a person: no score of ours
        return {"name": f"Answer {asked.grade_id}", "status": "failed" if check.lost else "passed", **shown}
    title = titles.get(asked.exercise) or asked.exercise
    hidden = asked.kind == "hidden"
    return {
        "number": asked.exercise,
        "name": f"{title}: hidden tests" if hidden else title,
        "score": round(check.points or 0.0, 4),
        "max_score": asked.points,
        **shown,
        "visibility": settings.hidden if hidden else "visible",
    }


def _notes(result: Result, settings: GradescopeSettings, lateness: Lateness) -> Iterator[str]:
    if result.status == "rejected":
        yield f"This notebook could not be graded. {result.reason}"
    elif result.status == "failed":
        yield f"This notebook could not be run to its end. {result.reason}"
    if lateness.seconds:
        yield lateness.text + (" Late work earns no points." if settings.late == "zero" else "")
    if any(check.points is None for check in result.checks):
        yield "Written answers are read by a person; their points come on top."
    if result.repairs:
        yield "\n".join(["Set right before grading:", *(f"- {repair}" for repair in result.repairs)])
