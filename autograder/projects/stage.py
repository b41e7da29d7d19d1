"""Stages of a grading: what each checks, running one, and grading a project stage by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from autograder.projects.harness import TIMEOUTS, Harness, StageCache, Timeouts
from autograder.projects.model import ProjectReport, Requirement, RequirementResult, Unmet, Untried
from autograder.projects.sandbox import LIMITS, ProjectSandbox, SandboxEnded
from autograder.projects.submission import Project
from autograder.sandbox import Limits

__all__ = ["ProjectKind", "Stage", "grade", "run_stage"]


@dataclass(frozen=True)
class Stage:
    """A part of the grading: what it checks, which files it needs to see, and how.

    Attributes
    ----------
    excluded
        Files and folders that the stage is not given, so that it cannot depend on them.
    """

    name: str
    requirements: tuple[Requirement, ...]
    run: Callable[[Harness], object]
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProjectKind:
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

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The requirements of all stages."""
        return tuple(requirement for stage in self.stages for requirement in stage.requirements)


def run_stage(harness: Harness, stage: Stage) -> None:
    """Run a stage; whatever stops it is the evidence for the requirements that it had not looked at."""
    key = f"{stage.name} {harness.build} {harness.project.digest(stage.excluded)}"
    results = harness.cache.results
    if key not in results:
        harness.excluded = stage.excluded
        why, tried = "the stage ended without looking at it", True
        try:
            stage.run(harness)
        except Unmet as unmet:
            tried = not isinstance(unmet, Untried)
            why = str(unmet) if tried else f"not tried: {unmet}"
        except SandboxEnded as ended:
            why = ended.happened
        except Exception as error:  # what a stranger's service answers must not end the grading
            why = f"the grader could not go on: {type(error).__name__}"
        for requirement in stage.requirements:
            harness.results.setdefault(requirement.id, RequirementResult(requirement.id, False, why, tried=tried))
        results[key] = {r.id: harness.results[r.id] for r in stage.requirements}
    harness.results |= results[key]


def grade(
    project: Project,
    kind: ProjectKind,
    *,
    only: Iterable[str] = (),
    sandbox: str = "auto",
    cache: StageCache | None = None,
    limits: Limits = LIMITS,
    timeouts: Timeouts = TIMEOUTS,
    build: bool = False,
    on_stage: Callable[[str], object] = str,
) -> ProjectReport:
    """Grade a project: run the stages (those named in ``only``, or all) in one sandbox, and return what was found."""
    wanted = tuple(only) or tuple(stage.name for stage in kind.stages)
    seconds: dict[str, float] = {}
    with ProjectSandbox(sandbox=sandbox, limits=limits) as running:
        inputs = kind.inputs(project) if kind.inputs else {}
        harness = Harness(project, running, cache or StageCache(), inputs=inputs, timeouts=timeouts, build=build)
        for stage in kind.stages:
            if stage.name in wanted:
                on_stage(stage.name)
                started = time.monotonic()
                run_stage(harness, stage)
                seconds[stage.name] = time.monotonic() - started
    return ProjectReport(kind.title, project.name, kind.requirements, dict(harness.results), seconds=seconds)
