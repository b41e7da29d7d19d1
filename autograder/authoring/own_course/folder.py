"""Source folder of an own course: which notebooks lie in it, and which of nbgrader's assignments each belongs to.

It may be one file, a folder of notebooks, the folder of one assignment (``source/ps1``), or the root of a course of
nbgrader. Notebooks are ``.ipynb`` files with graded cells, and Jupytext scripts (``py:percent``) with nbgrader's
metadata; what else lies there are helper files.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from course_lib.errors import CourseError

__all__ = ["SourceError", "SourceFile", "SourceFolder", "is_source", "locate"]

_STAGES = ("source", "release")  # of nbgrader's course; a release stands in where there is no source
_GRADED = re.compile(r'"grade_id"\s*:')
_MARKER = re.compile(r"^# %%.*\bnbgrader\s*=", re.M)
_HEADERS = {"header", "footer"}  # nbgrader puts these around every notebook


class SourceError(CourseError):
    """An own course, or a notebook of it, cannot be graded as it is."""


@dataclass(frozen=True)
class SourceFile:
    """One notebook of an own course."""

    name: str  # by which it is known in tables and on pages
    assignment: str  # nbgrader's; a notebook that belongs to none is one of its own
    path: Path

    @property
    def notebook(self) -> str:
        """Name of the file, by which nbgrader knows the notebook within its assignment."""
        return self.path.stem


@dataclass(frozen=True)
class SourceFolder:
    """The notebooks of an own course, and what else must be known of where they are."""

    root: Path  # of the course, where nbgrader_config.py and autotests.yml are
    files: tuple[SourceFile, ...]
    elsewhere: frozenset[str] = frozenset()  # assignments of the same course that were not asked for
    notes: tuple[str, ...] = ()


def locate(given: Path) -> SourceFolder:
    """Return the notebooks of the own course at ``given``, a file or a folder.

    Raises
    ------
    SourceError
        There is nothing, or no notebook with graded cells, or two that cannot be told apart.
    """
    path = given.absolute()
    if not path.exists():
        raise SourceError(
            f"There is no source at {given}.",
            expected="a folder of notebooks, nbgrader's course folder, or one notebook",
            next_step="check the path",
        )
    try:
        return _located(path, given)
    except OSError as error:
        raise SourceError(
            f"{given} cannot be read: {error.strerror}.",
            expected="files and folders that you may read",
            next_step="look at their permissions (`ls -l`)",
        ) from error


def _located(path: Path, given: Path) -> SourceFolder:
    notes: list[str] = []
    if path.is_file():
        found = _one_file(path)
    elif stages := _stages(path):
        found = _assignments(stages, notes)
    elif _subfolders(path) and not any(is_source(file) for file in path.iterdir() if file.is_file()):
        found = _assignments(path, notes)
    else:
        found = _one_folder(path, notes)
    if not found.files:
        raise SourceError(
            f"No notebook with graded cells lies in {given}" + (f". {' '.join(notes)}" if notes else "."),
            expected="notebooks (.ipynb), or Jupytext scripts (.py), whose cells have nbgrader's metadata",
            next_step="mark solutions and tests in JupyterLab (View → Activate Command Palette → Create Assignment), "
            "or give another folder",
        )
    return replace(found, files=tuple(_named(found.files, given)), notes=tuple(notes))


def is_source(path: Path) -> bool:
    """Whether the file is a notebook with graded cells, or a Jupytext script of one."""
    if path.suffix.lower() not in (".ipynb", ".py"):
        return False
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return bool((_GRADED if path.suffix.lower() == ".ipynb" else _MARKER).search(text))


def _one_file(path: Path) -> SourceFolder:
    if not is_source(path):
        raise SourceError(
            f"{path.name} is no notebook with graded cells.",
            expected="a notebook (.ipynb) or a Jupytext script (.py) whose cells have nbgrader's metadata",
            next_step="give the source that nbgrader's generate_assignment takes",
        )
    whole = _one_folder(path.parent, [])
    mine = tuple(replace(file, path=path) for file in whole.files if file.path.stem == path.stem)
    return replace(whole, files=mine)


def _one_folder(path: Path, notes: list[str]) -> SourceFolder:
    """Return the notebooks in a folder: those of one assignment if it lies in nbgrader's course."""
    in_course = path.parent.name in _STAGES
    sources = [*_sources(path, notes)]
    files = tuple(SourceFile(p.stem, path.name if in_course else p.stem, p) for p in sources)
    if not in_course:
        return SourceFolder(path, files)
    others = frozenset(folder.name for folder in _subfolders(path.parent)) - {path.name}
    return SourceFolder(path.parent.parent, files, others)


def _assignments(stage: Path, notes: list[str]) -> SourceFolder:
    files = tuple(
        SourceFile(path.stem, folder.name, path) for folder in _subfolders(stage) for path in _sources(folder, notes)
    )
    if stage.name == "release":
        notes.append("There is no folder 'source': the released notebooks in 'release' were taken.")
    return SourceFolder(stage.parent if stage.name in _STAGES else stage, files)


def _stages(path: Path) -> Path | None:
    return next((path / stage for stage in _STAGES if _subfolders(path / stage)), None)


def _subfolders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith((".", "__")))


def _sources(folder: Path, notes: list[str]) -> Iterator[Path]:
    """Yield the notebooks with graded cells in a folder; say which files only look like it."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    found = [path for path in files if is_source(path)]
    notebooks = {path.stem for path in found if path.suffix.lower() == ".ipynb"}
    for path in found:
        if path.suffix.lower() == ".py" and path.stem in notebooks:
            notes.append(f"{path.name} is the Jupytext script of {path.stem}.ipynb: the notebook was read.")
        else:
            yield path
    ungraded = [p.name for p in files if p.suffix.lower() == ".ipynb" and p not in found and p.stem not in _HEADERS]
    if ungraded:
        notes.append(f"Without graded cells, and so left out: {', '.join(ungraded)}.")


def _named(files: Sequence[SourceFile], given: Path) -> Iterator[SourceFile]:
    """Give each notebook the name of its file; where two have the same, the assignment stands before it."""
    count = Counter(_folded(file.notebook) for file in files)
    named = [
        replace(file, name=f"{file.assignment}.{file.notebook}") if count[_folded(file.notebook)] > 1 else file
        for file in files
    ]
    twice = Counter(_folded(file.name) for file in named)
    if same := [file.path.name for file in named if twice[_folded(file.name)] > 1]:
        raise SourceError(
            f"Two notebooks in {given} cannot be told apart by their names: {', '.join(same)}.",
            expected="names that differ in more than capital letters or the way an accent is written",
            next_step="rename one of them, in the release as well",
        )
    yield from named


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
