"""The format of notebook sources: names, grade ids and headings, and where the files are.

What a notebook asks is read from its headings and its nbgrader metadata alone (:func:`spec_of`), so a source, a learner
copy and a release are read the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.authoring.course_list import FILE, read_list
from autograder.model import Check, Exercise, Kind, NotebookSpec
from course_lib.errors import CourseError

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = [
    "EXERCISE_HEADING",
    "GRADE_ID",
    "TEXT_STUB",
    "TITLE",
    "UnknownNotebookError",
    "Violation",
    "answers_path",
    "course_root",
    "exercise_of",
    "grading",
    "kind_of",
    "resolve_names",
    "source_path",
    "spec_of",
    "written",
]

GRADE_ID = re.compile(r"(?P<kind>ex|check|hidden)-(?P<exercise>\d+-\d+)(?:-[a-z0-9]+)?|interview-\d+")
EXERCISE_HEADING = re.compile(
    r"^### Exercise (?P<number>\d+\.\d+) · (?P<title>.+?) \((?P<points>\d+(?:\.\d+)?) points?\)\s*$", re.M
)
TEXT_STUB = "*Write your answer here.*"  # what a learner's copy holds in place of a written answer
TITLE = re.compile(r"^# (?P<number>\d+) · (?P<title>.+?)\s*$", re.M)


@dataclass(frozen=True)
class Violation:
    """One breach of the source contract: where it is, what is wrong, and how to fix it, unless that is plain."""

    file: str
    cell: str
    problem: str
    fix: str

    def __str__(self) -> str:
        fix = f"\n    Fix: {self.fix}" if self.fix else ""
        return f"{self.file}, {self.cell}: {self.problem}{fix}"


class UnknownNotebookError(CourseError):
    """A notebook was asked for by a name or number that the course does not have."""


def course_root(start: Path | None = None) -> Path:
    """Return the folder of the course: the nearest at or above ``start`` (default: here) with a list or `solutions/`.

    Without any, it is the folder that holds this package, so the commands also work from outside the checkout.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        found = (folder / FILE).is_file() or (folder / "solutions").is_dir()
        if found and (folder / "pyproject.toml").is_file():
            return folder
    return Path(__file__).resolve().parents[2]


def source_path(root: Path, name: str) -> Path:
    """Return where the source of notebook ``name`` is, or will be."""
    return root / "solutions" / f"{name}.py"


def answers_path(root: Path, name: str, number: str) -> Path:
    """Return the file with the wrong and the alternative right answers of exercise ``number`` (``"1.2"``)."""
    return root / "solutions" / "answers" / name / f"ex_{number.replace('.', '_')}.py"


def written(root: Path) -> list[str]:
    """Return the names of the listed notebooks that have a source, in course order."""
    return [one.name for one in read_list(root) if source_path(root, one.name).is_file()]


def resolve_names(wanted: Iterable[str], known: Sequence[str]) -> list[str]:
    """Turn ``["1", "02", "05_docker"]`` into full names of ``known``, in their order and each once.

    Raises
    ------
    UnknownNotebookError
        A name or number fits no notebook.
    """
    chosen = set()
    for word in wanted:
        stem = word if word in known else Path(word).stem
        matches = [name for name in known if stem == name or (stem.isdigit() and _number_of(name) == int(stem))]
        if not matches:
            raise UnknownNotebookError(
                f"There is no notebook called {word!r}.",
                expected=f"a number such as 1 or 02, or one of {', '.join(known)}"
                if known
                else "a course with notebooks",
                next_step="name one of these" if known else f"run the command in the folder with {FILE}",
            )
        chosen.update(matches)
    return [name for name in known if name in chosen]


def _number_of(name: str) -> int:
    digits = re.match(r"\d{1,9}", name)
    return int(digits[0]) if digits else -1


def grading(cell: NotebookNode) -> dict[str, Any]:
    """Return the nbgrader metadata of ``cell``, empty where it has none."""
    return dict(cell.metadata.get("nbgrader", {}))


def kind_of(grade_id: str) -> Kind | None:
    """Return which kind of graded cell ``grade_id`` names, or None for a solution cell or a foreign id."""
    match = GRADE_ID.fullmatch(grade_id)
    if match is None:
        return None
    kinds: dict[str | None, Kind | None] = {"check": "visible", "hidden": "hidden", "ex": None, None: "manual"}
    return kinds[match["kind"]]


def exercise_of(grade_id: str) -> str:
    """Return the exercise a grade id belongs to.

    >>> exercise_of("check-1-2"), exercise_of("interview-1")
    ('1.2', 'interview')
    """
    match = GRADE_ID.fullmatch(grade_id)
    if match is None or match["exercise"] is None:
        return "interview" if grade_id.startswith("interview") else ""
    return match["exercise"].replace("-", ".")


def spec_of(notebook: NotebookNode, name: str) -> NotebookSpec:
    """Read what ``notebook`` asks from its headings and its nbgrader metadata.

    It works on a source, on a learner copy and on a release alike. Cells with foreign grade ids are left out.
    """
    markdown = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    titles = {match["number"]: match["title"] for match in EXERCISE_HEADING.finditer(markdown)}
    title = TITLE.search(markdown)
    solutions: dict[str, str] = {}
    checks: dict[str, list[Check]] = {}
    for cell in notebook.cells:
        meta = grading(cell)
        grade_id = str(meta.get("grade_id", ""))
        number, kind = exercise_of(grade_id), kind_of(grade_id)
        if kind is not None and meta.get("grade"):
            checks.setdefault(number, []).append(Check(grade_id, number, kind, float(meta.get("points", 0))))
        elif number and meta.get("solution"):
            solutions.setdefault(number, grade_id)
    exercises = tuple(
        Exercise(number, titles.get(number, ""), grade_id, tuple(checks.get(number, ())))
        for number, grade_id in solutions.items()
    )
    return NotebookSpec(name, title["title"] if title else name, exercises, tuple(checks.get("interview", ())))
