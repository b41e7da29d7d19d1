"""What running the course says: plain values for the report, as JSON and as a page."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CourseReport", "EngineReport", "ExerciseReport", "NotebookReport"]


@dataclass(frozen=True)
class ExerciseReport:
    """One exercise, and how many answers prove its checks."""

    number: str
    title: str
    points: float
    misconceptions: int  # wrong answers on file
    alternatives: int  # right answers on file, written otherwise than the reference


@dataclass(frozen=True)
class EngineReport:
    """A real engine, and whether this machine has it."""

    key: str
    name: str
    version: str  # empty: not found
    without: str  # what happens where it is missing


@dataclass(frozen=True)
class NotebookReport:
    """What running one notebook gave."""

    name: str
    title: str
    status: str  # "passed", "failed" or "not written"
    budget: float
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0  # of the reference, on the clock
    cpu_seconds: float = 0.0  # of the reference, on the processors
    peak_mb: float = 0.0
    points: float = 0.0  # of the reference
    max_points: float = 0.0
    learner_points: float = 0.0  # of the untouched learner copy
    learner_seconds: float = 0.0
    cells: int = 0
    exercises: tuple[ExerciseReport, ...] = ()
    engines: tuple[str, ...] = ()  # keys of the engines it uses
    slowest: tuple[tuple[str, float], ...] = ()
    executed: str = ""  # the executed notebook as a page, relative to build/
    since: str = ""  # when it was run, if that was in an earlier run of this command


@dataclass(frozen=True)
class CourseReport:
    """All notebooks, and the machine they ran on."""

    made: str  # date and time
    seconds: float
    python: str
    machine: str
    notebooks: tuple[NotebookReport, ...]
    engines: tuple[EngineReport, ...]

    @property
    def passed(self) -> bool:
        """Whether no notebook failed; a notebook that is not written yet fails no one."""
        return all(notebook.status != "failed" for notebook in self.notebooks)
