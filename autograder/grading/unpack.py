"""Unpack an archive of strangers' files: nothing leaves the folder it is given, and what is refused has a reason."""

from __future__ import annotations

import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autograder.model import Refusal
from course_lib.errors import CourseError

__all__ = ["ArchiveError", "ArchiveLimits", "safe_name", "unpack"]

_CHUNK = 1 << 20
_RATIO_FROM = 10 << 20  # a small file may compress 1000:1 by nature (a notebook of blanks); a big one is a bomb


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive of submissions may hold, in files and bytes."""

    files: int = 50_000
    file_bytes: int = 256 << 20
    total_bytes: int = 4 << 30
    ratio: int = 200  # of a file's size to its compressed size


class ArchiveError(CourseError):
    """The archive as a whole cannot be read."""


def safe_name(text: str) -> str:
    r"""Return ``text`` as a file or student name: one path component, printable, at most 200 bytes.

    >>> safe_name("../Ann O'Neil\x00")
    "_Ann O'Neil"
    """
    cleaned = "".join("_" if c in '/\\:*?"<>|' else c for c in text if c.isprintable())
    short = cleaned.strip().lstrip(".").strip().encode()[:200].decode(errors="ignore")
    return short.rstrip(". ") or "_"


def unpack(archive: Path, into: Path, *, limits: ArchiveLimits | None = None) -> tuple[Refusal, ...]:
    """Unpack a zip file under ``into``; return the members that were refused.

    Sizes are counted while reading, so a header that lies gains nothing.

    Raises
    ------
    ArchiveError
        The file is not a zip archive, or its directory is damaged.
    """
    limits = limits or ArchiveLimits()
    into.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as bundle:
            return tuple(_unpack_members(bundle, into, limits))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ArchiveError(
            f"The archive {archive} cannot be read: {error}",
            expected="a zip file of submissions, as Canvas or Moodle exports it",
            next_step="download it again, or unpack it yourself and give the folder",
        ) from error


def _unpack_members(bundle: zipfile.ZipFile, into: Path, limits: ArchiveLimits) -> list[Refusal]:
    left = limits.total_bytes
    members = [member for member in bundle.infolist() if not member.is_dir()]
    too_many = f"The archive holds more than {limits.files} files."
    refused = [Refusal(member.filename, too_many) for member in members[limits.files :]]
    for member in members[: limits.files]:
        reason = _objection(member, limits)
        if not reason:
            written, reason = _write(bundle, member, into, min(limits.file_bytes, left))
            left -= written
        if reason:
            refused.append(Refusal(member.filename, reason))
    return refused


def _objection(member: zipfile.ZipInfo, limits: ArchiveLimits) -> str:
    """Return why this member is refused unread, or nothing."""
    name = member.orig_filename
    kind = stat.S_IFMT(member.external_attr >> 16)
    swollen = member.file_size > _RATIO_FROM and member.file_size > limits.ratio * max(1, member.compress_size)
    objections = (
        ("\x00" in name, "Its name holds a null byte."),
        (name.startswith(("/", "\\")) or name[1:2] == ":", "Its path is absolute."),
        (".." in name.replace("\\", "/").split("/"), "Its path leads out of the archive ('..')."),
        (kind == stat.S_IFLNK, "It is a symbolic link."),
        (kind not in (0, stat.S_IFREG, stat.S_IFLNK), "It is not a regular file."),
        (bool(member.flag_bits & 0x1), "It is encrypted."),
        (member.file_size > limits.file_bytes, f"It unpacks to more than {limits.file_bytes >> 20} MB."),
        (swollen, f"It unpacks to more than {limits.ratio} times its size: a zip bomb."),
    )
    return next((reason for objectionable, reason in objections if objectionable), "")


def _write(bundle: zipfile.ZipFile, member: zipfile.ZipInfo, into: Path, budget: int) -> tuple[int, str]:
    """Copy one member out, at most ``budget`` bytes; return the bytes read and why it was refused, if it was."""
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    target = into.joinpath(*(safe_name(part) for part in parts))
    read = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with bundle.open(member) as source, target.open("xb") as copy:
            while chunk := source.read(_CHUNK):
                read += len(chunk)
                if read > budget:
                    break
                copy.write(chunk)
    except FileExistsError:
        return 0, "Another file of the archive has the same name."
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        target.unlink(missing_ok=True)
        return read, f"It is damaged: {error}"
    except Exception as error:  # the decompressors raise their own types (zlib.error, LZMAError)
        target.unlink(missing_ok=True)
        return read, f"It cannot be decompressed: {error}"
    if read > budget:
        target.unlink(missing_ok=True)
        return read, "It unpacks to more than is accepted: a zip bomb."
    return read, ""
