"""Options of ``grade``: made once by the command line, checked, and passed down as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from course_lib.errors import CourseError

__all__ = ["GradeOptions", "GradingError"]


class GradingError(CourseError):
    """The command was given something it cannot work with."""


@dataclass(frozen=True, kw_only=True)
class GradeOptions:
    """How a class is graded; the limits are in seconds."""

    workers: int = 0  # processes at a time; 0: one for each processor
    executor: str = "local"  # what spreads the work: "local" (processes of this machine) or "ray"
    address: str = ""  # of a Ray cluster's head; empty: a cluster of this machine
    sandbox: str = "auto"  # the best this machine has; "bwrap", "native"; or "none": submissions can do what you can
    force: bool = False  # run every notebook again, also those whose results are known
    time_limit: float = 300.0  # for one notebook
    cell_limit: float = 60.0  # for each of its cells
    only: tuple[str, ...] = ()  # grade these notebooks; empty: those that were handed in
    roster: Path | None = None  # a text file of students, or a CSV file with a column "student": each gets a row
    due: Mapping[str, str] = field(default_factory=dict)  # due dates by notebook
    extensions: Mapping[str, str] = field(default_factory=dict)  # by STUDENT or NOTEBOOK/STUDENT
    add: bool = False  # who was graded before and is not here now stays in the class
    seed: str = ""  # the secret that tests draw from; empty: the one of the last run, or a new one
    source: Path | None = None  # an own course, in place of this one
    unseen: str = ""  # checks that cannot be judged from outside: "refuse" them, or where the "learner"'s code runs
    helpers: tuple[str, ...] = ()  # patterns of files beside a notebook that are taken along with it
    late: str = ""  # nbgrader's penalty for lateness, "none" or "zero"; empty: what nbgrader_config.py says

    def __post_init__(self) -> None:
        for flag, seconds in (("--time-limit", self.time_limit), ("--cell-limit", self.cell_limit)):
            if not seconds > 0:
                message = f"{flag} is {seconds:g}."
                raise GradingError(message, expected="seconds above 0", next_step="give another number")
        if self.workers < 0:
            raise GradingError(f"--workers is {self.workers}.", expected="1 or more", next_step="leave it out")
        choices = {
            "--executor": (self.executor, ("local", "ray")),
            "--sandbox": (self.sandbox, ("auto", "bwrap", "native", "none")),
            "--late": (self.late, ("", "none", "zero")),
            "--unseen": (self.unseen, ("", "refuse", "learner")),
        }
        for flag, (value, known) in choices.items():
            if value not in known:
                wanted = ", ".join(word for word in known if word)
                raise GradingError(f"{flag} is {value!r}.", expected=f"one of {wanted}", next_step="choose one of them")
