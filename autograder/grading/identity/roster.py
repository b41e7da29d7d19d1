"""Roster reader: a table with a column ``student``, or a text file with a name on each line; names stay as they are."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from autograder.grading.identity.people import same_name
from autograder.grading.options import GradingError
from autograder.text import visible

__all__ = ["read_roster"]

_COLUMN = "student"
_SHOWN = 5


def read_roster(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the students named in ``path``, each once, and what the instructor should know about the file.

    Raises
    ------
    GradingError
        It cannot be read, is a table without a column ``student``, or names nobody.
    """
    lines = re.split(r"\r\n|\r|\n", _text(path))  # no other mark: a name can hold one
    try:
        names = [name for name in _names(path, lines) if name.strip()]
    except csv.Error as error:
        raise _unreadable(path, str(error), "save it again as 'CSV UTF-8'") from error
    if not names:
        raise GradingError(
            f"The roster {path} names nobody.",
            expected="a student on each line, or a table with a column 'student' and a row for each",
            next_step="check the file, or leave --roster out",
        )
    counts = Counter(map(same_name, names))
    twice = [name for name, count in counts.items() if count > 1]
    shown = ", ".join(map(repr, twice[:_SHOWN])) + (f" and {len(twice) - _SHOWN} more" if len(twice) > _SHOWN else "")
    return tuple(dict.fromkeys(names)), (f"The roster names {shown} more than once: one row each.",) if twice else ()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        what, next_step = "it is not UTF-8 text", "save it as 'CSV UTF-8'"
        raise _unreadable(path, what, next_step) from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error), "check the path") from error


def _unreadable(path: Path, why: str, next_step: str) -> GradingError:
    return GradingError(
        f"The roster {path} cannot be read: {why}.",
        expected="a text file with a student on each line, or a CSV file with a column 'student'",
        next_step=next_step,
    )


def _names(path: Path, lines: Sequence[str]) -> list[str]:
    """Return the names in the order of the file, exactly as they stand there."""
    for delimiter in (",", ";", "\t"):
        header = _row(lines, delimiter)
        if _COLUMN in header:
            rows = list(csv.reader(lines[1:], delimiter=delimiter))
            column = header.index(_COLUMN)
            if short := [number for number, row in enumerate(rows, 2) if row and len(row) <= column]:
                raise _unreadable(path, f"line {short[0]} ends before the column 'student'", "complete that line")
            return [row[column] for row in rows if row]
    if path.suffix.lower() == ".csv" and any(lines):
        raise GradingError(
            f"The roster {path} has no column 'student'. Its first line is {visible(lines[0], 200)!r}.",
            expected="a header with 'student' in it, parted by commas, semicolons or tabs",
            next_step="rename that column, or save the names alone, one a line, as a .txt file",
        )
    return list(lines)


def _row(lines: Sequence[str], delimiter: str) -> list[str]:
    return [word.strip().casefold() for word in next(csv.reader(lines[:1], delimiter=delimiter), [])]
