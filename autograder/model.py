"""What a notebook asks and what a submission earned: plain values that every other module passes around."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Check", "CheckResult", "Exercise", "GradebookRow", "NotebookSpec", "Refusal", "Result", "Status"]

Kind = Literal["visible", "hidden", "manual"]
Status = Literal["graded", "rejected", "failed"]


@dataclass(frozen=True)
class Check:
    """One graded cell of a notebook."""

    grade_id: str
    exercise: str  # "1.2", or "interview" for a manually graded answer
    kind: Kind
    points: float


@dataclass(frozen=True)
class Exercise:
    """One exercise: the cell the learner writes and the cells that grade it."""

    number: str  # "1.2"
    title: str
    solution_id: str  # "ex-1-2"
    checks: tuple[Check, ...]

    @property
    def points(self) -> float:
        """Sum of the points of its checks."""
        return sum(check.points for check in self.checks)


@dataclass(frozen=True)
class NotebookSpec:
    """A notebook as the grader sees it: its name, its exercises in order, and its manually graded cells."""

    name: str  # "01_mlops_overview"
    title: str
    exercises: tuple[Exercise, ...]
    manual: tuple[Check, ...] = ()

    @property
    def points(self) -> float:
        """Points that are graded automatically."""
        return sum(exercise.points for exercise in self.exercises)


@dataclass(frozen=True)
class CheckResult:
    """What one graded cell earned, and why."""

    check: Check
    points: float | None  # None: waits for a person
    message: str  # shown to the learner; never contains test source

    @property
    def passed(self) -> bool:
        """Whether every point of the check was earned."""
        return self.points is not None and self.points >= self.check.points


@dataclass(frozen=True)
class Result:
    """What one submission of one notebook earned. A submission that could not be run still has one."""

    student: str
    notebook: str
    status: Status
    checks: tuple[CheckResult, ...] = ()
    reason: str = ""  # why it was rejected or failed; empty when graded
    repairs: tuple[str, ...] = ()  # made before grading
    seconds: float = 0.0
    peak_mb: float = 0.0
    digest: str = ""  # of the submitted file, to group identical submissions
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """Points earned automatically."""
        return sum(c.points for c in self.checks if c.points is not None)

    @property
    def max_score(self) -> float:
        """Points that could be earned automatically."""
        return sum(c.check.points for c in self.checks if c.check.kind != "manual")

    def first_failure(self) -> CheckResult | None:
        """Return the first check that lost points, which is the first thing to fix."""
        return next((c for c in self.checks if c.points is not None and not c.passed), None)


@dataclass(frozen=True)
class GradebookRow:
    """One line of the results: a student, a notebook, and what stands in the gradebook."""

    result: Result
    key: str
    lms_id: str
    penalty: float
    total: float  # points in the gradebook, those given by people included, before the penalty
    late_seconds: float


@dataclass(frozen=True)
class Refusal:
    """A file that was not accepted, and why."""

    path: str
    reason: str


def exercises_of(results: Iterable[CheckResult]) -> list[str]:
    """Return the exercise numbers of ``results`` in order of appearance, each once."""
    return list(dict.fromkeys(r.check.exercise for r in results))
