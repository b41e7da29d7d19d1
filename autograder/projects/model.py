"""Requirements of a project, their results, and the report: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from course_lib.errors import CourseError

__all__ = ["ProjectError", "ProjectReport", "Requirement", "RequirementResult", "Unmet", "Untried"]


class ProjectError(CourseError):
    """A project cannot be graded, or a starting repository cannot be written."""


class Unmet(Exception):
    """The rest of a stage cannot be looked at; the message is the evidence for all its requirements left."""


class Untried(Unmet):
    """The same, because of something that another requirement is about: advice on these would lead astray."""


@dataclass(frozen=True)
class Requirement:
    """One named check: what must hold, what it is worth, and what to do where it doesn't hold."""

    id: str
    title: str
    points: int
    advice: str


@dataclass(frozen=True)
class RequirementResult:
    """Result of one requirement.

    Attributes
    ----------
    evidence
        What was sent and what came back, without anything that differs from one run to the next.
    measured
        The rest: durations, latencies, sizes. It stays out of the report, so that the same project gets the same one.
    tried
        Whether it was looked at; if not, because another requirement is not met, its advice is not shown.
    """

    id: str
    passed: bool
    evidence: str
    measured: str = ""
    tried: bool = True


@dataclass(frozen=True)
class ProjectReport:
    """Report on a graded project."""

    title: str
    project: str
    requirements: tuple[Requirement, ...]
    results: Mapping[str, RequirementResult]
    seconds: Mapping[str, float] = field(default_factory=dict)  # by stage

    @property
    def rows(self) -> list[tuple[Requirement, RequirementResult]]:
        """Each requirement that was looked at, with what it came to."""
        return [(r, self.results[r.id]) for r in self.requirements if r.id in self.results]

    @property
    def points(self) -> int:
        """Points earned."""
        return sum(requirement.points for requirement, result in self.rows if result.passed)

    @property
    def max_points(self) -> int:
        """Points of all requirements that were looked at."""
        return sum(requirement.points for requirement, _ in self.rows)

    @property
    def failed(self) -> tuple[str, ...]:
        """Ids of the requirements that are not met."""
        return tuple(requirement.id for requirement, result in self.rows if not result.passed)
