"""What lies in an export: its files as they were called, what is at the top of them, and the refusal of it all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autograder.grading.identity.layouts import known_notebook, plain_stem
from course_lib.errors import CourseError

__all__ = ["OWN_FOLDERS", "Entry", "Level", "UnsupportedLayoutError", "flat_students", "refuse", "some"]

# In these a learner's own copy of the course keeps its files.
OWN_FOLDERS = {"notebooks", "build", "course_lib", "autograder", "solutions", "data", "docs", "tests", "scripts"}


class UnsupportedLayoutError(CourseError):
    """Nothing in the submissions says for certain who is who."""


@dataclass(frozen=True)
class Entry:
    """One file of an export, or a folder without files: its name as it was, and where its content lies."""

    parts: tuple[str, ...]  # below the folder in which the students are
    shown: str  # as the instructor knows it
    path: Path | None = None  # None for a folder, and for what nobody needs to read
    refused: str = ""
    ignored: str = ""  # why it is no submission
    is_folder: bool = False

    @property
    def is_notebook(self) -> bool:
        """Whether it is called like a notebook."""
        return not self.ignored and not self.is_folder and self.parts[-1].lower().endswith(".ipynb")


class Level:
    """What lies at the top of some entries."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.folders: dict[str, list[Entry]] = defaultdict(list)
        self.files: dict[str, Entry] = {}
        for entry in entries:
            if len(entry.parts) == 1 and entry.ignored:
                continue
            if len(entry.parts) > 1 or entry.is_folder:
                self.folders[entry.parts[0]].append(entry)
            else:
                self.files[entry.parts[0]] = entry

    @property
    def notebooks(self) -> list[str]:
        """The notebooks that lie in no folder."""
        return [name for name, entry in self.files.items() if entry.is_notebook]

    def with_notebooks(self) -> list[str]:
        """Return the folders that hold a notebook, however deep."""
        return [top for top, own in self.folders.items() if any(entry.is_notebook for entry in own)]

    def inside(self, top: str) -> Level:
        """Return what lies in the folder ``top``."""
        return Level(replace(e, parts=e.parts[1:]) for e in self.folders[top] if len(e.parts) > 1)

    def hands_in_twice(self, names: Sequence[str]) -> bool:
        """Whether two of the folders hold the same notebook: then they are people, and not parts of one's work.

        A folder that is called like an assignment is no person's.
        """
        people = [top for top in self.with_notebooks() if top not in names]
        held = Counter(nb for top in people for nb in {_which(e, names) for e in self.folders[top] if e.is_notebook})
        return any(count > 1 for count in held.values())


def _which(entry: Entry, names: Sequence[str]) -> str:
    return known_notebook(plain_stem(entry.parts[-1]), names)[1] or entry.parts[-1].lower()


def refuse(what: str, next_step: str) -> UnsupportedLayoutError:
    """Return the error that says why nobody can tell who is who."""
    return UnsupportedLayoutError(
        f"The submissions are not laid out in a way that says who is who: {what}.",
        expected="a folder for each student, or an export of a learning platform as it is (docs/instructor.md)",
        next_step=next_step,
    )


def some(names: Iterable[str]) -> str:
    """Return at most three of ``names`` for a message, and how many more there are."""
    names = sorted(names)
    return ", ".join(repr(name) for name in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def flat_students(files: Iterable[str], names: Sequence[str]) -> list[tuple[str, str, bool]]:
    """Return for each file the student in its name, the file, and whether a notebook's name stands behind it."""
    found = []
    for file in files:
        stem = file.rpartition(".")[0]
        at, _ = known_notebook(plain_stem(file), names)
        found.append((stem[: at - 1] if at > 0 else "" if at == 0 else stem, file, at >= 0))
    return found
