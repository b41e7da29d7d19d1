"""What a notebook asks and what a submission earned: plain values that every other module passes around."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, cast

from autograder.text import visible

__all__ = ["Check", "CheckResult", "Exercise", "GradebookRow", "Mark", "NotebookSpec", "Refusal", "Result", "Status"]

Kind = Literal["visible", "hidden", "manual"]
Status = Literal["graded", "rejected", "failed"]
_MAX_TEXT = 50_000  # characters of one text, whoever wrote it


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

    def __post_init__(self) -> None:
        """Let no text in that a file or a terminal cannot hold, whoever wrote it."""
        object.__setattr__(self, "message", visible(self.message, _MAX_TEXT))

    @property
    def passed(self) -> bool:
        """Whether every point of the check was earned."""
        return self.points is not None and self.points >= self.check.points

    @property
    def lost(self) -> bool:
        """Whether the check was scored and lost points."""
        return self.points is not None and not self.passed


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

    def __post_init__(self) -> None:
        """Let no text in that a file or a terminal cannot hold, whoever wrote it."""
        object.__setattr__(self, "reason", visible(self.reason, _MAX_TEXT))
        object.__setattr__(self, "repairs", tuple(visible(repair, _MAX_TEXT) for repair in self.repairs))

    @property
    def score(self) -> float:
        """Points earned automatically."""
        return sum(c.points for c in self.checks if c.points is not None)

    @property
    def max_score(self) -> float:
        """Points that could be earned automatically."""
        return sum(c.check.points for c in self.checks if c.check.kind != "manual")

    @property
    def name(self) -> str:
        """The student's name as the submissions say it; ``student`` is the key that folders and tables need."""
        return self.extra.get("name") or self.student

    def first_failure(self) -> CheckResult | None:
        """Return the first check that lost points, which is the first thing to fix."""
        return next((c for c in self.checks if c.lost), None)


@dataclass(frozen=True)
class Mark:
    """What stands in the gradebook for one graded cell of one submission."""

    grade_id: str
    most: float
    automatic: float | None
    given: float | None = None  # by a person; it stands before the automatic score
    extra: float = 0.0  # credit beyond the maximum, given by a person
    waits: bool = False  # for a person to look at it, for the first time or again

    @property
    def points(self) -> float | None:
        """What counts of the score, never more than the maximum; None while there is no score at all."""
        score = self.automatic if self.given is None else self.given
        return None if score is None else min(max(score, 0.0), self.most)

    @property
    def counted(self) -> float:
        """What the cell adds to the total; as in nbgrader, extra credit needs a score to be added to."""
        return 0.0 if self.points is None else self.points + self.extra


@dataclass(frozen=True)
class GradebookRow:
    """One line of the results: a student, a notebook, and what stands in the gradebook."""

    result: Result  # as the machine graded it
    key: str
    lms_id: str
    penalty: float
    total: float  # points in the gradebook, those given by people included, before the penalty
    late_seconds: float
    marks: tuple[Mark, ...] = ()
    comments: dict[str, str] = field(default_factory=dict)  # written by a person, by the cell they are about

    @property
    def final(self) -> float:
        """Points after the penalty: the one number that every table and page shows."""
        return max(0.0, self.total - self.penalty)

    @property
    def most(self) -> float:
        """Points that can be earned, by the machine's checks and with written answers."""
        return sum(check.check.points for check in self.checks)

    @cached_property
    def checks(self) -> tuple[CheckResult, ...]:
        """Every graded cell with the points that count now."""
        known = {check.check.grade_id: check for check in self.result.checks}
        marks = {mark.grade_id: mark for mark in self.marks}
        if not marks:
            return self.result.checks
        order = [grade_id for grade_id in known if grade_id in marks]
        return tuple(_standing(known.get(i), marks[i]) for i in dict.fromkeys([*order, *marks]))

    @cached_property
    def waits(self) -> tuple[str, ...]:
        """The cells that a person has yet to look at."""
        waiting = {mark.grade_id for mark in self.marks if mark.waits}
        return tuple(i for c in self.checks if (i := c.check.grade_id) in waiting or c.points is None)


@dataclass(frozen=True)
class Refusal:
    """A file that was not accepted, and why."""

    path: str
    reason: str

    def __post_init__(self) -> None:
        """Let no text in that a file or a terminal cannot hold, whoever wrote it."""
        object.__setattr__(self, "path", visible(self.path, _MAX_TEXT))
        object.__setattr__(self, "reason", visible(self.reason, _MAX_TEXT))


def _standing(check: CheckResult | None, mark: Mark) -> CheckResult:
    """Return a check with what the gradebook says of it."""
    if check is None:
        asked = re.fullmatch(r"(?:check|hidden)-(\d+)-(\d+)", mark.grade_id)
        exercise, kind = (f"{asked[1]}.{asked[2]}", "hidden") if asked else (mark.grade_id, "manual")
        message = "This was asked after the submission was graded."
        check = CheckResult(Check(mark.grade_id, exercise, cast("Kind", kind), mark.most), None, message)
    message = check.message if mark.given is None else _given(check, mark)
    return CheckResult(replace(check.check, points=mark.most), mark.points, message)


def _given(check: CheckResult, mark: Mark) -> str:
    if check.check.kind == "manual" or (mark.points or 0.0) >= mark.most:
        return "A person gave these points."
    return f"A person gave these points. The check said: {check.message}"


def exercises_of(results: Iterable[CheckResult]) -> list[str]:
    """Return the exercise numbers of ``results`` in order of appearance, each once."""
    return list(dict.fromkeys(r.check.exercise for r in results))
