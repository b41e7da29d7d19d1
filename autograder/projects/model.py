"""What a project must do, and what was found: plain values, without the machinery that finds it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from course_lib.errors import CourseError

if TYPE_CHECKING:
    from autograder.projects.harness import Bench
    from autograder.projects.submission import Project

__all__ = ["Finding", "Kind", "ProjectError", "Report", "Requirement", "Stage", "Unmet", "Untried"]


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
class Finding:
    """What a requirement came to.

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
class Stage:
    """A part of the grading: what it checks, which files it needs to see, and how.

    Attributes
    ----------
    blind
        Files and folders that the stage is not given, so that it cannot depend on them.
    """

    name: str
    requirements: tuple[Requirement, ...]
    run: Callable[[Bench], None]
    blind: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """One of the practice projects.

    Attributes
    ----------
    settings
        What its table in ``pyproject.toml`` must name, and what each value is.
    stages
        In their order.
    inputs
        Gives files that the grader brings; ``{data}`` in a command is the place of ``data.csv``.
    """

    name: str
    title: str
    settings: Mapping[str, str]
    stages: tuple[Stage, ...]
    inputs: Callable[[Project], Mapping[str, bytes]] | None = None

    def requirements(self) -> Iterator[Requirement]:
        """Yield the requirements of all stages."""
        for stage in self.stages:
            yield from stage.requirements


@dataclass(frozen=True)
class Report:
    """A graded project."""

    kind: Kind
    project: str
    findings: Mapping[str, Finding]
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)  # by stage

    @property
    def rows(self) -> list[tuple[Requirement, Finding]]:
        """Each requirement that was looked at, with what it came to."""
        return [(r, self.findings[r.id]) for r in self.kind.requirements() if r.id in self.findings]

    @property
    def points(self) -> int:
        """Points earned."""
        return sum(requirement.points for requirement, finding in self.rows if finding.passed)

    @property
    def most(self) -> int:
        """Points of all requirements that were looked at."""
        return sum(requirement.points for requirement, _ in self.rows)

    @property
    def failed(self) -> tuple[str, ...]:
        """Ids of the requirements that are not met."""
        return tuple(requirement.id for requirement, finding in self.rows if not finding.passed)
