"""Listing of what was handed in: every file by its original name, with what was ignored and what was refused."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from autograder.grading.identity.gradescope import METADATA
from autograder.grading.identity.level import Entry
from autograder.grading.unpack import unpack
from autograder.model import Refusal
from course_lib.errors import CourseError

__all__ = ["SubmissionsError", "ignored", "listing", "printable"]

_IGNORED_FOLDERS = {
    ".ipynb_checkpoints": "copies that Jupyter makes",
    "__MACOSX": "data of macOS",
    ".git": "the history of git",
    ".svn": "the history of Subversion",
    "__pycache__": "files of Python",
    ".pytest_cache": "files of pytest",
    ".venv": "an environment of Python",
    "node_modules": "packages of Node.js",
    "Feedback Attachment(s)": "feedback in Sakai's export",
}
_IGNORED_FILES = {".DS_Store": "a file of macOS", "Thumbs.db": "a file of Windows", "desktop.ini": "a file of Windows"}
_MAX_FILES = 200_000


class SubmissionsError(CourseError):
    """There is nothing to grade: the path is missing or is neither a folder nor a zip file."""


def listing(
    submissions: Path, scratch: Path, wanted: Callable[[str], bool] = lambda _: False
) -> tuple[list[Entry], list[Refusal]]:
    """Return what lies in the submissions, and what an archive would write elsewhere.

    ``wanted`` says which files of an archive have to be read besides notebooks, by their paths.
    """
    if submissions.is_dir():
        return _walk(submissions), []
    if submissions.is_file() and submissions.suffix.lower() == ".zip":
        members = unpack(submissions, scratch, wanted=lambda name: _is_wanted(name, wanted))
        found = (_entry(m.name, m.path, m.refused) for m in members if not m.is_misplaced)
        entries = {(entry.parts, entry.path): entry for entry in found if entry is not None}
        return list(entries.values()), [Refusal(printable(m.name), m.refused) for m in members if m.is_misplaced]
    raise SubmissionsError(
        f"There are no submissions at {submissions}.",
        expected="a folder with a folder per student, or a zip file as Canvas or Moodle exports it",
        next_step="check the path",
    )


def _is_wanted(name: str, wanted: Callable[[str], bool]) -> bool:
    """Whether an archive's file has to be read: notebooks, what tells who and when, and what else is ``wanted``."""
    file = name.rpartition("/")[2]
    tells = file in ("timestamp.txt", METADATA) or (file.endswith(".txt") and "_attempt_" in file)
    return (tells or file.lower().endswith(".ipynb") or wanted(name)) and not any(map(_why_ignored, name.split("/")))


def _entry(name: str, path: Path | None, refused: str) -> Entry | None:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    for number, part in enumerate(parts, 1):
        if why := _why_ignored(part):
            shown = printable("/".join(parts[:number]))
            return Entry(tuple(parts[:number]), shown, ignored=why, is_folder=number < len(parts))
    is_folder = name.endswith("/") and not refused
    return Entry(tuple(parts), printable(name), path, refused, is_folder=is_folder) if parts else None


def printable(text: str) -> str:
    """Return the name of a file as it can be shown anywhere: its bytes need not be UTF-8, nor characters of a text."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _why_ignored(part: str) -> str:
    if part.startswith("._"):
        return "a file of macOS"
    return _IGNORED_FOLDERS.get(part) or _IGNORED_FILES.get(part, "")


def _walk(root: Path) -> list[Entry]:
    """Return what is below ``root`` in a fixed order; links are listed and never followed."""
    entries: list[Entry] = []

    def unreadable(error: OSError) -> None:
        path = Path(str(error.filename)).relative_to(root)
        if not path.parts:
            raise SubmissionsError(
                f"{root} cannot be read: {error.strerror}.",
                expected="a folder of submissions that you may read",
                next_step="change its permissions",
            )
        shown = printable(path.as_posix())
        entries.append(Entry(path.parts, shown, refused=f"It cannot be read: {error.strerror}.", is_folder=True))

    for folder, subfolders, files in os.walk(root, onerror=unreadable, followlinks=False):
        place = Path(folder)
        links = {name for name in subfolders if (place / name).is_symlink()}
        above = place.relative_to(root).parts
        for name in sorted({*files, *subfolders}):
            shown = printable("/".join((*above, name)))
            if why := _why_ignored(name):
                entries.append(Entry((*above, name), shown, ignored=why, is_folder=name in subfolders))
            elif name not in subfolders or name in links:
                entries.append(Entry((*above, name), shown, place / name, _objection(place / name)))
            else:
                entries.append(Entry((*above, name), shown, is_folder=True))
        subfolders[:] = sorted(name for name in subfolders if not _why_ignored(name) and name not in links)
        if len(entries) > _MAX_FILES:
            raise SubmissionsError(
                f"{root} holds more than {_MAX_FILES} files.",
                expected="the submissions of one class",
                next_step="give the folder of the submissions only",
            )
    return entries


def _objection(path: Path) -> str:
    try:
        kind = path.lstat().st_mode
    except OSError as error:
        return f"It cannot be read: {error.strerror}."
    if stat.S_ISLNK(kind):
        return "It is a symbolic link."
    return "" if stat.S_ISREG(kind) else "It is not a regular file."


def ignored(entries: Iterable[Entry]) -> list[str]:
    """Say what was ignored, in one line for each reason."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        if entry.ignored:
            by_reason[entry.ignored].append(entry.shown)
    return [
        f"Ignored, as {why}: {', '.join(shown[:3])}{f' and {len(shown) - 3} more' if len(shown) > 3 else ''}."
        for why, shown in by_reason.items()
    ]
