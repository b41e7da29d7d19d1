"""What the welcome page shows, as plain values: the notebooks, what was passed in each, and what comes next."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from autograder.authoring.course_list import Listed, read_list
from autograder.authoring.format import course_root, spec_of
from autograder.grading.notebook.read import Rejected, read_submission
from autograder.model import NotebookSpec
from course_lib import progress
from course_lib.errors import CourseError

__all__ = ["ExerciseState", "NextStep", "NotebookState", "next_step", "notebook_states", "notebooks_below"]

_NOTEBOOKS = "[0-9][0-9]_*.ipynb"


@dataclass(frozen=True)
class ExerciseState:
    """One exercise, and what its visible check said last."""

    number: str
    title: str
    points: float  # of the visible check
    status: progress.Status
    at: float | None  # seconds since 1970; None: never checked


@dataclass(frozen=True)
class NotebookState:
    """One notebook of the course and how far the learner is.

    Attributes
    ----------
    path
        Its file, relative to the folder with the notebooks; empty where there is no such file, or it cannot be read.
    problem
        Why there is no ``path``.
    minutes
        The time it takes, as its first cell says; 0 where it does not.
    hidden
        Points of the tests that run when it is graded.
    worked
        When it was last worked on, in seconds since 1970; ``None``: not yet.
    spent
        Seconds of work on it so far, as :func:`course_lib.progress.spent` counts them.
    """

    number: int
    title: str
    path: str
    problem: str
    minutes: int
    exercises: tuple[ExerciseState, ...]
    hidden: float
    passed: int
    earned: float
    points: float
    worked: float | None
    spent: float = 0.0


@dataclass(frozen=True)
class NextStep:
    """The next thing to do, in words, and the notebook to do it in (its path; empty: none)."""

    text: str
    path: str


def notebook_states(
    folder: Path, outcomes: Mapping[str, progress.Outcome], spent: Mapping[int, float] = MappingProxyType({})
) -> list[NotebookState]:
    """Return the notebooks of the course in order.

    Parameters
    ----------
    folder
        Where the learner's notebooks are.
    outcomes
        The last outcome of each exercise.
    spent
        Seconds of work on each notebook, by its number.
    """
    return [replace(_state(folder, one, outcomes), spent=spent.get(int(one.name[:2]), 0.0)) for one in _listed(folder)]


def _listed(folder: Path) -> Sequence[Listed]:
    """Return the course's list; where there is none that can be read, the notebooks that lie in ``folder``."""
    with suppress(CourseError):  # a learner gets the page all the same, and `make check` says what is wrong
        if found := read_list(course_root(folder)):
            return found
    return [Listed.by_name(path.stem) for path in sorted(folder.glob(_NOTEBOOKS))]


def next_step(states: Sequence[NotebookState]) -> NextStep:
    """Return what to do next: the first open exercise of the notebook worked on last, else of the next one."""
    written = [state for state in states if state.path and state.exercises]
    if not written:
        return NextStep("There is no notebook here yet: run `make build` in the course's folder.", "")
    latest = max(written, key=lambda state: state.worked or 0.0)
    start = written.index(latest) if latest.worked else 0
    for state in [*written[start:], *written[:start]]:
        for exercise in state.exercises:
            if exercise.status != "passed":
                return NextStep(_words(state, exercise), state.path)
    return NextStep("Every visible check passes. Hand your notebooks in: hidden tests ask the same of other data.", "")


def _words(state: NotebookState, exercise: ExerciseState) -> str:
    name = f"exercise {exercise.number}, {exercise.title}"
    if state.worked is None:
        return f"Start notebook {state.number}, {state.title}"
    return f"{'Fix' if exercise.status == 'failed' else 'Go on with'} {name}"


def _state(folder: Path, one: Listed, outcomes: Mapping[str, progress.Outcome]) -> NotebookState:
    path = folder / f"{one.name}.ipynb"
    spec, minutes, problem = _read(path) if path.is_file() else (None, 0, "This notebook is not here.")
    spec = spec or NotebookSpec(one.name, one.title, ())
    exercises = tuple(_exercises(spec, outcomes))
    return NotebookState(
        number=int(one.name[:2]),
        title=spec.title,
        path="" if problem else path.name,
        problem=problem,
        minutes=minutes,
        exercises=exercises,
        hidden=spec.points - sum(exercise.points for exercise in exercises),
        passed=sum(exercise.status == "passed" for exercise in exercises),
        earned=sum(exercise.points for exercise in exercises if exercise.status == "passed"),
        points=sum(exercise.points for exercise in exercises),
        worked=max((exercise.at for exercise in exercises if exercise.at is not None), default=None),
    )


def _read(path: Path) -> tuple[NotebookSpec | None, int, str]:
    """Return what a notebook asks, the minutes it takes, and why it cannot be read."""
    read = read_submission(path)
    if isinstance(read, Rejected):
        return None, 0, "This file cannot be read. In JupyterLab, try File > Revert Notebook to Checkpoint."
    head = next((cell.source for cell in read.notebook.cells if cell.cell_type == "markdown"), "")
    minutes = re.search(r"(\d+) min", head)
    return spec_of(read.notebook, path.stem), int(minutes[1]) if minutes else 0, ""


def _exercises(spec: NotebookSpec, outcomes: Mapping[str, progress.Outcome]) -> list[ExerciseState]:
    states = []
    for exercise in spec.exercises:
        visible = sum(check.points for check in exercise.checks if check.kind == "visible")
        last = outcomes.get(exercise.number)
        status: progress.Status = last.status if last else "open"
        states.append(ExerciseState(exercise.number, exercise.title, visible, status, last.at if last else None))
    return states


def notebooks_below(root: Path) -> Path | None:
    """Return the folder with the course's notebooks in the folder that JupyterLab shows; ``None`` if there is none."""
    return next((folder for folder in (root / "notebooks", root) if any(folder.glob(_NOTEBOOKS))), None)
