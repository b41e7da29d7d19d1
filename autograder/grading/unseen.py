"""Checks that nobody can judge from outside of the learner's process: found before a class is graded.

Behind the judge a check sees values of the learner's, not the learner's names. One that deletes a name, patches a
function or reads a source cannot work there; it would blame the learner, or let everybody pass. Such a check is found
by looking at its source, and by the reference solution: it passes the check in one process and not behind the judge.
The instructor then chooses between not grading, and judging these checks where the learner's code runs.
"""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from autograder.authoring.assignments import Assignment, grade_id_of
from autograder.authoring.format import grading
from autograder.authoring.own_course.look import unseen_by_look
from autograder.grading.options import GradeOptions, GradingError
from autograder.grading.reference import write_references
from autograder.grading.submission import Grader
from autograder.model import CheckResult
from autograder.runners.executor import Executor
from autograder.sandbox.names import names_bound

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["settled"]


def settled(
    assignments: Mapping[str, Assignment], make_executor: Callable[[], Executor], options: GradeOptions, cache: Path
) -> tuple[dict[str, Assignment], list[str]]:
    """Return the assignments of an own course with the checks marked that run in the learner's process, and why.

    Those of this course are returned as they are: each of their checks has been proven to work behind the judge.

    Parameters
    ----------
    assignments
        What is going to be graded.
    make_executor, options, cache
        What will grade, so that it needs to run no reference again.

    Raises
    ------
    GradingError
        There are such checks, and the instructor did not choose to have them judged all the same.
    """
    if options.source is None:
        return dict(assignments), []
    found: dict[str, dict[str, str]] = {}
    with contextlib.closing(make_executor()) as executor:
        for name, assignment in assignments.items():
            unseen = unseen_by_look(assignment.graded, assignment.source)
            if assignment.source is not None:
                unseen = _Trial(assignment, executor, options, cache).unseen(unseen)
            if unseen:
                found[name] = unseen
    if found and options.unseen != "learner":
        raise _refusal(found)
    marked = {name: replace(a, unseen=frozenset(found.get(name, {}))) for name, a in assignments.items()}
    return marked, [
        f"{name}, {check}: this check ran where the learner's code ran, so it can be fooled ({why})."
        for name, unseen in found.items()
        for check, why in unseen.items()
    ]


@dataclass(frozen=True)
class _Trial:
    """The reference solution of one assignment, tried in several ways."""

    assignment: Assignment
    executor: Executor
    options: GradeOptions
    cache: Path

    def unseen(self, known: Mapping[str, str]) -> dict[str, str]:
        """Return the checks that the reference passes in one process, and not behind the judge, with the reasons.

        Those ``known`` are among them. One that needs what another check has defined takes that one along, so this is
        repeated. What the reference passes in no way is not among them: that is said elsewhere.
        """
        found = dict(known)
        together: frozenset[str] | None = None
        while lost := self._lost(frozenset(found)):
            if together is None:
                every = frozenset(c.grade_id for c in self.assignment.checks if c.kind != "manual")
                together = every - self._lost(every).keys()
            new = {
                check: f"the reference passes it in one process only; behind the judge: {result.message}"
                for check, result in lost.items()
                if check in together and check not in found
            }
            for check in lost.keys() & found.keys() & together:
                new |= {other: f"{check} needs what it defines" for other in self._needed(check) if other not in found}
            if not new:
                break
            found |= new
        return found

    def _needed(self, check: str) -> list[str]:
        """Return the checks before ``check`` that bind a name in it."""
        tests = {grade_id_of(cell): cell.source for cell in self.assignment.graded.cells if _is_test(cell)}
        before = list(tests)[: list(tests).index(check)]
        return [other for other in before if set(names_bound(tests[other])) & set(re.findall(r"\w+", tests[check]))]

    def _lost(self, unseen: frozenset[str]) -> dict[str, CheckResult]:
        """Return the checks that the reference loses points at when ``unseen`` run in the learner's process."""
        graded = copy.deepcopy(self.assignment.graded)  # an executor knows an assignment by it
        assignment = replace(self.assignment, unseen=unseen, graded=graded)
        grader = Grader({assignment.name: assignment}, lambda: self.executor, self.options, self.cache)
        with TemporaryDirectory(prefix="reference-") as folder:
            (reference,) = write_references({assignment.name: assignment}, Path(folder))
            done = grader(reference)
        if done.broken or done.result.status == "rejected":
            return {}
        return {c.check.grade_id: c for c in done.result.checks if c.lost and c.check.kind != "manual"}


def _is_test(cell: NotebookNode) -> bool:
    meta = grading(cell)
    return cell.cell_type == "code" and bool(meta.get("grade")) and not meta.get("solution")


def _refusal(found: Mapping[str, Mapping[str, str]]) -> GradingError:
    checks = [f"{name}, {check}: {why}" for name, unseen in found.items() for check, why in unseen.items()]
    return GradingError(
        f"{len(checks)} of the checks cannot be judged from outside of the learner's process:\n  - "
        + "\n  - ".join(checks),
        expected="checks that call what the learner wrote with plain data, and look at what comes back",
        next_step="rewrite them; or add --unseen learner: then these checks, their hidden tests too, run where the "
        "learner's code runs, and can be read and fooled by it",
    )
