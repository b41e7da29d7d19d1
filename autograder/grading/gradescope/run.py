"""Gradescope's ``run_autograder``: grade the one submission that Gradescope laid out, and write results.json.

    python -m autograder.grading.gradescope.run /autograder

What Gradescope says of ``/autograder``: ``source`` holds the zip, ``submission`` what was handed in,
``submission_metadata.json`` by whom and when; ``results/results.json`` is ours to write. What is printed is shown to
instructors only. A results file is there from the first moment, so that a grader that is stopped (memory, time) says so
too. Where no sandbox can be had nothing that was handed in is run, unless the zip was made with ``--sandbox none``.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from autograder.authoring.assignments import Assignment
from autograder.grading.collect import Found, SubmissionsError, collect_one
from autograder.grading.command import choose_executor
from autograder.grading.gradescope.carried import unpacked
from autograder.grading.gradescope.metadata import lateness_of
from autograder.grading.gradescope.results import failure, results_of
from autograder.grading.gradescope.settings import GradescopeError, GradescopeSettings
from autograder.grading.options import GradeOptions
from autograder.grading.submission import Graded, Grader
from autograder.reports.files import write_atomically
from autograder.sandbox.errors import SandboxUnavailable
from autograder.text import visible
from course_lib.errors import CourseError

__all__ = ["main", "run"]

_LEARNER = "learner"
_STOPPED = (
    "The grader was stopped before it was done: it ran out of memory or out of time. In the assignment's settings, "
    "under Autograder, give the container more of it, then choose Regrade All Submissions."
)
_NO_SANDBOX = (
    "Nothing that was handed in was run: this container gives no sandbox to run it in, and without one a submission "
    "could read the hidden tests and write its own grade.\n\n{reason}\n\n"
    "What you can do: download the submissions (Manage Submissions, Export Submissions) and grade that zip on your own "
    "machine with `python -m autograder grade`; or, if you trust this class, make the zip again with --sandbox none."
)


def main() -> None:
    """Grade what lies in the folder that the argument names; exit with 1 if the grader could not work."""
    sys.exit(run(Path(sys.argv[1])))


def run(folder: Path) -> int:
    """Grade the submission in ``folder`` and write its results; return 0, or 1 if the grader could not work.

    Parameters
    ----------
    folder
        What is ``/autograder`` on Gradescope.
    """
    place = folder / "results" / "results.json"
    _write(place, failure(_STOPPED))
    try:
        results = _graded(folder)
    except SandboxUnavailable as error:
        return _give_up(place, _NO_SANDBOX.format(reason=error.happened))
    except CourseError as error:
        return _give_up(place, str(error))
    except Exception as error:  # whatever it is, the instructor has to read it, and no learner a grade
        return _give_up(place, f"The grader failed: {type(error).__name__}: {error}")
    _write(place, results)
    return 0


def _give_up(place: Path, reason: str) -> int:
    reason = visible(reason)
    print(reason)
    _write(place, failure(reason))
    return 1


def _graded(folder: Path) -> dict[str, object]:
    source = folder / "source"
    settings = GradescopeSettings.read(source)
    assignment = unpacked(source)
    lateness = lateness_of(folder)
    if lateness.unknown and settings.late == "zero":
        raise GradescopeError(
            f"Whether this is late cannot be told, and late work is to earn nothing: {lateness.unknown}",
            expected="Gradescope's submission_metadata.json with a time of submission",
            next_step="make the zip again without --late, and let Gradescope keep the dates",
        )
    graded = _grade(folder / "submission", assignment, settings)
    if graded.broken:
        raise GradescopeError(graded.result.reason)
    for note in (*graded.found.notes, *filter(None, (lateness.unknown,))):
        print(note)
    return results_of(graded.result, assignment, settings, lateness)


def _grade(submission: Path, assignment: Assignment, settings: GradescopeSettings) -> Graded:
    make_executor, name, warning = choose_executor(settings.sandbox, seed=settings.seed)
    print(f"Graded by: {name}", *filter(None, (warning,)), sep="\n")
    options = GradeOptions(
        sandbox=settings.sandbox, time_limit=settings.time_limit, cell_limit=settings.cell_limit, seed=settings.seed
    )
    with tempfile.TemporaryDirectory(prefix="submission-") as scratch:
        found = _find(submission, assignment.name, Path(scratch))
        grader = Grader({assignment.name: assignment}, make_executor, options, None)
        try:
            return grader(found)
        finally:
            grader.close()


def _find(submission: Path, name: str, scratch: Path) -> Found:
    """Return the notebook among what was handed in, or the reason why there is none."""
    try:
        return collect_one(submission, name, student=_LEARNER, scratch=scratch)
    except SubmissionsError as error:
        if not submission.is_dir():
            raise
        return Found(_LEARNER, name, reason=error.happened)


def _write(place: Path, results: dict[str, object]) -> None:
    write_atomically(place, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
