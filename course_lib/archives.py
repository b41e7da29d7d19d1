"""Unpack archives from elsewhere; nothing in them can land outside the folder they are unpacked to."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath

__all__ = ["unpack"]


def unpack(archive: tarfile.TarFile, folder: Path | str) -> None:
    """Unpack ``archive`` below ``folder``, by the rules of Python's ``data`` filter.

    Raises
    ------
    tarfile.TarError
        A member would land outside the folder, or is neither a file nor a folder.
    """
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter="data")
        return
    # Python 3.11.0 to 3.11.3, such as Debian 12's, have no filters: the few rules that matter, and no links at all.
    for member in archive.getmembers():
        path = PurePosixPath(member.name)
        if not (member.isfile() or member.isdir()) or path.is_absolute() or ".." in path.parts:
            raise tarfile.TarError(f"{member.name!r} is no plain file below the folder")
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    archive.extractall(folder)  # noqa: S202 - every member was looked at
