"""References from an answer to its proof in code: an exercise of a notebook, or a check of a practice project."""

from __future__ import annotations

import re
from dataclasses import dataclass

from course_lib.errors import CourseError

__all__ = ["PROJECTS", "Proof", "resolve"]

PROJECTS = {
    "model-api": "the project Model API",
    "llm-serving": "the project LLM serving",
    "monitoring": "the project Monitoring pipeline",
}


@dataclass(frozen=True)
class Proof:
    """One place that proves an answer.

    Attributes
    ----------
    id
        As the bank writes it, and, for an exercise, as the notebook's cell is called: ``"ex-6-2"``.
    label
        For people: ``"exercise 6.2"``.
    notebook
        The number of the notebook that holds the exercise, or ``""`` for a project.
    command
        What runs it in a terminal.
    """

    id: str
    label: str
    notebook: str
    command: str


def resolve(name: str) -> Proof:
    """Return the place that `name` stands for.

    >>> resolve("ex-6-2").label, resolve("project-monitoring").notebook
    ('exercise 6.2', '')
    """
    if exercise := re.fullmatch(r"ex-([1-9]\d?)-([1-9]\d?)", name):
        number, notebook = f"{exercise[1]}.{exercise[2]}", exercise[1].zfill(2)
        return Proof(name, f"exercise {number}", notebook, f"python -m autograder check {notebook}")
    project = name.removeprefix("project-")
    if name.startswith("project-") and project in PROJECTS:
        return Proof(name, PROJECTS[project], "", f"python -m course_lib.projects start {project} FOLDER")
    raise CourseError(
        f"{name!r} is no place that can prove an answer.",
        expected="an exercise such as ex-6-2, or " + ", ".join(f"project-{known}" for known in PROJECTS),
    )
