"""Zip extraction of strangers' files: nothing leaves the folder it is given, and what is refused has a reason.

Members are written under numbers; their names stay what the archive says, character by character. So no two names can
meet on the disk, and who is who is decided on the original.
"""

from __future__ import annotations

import stat
import struct
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from course_lib.errors import CourseError

__all__ = ["ArchiveError", "ArchiveLimits", "Member", "unpack"]

_CHUNK = 1 << 20
_RATIO_FROM = 10 << 20  # a small file may compress 1000:1 by nature (a notebook of blanks); a big one is a bomb
_FOLDER_OF = 1_000  # files in one folder on the disk
_UTF8 = 0x800  # flag of a member whose name is UTF-8 for certain


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive of submissions may hold, in files and bytes."""

    members: int = 200_000  # names in its directory, whatever they are
    files: int = 20_000  # that are unpacked
    file_bytes: int = 256 << 20
    total_bytes: int = 4 << 30
    ratio: int = 200  # of a file's size to its compressed size


@dataclass(frozen=True)
class Member:
    """One name in an archive: where its content lies if it was wanted, or why it was refused."""

    name: str  # with "/" between folders; a folder ends in one
    path: Path | None = None
    refused: str = ""
    is_misplaced: bool = False  # its name leads out of the archive: it says nothing about who is who


class ArchiveError(CourseError):
    """The archive as a whole cannot be read."""


def unpack(
    archive: Path,
    into: Path,
    *,
    wanted: Callable[[str], bool] = lambda _: True,
    limits: ArchiveLimits | None = None,
) -> tuple[Member, ...]:
    """Unpack the ``wanted`` members of a zip file under ``into``; return all members, in the archive's order.

    Sizes are counted while reading, so a header that lies gains nothing.

    Raises
    ------
    ArchiveError
        The file is not a zip archive, its directory is damaged, or it names too many files.
    """
    limits = limits or ArchiveLimits()
    into.mkdir(parents=True, exist_ok=True)
    try:
        if (announced := _announced(archive)) > limits.members:
            raise _too_many(archive, f"{announced:,} files", limits.members)
        with zipfile.ZipFile(archive) as bundle:
            infos = bundle.infolist()
            separator = "/" if any("/" in info.orig_filename for info in infos) else "\\"
            named = [(_name(info).replace(separator, "/"), info) for info in infos]
            needed = [name for name, _ in named if wanted(name)]
            if len(needed) > limits.files:
                top, count = Counter(name.partition("/")[0] for name in needed).most_common(1)[0]
                raise _too_many(archive, f"{len(needed):,} notebooks, {count:,} of them in {top!r}", limits.files)
            return tuple(_unpack_members(bundle, named, into, set(needed), limits))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ArchiveError(
            f"The archive {archive} cannot be read: {error}",
            expected="a zip file of submissions, as Canvas or Moodle exports it",
            next_step="download it again, or unpack it yourself and give the folder",
        ) from error


def _too_many(archive: Path, what: str, most: int) -> ArchiveError:
    return ArchiveError(
        f"The archive {archive} names {what}.",
        expected=f"at most {most:,}: the submissions of one class",
        next_step="export one assignment at a time, or take out what is no submission",
    )


def _announced(archive: Path) -> int:
    """Return how many members the archive's last record announces, before anything is read for each of them."""
    with archive.open("rb") as file:
        file.seek(0, 2)
        file.seek(-min(file.tell(), 66_000), 1)
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    big = tail.rfind(b"PK\x06\x06", 0, at) if tail[max(at - 20, 0) : at].startswith(b"PK\x06\x07") else -1
    if big >= 0:  # more than 65,535: the count stands in a record of its own, before its locator
        return int(struct.unpack_from("<Q", tail, big + 32)[0])
    return int(struct.unpack_from("<H", tail, at + 10)[0]) if 0 <= at <= len(tail) - 12 else 0


def _unpack_members(
    bundle: zipfile.ZipFile,
    named: Iterable[tuple[str, zipfile.ZipInfo]],
    into: Path,
    needed: set[str],
    limits: ArchiveLimits,
) -> Iterator[Member]:
    left, written, seen = limits.total_bytes, 0, set[str]()
    for name, info in named:
        misplaced = _misplaced(info)
        reason = misplaced or _objection(info, limits)
        if name in seen and not reason:
            reason = "Another file of the archive has the same name."
        seen.add(name)
        if reason or name not in needed or name.endswith("/"):
            yield Member(name, None, reason, bool(misplaced))
            continue
        target = into / f"{written // _FOLDER_OF:03}" / str(written)
        read, reason = _write(bundle, info, target, min(limits.file_bytes, left))
        written, left = written + 1, left - read
        yield Member(name, None if reason else target, reason)


def _name(info: zipfile.ZipInfo) -> str:
    """Return a member's name; macOS and others write UTF-8 without saying so, which is unmistakable."""
    if info.flag_bits & _UTF8 or info.orig_filename.isascii():
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename


def _misplaced(member: zipfile.ZipInfo) -> str:
    """Return what is wrong with the member's name, or nothing."""
    name = member.orig_filename
    objections = (
        ("\x00" in name, "Its name holds a null byte."),
        (name.startswith(("/", "\\")) or name[1:3] == ":\\", "Its path is absolute."),
        (".." in name.replace("\\", "/").split("/"), "Its path leads out of the archive ('..')."),
    )
    return next((reason for objectionable, reason in objections if objectionable), "")


def _objection(member: zipfile.ZipInfo, limits: ArchiveLimits) -> str:
    """Return why this member is refused unread, or nothing."""
    kind = stat.S_IFMT(member.external_attr >> 16)
    is_bomb = member.file_size > _RATIO_FROM and member.file_size > limits.ratio * max(1, member.compress_size)
    objections = (
        (kind == stat.S_IFLNK, "It is a symbolic link."),
        (kind not in (0, stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR), "It is not a regular file."),
        (bool(member.flag_bits & 0x1), "It is encrypted."),
        (member.file_size > limits.file_bytes, f"It unpacks to more than {limits.file_bytes >> 20} MB."),
        (is_bomb, f"It unpacks to more than {limits.ratio} times its size: a zip bomb."),
    )
    return next((reason for objectionable, reason in objections if objectionable), "")


def _write(bundle: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, budget: int) -> tuple[int, str]:
    """Copy one member out, at most ``budget`` bytes; return the bytes read and why it was refused, if it was."""
    read, reason = 0, ""
    try:
        target.parent.mkdir(exist_ok=True)
        with bundle.open(member) as source, target.open("xb") as copy:
            while chunk := source.read(_CHUNK):
                read += len(chunk)
                if read > budget:
                    reason = "It unpacks to more than is accepted: a zip bomb."
                    break
                copy.write(chunk)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        reason = f"It is damaged: {error}"
    except Exception as error:  # the decompressors raise their own types (zlib.error, LZMAError)
        reason = f"It cannot be decompressed: {error}"
    if reason:
        target.unlink(missing_ok=True)
    return read, reason
