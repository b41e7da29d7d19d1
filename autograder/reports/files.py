"""File writes: whole or not at all, and refused by name, before any work is done, where nothing can be written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from course_lib.errors import UnwritableError

__all__ = ["require_writable", "write_atomically"]


def require_writable(folder: Path) -> None:
    """Make sure that a file can be written into ``folder``, or a folder be made there; leave no trace.

    Raises
    ------
    UnwritableError
        It cannot.
    """
    whole = folder.absolute()
    try:
        nearest = next(place for place in (whole, *whole.parents) if place.exists())
        with tempfile.NamedTemporaryFile(dir=nearest, prefix=".new-"):
            pass
    except OSError as error:
        raise UnwritableError.of(folder, error) from error


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` so that a reader sees the old file or the new one, and never half of it.

    Raises
    ------
    UnwritableError
        The file cannot be written; an old one is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    except OSError as error:
        raise UnwritableError.of(path, error) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        raise UnwritableError.of(path, error) from error
    finally:
        Path(temporary).unlink(missing_ok=True)
