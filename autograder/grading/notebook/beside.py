"""Helper files of a learner: what was handed in beside a notebook, taken along where the course says so.

What is taken along is data until a cell of the learner imports or opens it, in the learner's process. The course's own
files come first: a learner cannot hand in another one of the same name.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from autograder.text import visible

__all__ = ["Beside", "is_helper", "mentioned", "taken_along"]

_MOST_FILES = 200
_MOST_BYTES = 32 << 20  # of all of them
_LONGEST = 200  # characters of a path
_SHOWN = 5


@dataclass(frozen=True)
class Beside:
    """What lies beside a notebook when it runs, and what was left where it was."""

    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    left: tuple[str, ...] = ()  # by name: the course does not take them along
    notes: tuple[str, ...] = ()


def is_helper(path: str, patterns: Iterable[str]) -> bool:
    """Return whether ``path`` fits one of ``patterns``; one without a slash is about the name alone, in any folder.

    >>> is_helper("ann/tools.py", ["*.py"]), is_helper("ann/data/a.csv", ["data/*.csv"]), is_helper("a.txt", ["*.py"])
    (True, True, False)
    """
    name = path.rpartition("/")[2]
    return any(
        fnmatch.fnmatch(name, pattern) if "/" not in pattern else fnmatch.fnmatch(f"/{path}", f"*/{pattern}")
        for pattern in patterns
    )


def taken_along(
    given: Iterable[tuple[str, Path | None]],
    patterns: Sequence[str],
    *,
    course: Iterable[str] = (),
    place: Path | None = None,
) -> Beside:
    """Read the helper files of one learner.

    Parameters
    ----------
    given
        What lies beside the notebook: the path there, and where it can be read.
    patterns
        Which of it the course takes along.
    course
        The course's own files, by their paths: they lie there already.
    place
        The folder in which these are.
    """
    own = set(course)
    tops = {name.partition("/")[0] for name in own}
    files: dict[str, bytes] = {}
    left: list[str] = []
    notes: list[str] = []
    room = _MOST_BYTES
    for name, path in sorted(given):
        if name in own:
            if path is not None and place is not None and _content(path, room) != _content(place / name, room):
                notes.append(f"{name}: the course's own file was used, not the one that was handed in.")
            continue
        if not is_helper(name, patterns):
            left.append(name)
        elif name.partition("/")[0] in tops or any(name.startswith(f"{n}/") or n.startswith(f"{name}/") for n in files):
            notes.append(f"{name} was not taken along: something else has its place.")
        elif path is None or not _is_safe(name) or len(files) >= _MOST_FILES:
            notes.append(f"{name} was not taken along: its name or place is not accepted, or there are too many files.")
        elif (content := _content(path, room)) is None:
            notes.append(f"{name} was not taken along: it is no ordinary file, or all together are too large.")
        else:
            files[name], room = content, room - len(content)
    if files:
        notes.append(f"Taken along beside the notebook: {_some(list(files))}.")
    if left:
        notes.append(f"Handed in beside the notebook and not taken along: {_some(left)}.")
    return Beside(files, tuple(left), tuple(visible(note, 600) for note in notes))


def mentioned(left: Iterable[str], message: str) -> str:
    """Return what to add to the ``message`` of a failed check that names a file which was left; empty if none."""
    for name in left:
        path = PurePosixPath(name)
        words = {name, path.name, f"'{path.stem}'", f"'{path.parts[0]}'"} - {"''"}
        if any(word in message for word in words):
            return visible(f" {name} was handed in beside the notebook and was not taken along.", 300)
    return ""


def _is_safe(name: str) -> bool:
    parts = name.split("/")
    plain = len(name) <= _LONGEST and name.isprintable() and "\\" not in name
    return plain and all(part not in ("", ".", "..") for part in parts)


def _content(path: Path, room: int) -> bytes | None:
    """Return what a regular file holds, without following a link and without waiting on a pipe."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        content = file.read(room + 1)
    return content if len(content) <= room else None


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
