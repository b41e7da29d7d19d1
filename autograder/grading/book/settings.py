"""Settings of a course folder: due dates, the late rule and extensions, kept where nbgrader keeps them.

Due dates and extensions stand in the gradebook, the late rule in ``nbgrader_config.py``. Each holds until another one
is given. Those of one command are first written down together, and crossed off when all of them hold: a grader that is
killed in between never leaves half of them.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from autograder.authoring.format import resolve_names
from autograder.authoring.own_course.settings import OwnSettings, own_settings
from autograder.grading.book.database import GradebookError
from autograder.grading.options import GradeOptions, GradingError
from autograder.reports.files import write_atomically

__all__ = [
    "Settings",
    "due_date",
    "extension_length",
    "keep_own_course",
    "names_by_place",
    "own_course",
    "parse_due",
    "parse_extensions",
    "parse_timestamp",
    "pending",
    "write_pending",
]

_OWN_COURSE = "own_course.json"
_UNITS = {"w": 7 * 86400, "d": 86400, "h": 3600, "m": 60}
_PART = r"(\d+(?:\.\d+)?)\s*(w|d|h|m)(?:eeks?|ays?|ours?|in(?:utes?)?)?"


@dataclass(frozen=True)
class Settings:
    """What one command sets; what is empty stays as it was."""

    due: Mapping[str, str] = field(default_factory=dict)  # by notebook; "none" takes a date away
    late: str = ""  # "none" or "zero"
    extensions: Mapping[str, str] = field(default_factory=dict)  # by STUDENT or NOTEBOOK/STUDENT

    def over(self, earlier: Settings) -> Settings:
        """Return these settings, and those of ``earlier`` that they don't replace."""
        return Settings(
            {**earlier.due, **self.due}, self.late or earlier.late, {**earlier.extensions, **self.extensions}
        )

    def of_notebooks(self, places: Mapping[str, tuple[str, str]]) -> Settings:
        """Return these settings by notebook, where they were given for one of nbgrader's assignments (``places``)."""
        parts: dict[str, list[str]] = {}
        for name, (assignment, _) in places.items():
            parts.setdefault(assignment, []).append(name)
        due = {name: text for word, text in self.due.items() for name in parts.get(word, [word])}
        longer: dict[str, str] = {}
        for who, text in self.extensions.items():
            word, slash, student = who.rpartition("/")
            longer |= {f"{name}{slash}{student}": text for name in parts.get(word, [word])}
        return Settings(due, self.late, longer)

    def extension_of(self, student: str, notebook: str) -> str:
        """Return the extension of ``student`` for ``notebook``; empty if none is given."""
        return self.extensions.get(f"{notebook}/{student}", self.extensions.get(student, ""))


def parse_due(words: Iterable[str], names: Sequence[str]) -> dict[str, str]:
    """Return due dates by notebook from words such as ``02=2026-11-30 18:00:00 UTC``; ``02=none`` takes one away.

    Raises
    ------
    GradingError
        A word has another form.
    GradebookError
        A date cannot be read.
    """
    pairs = [_pair("--due", word) for word in words]
    due = {_notebook(name, names): text for name, text in pairs}
    for name, text in due.items():
        due_date(name, text)
    return due


def parse_extensions(words: Iterable[str], table: Path | None, names: Sequence[str]) -> dict[str, str]:
    """Return extensions by ``STUDENT`` or ``NOTEBOOK/STUDENT``, from words and from a CSV file.

    Parameters
    ----------
    words
        Such as ``ann=3 days``, ``02/ann=36h``, ``ann=2026-12-04 18:00 UTC`` or ``ann=none``.
    table
        A CSV file with the columns ``student`` and ``extension``, and ``notebook`` if you like.
    names
        The notebooks of the course.

    Raises
    ------
    GradingError
        One of them cannot be read.
    """
    pairs = _rows(table) if table else []
    pairs += [_pair("--extension", word) for word in words]
    found: dict[str, str] = {}
    for who, value in pairs:
        notebook, slash, student = who.rpartition("/")
        key = f"{_notebook(notebook, names)}/{student.strip()}" if slash else student.strip()
        extension_length(key, value, datetime.min)
        found[key] = value
    return found


def extension_length(who: str, text: str, due: datetime | None) -> timedelta | None:
    """Return how much longer ``who`` has than until ``due``; None if no longer than others.

    Raises
    ------
    GradebookError
        ``text`` is neither a length of time nor a date, or a date where nothing is due, or before it is.
    """
    if text.lower() in ("none", "0"):
        return None
    if re.fullmatch(rf"(?:{_PART}\s*)+", text, re.I):
        parts = re.findall(_PART, text, re.I)
        return timedelta(seconds=sum(float(number) * _UNITS[unit.lower()] for number, unit in parts))
    until = _moment(text)
    wrong = "neither a length of time nor a date" if until is None else ""
    if until is not None:
        wrong = "a date, and no due date is set" if due is None else "before the due date" if until < due else ""
    if wrong or until is None or due is None:
        raise GradebookError(
            f"The extension {text!r} of {who} is {wrong}.",
            expected="a length such as '3 days' or '36h', a later date such as '2026-12-04 18:00:00 UTC', or 'none'",
            next_step="correct it; nothing was changed",
        )
    return until - due


def due_date(notebook: str, text: str) -> datetime | None:
    """Return the due date that ``text`` says, in UTC; None where it takes one away.

    Raises
    ------
    GradebookError
        It cannot be read.
    """
    moment = _moment(text)
    if text.lower() != "none" and moment is None:
        raise GradebookError(
            f"The due date {text!r} of {notebook} cannot be read.",
            expected="a date and time such as '2026-11-30 18:00:00 UTC', or 'none'",
            next_step="correct it; nothing was changed",
        )
    return moment


def parse_timestamp(text: str) -> datetime | None:
    """Return the submission time that nbgrader would read from ``text``, in UTC; None if it is none."""
    from nbgrader.utils import parse_utc

    try:
        parsed: datetime | None = parse_utc(text) if text else None
    except (ValueError, OverflowError, TypeError):
        return None
    return parsed


def pending(folder: Path) -> Settings:
    """Return the settings that an earlier command was given and could not finish to apply."""
    try:
        return Settings(**json.loads((folder / ".settings.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Settings()


def write_pending(folder: Path, settings: Settings | None) -> None:
    """Write down what is being applied to ``folder``; None when all of it holds."""
    path = folder / ".settings.json"
    if settings is None or settings == Settings():
        path.unlink(missing_ok=True)
    else:
        write_atomically(path, json.dumps(asdict(settings), ensure_ascii=False))


def own_course(folder: Path, options: GradeOptions) -> GradeOptions:
    """Return ``options`` with what an earlier command said of an own course, and what that course says of itself.

    Raises
    ------
    CourseError
        The course is not there any more, or its settings cannot be read.
    """
    known = _kept(folder)
    source = options.source or (Path(known["source"]) if "source" in known else None)
    if source is None:
        return options
    unseen, helpers = str(known.get("unseen", "")), tuple(map(str, known.get("helpers", ())))
    said = own_settings(source) if options.source or source.exists() else OwnSettings()
    return replace(
        options,
        source=source.absolute(),
        unseen=options.unseen or unseen or said.unseen or "refuse",
        helpers=options.helpers or helpers or said.helpers,
    )


def keep_own_course(folder: Path, options: GradeOptions, places: Mapping[str, tuple[str, str]]) -> None:
    """Write down which own course is graded into ``folder``, and where its notebooks are, for later commands."""
    if options.source is not None:
        known = {
            "source": str(options.source),
            "unseen": options.unseen,
            "helpers": list(options.helpers),
            "places": {**_kept(folder).get("places", {}), **places},
        }
        write_atomically(folder / _OWN_COURSE, json.dumps(known, ensure_ascii=False) + "\n")


def names_by_place(folder: Path) -> dict[tuple[str, str], str]:
    """Return by which name each notebook of an own course is known, by nbgrader's assignment and notebook."""
    places = _kept(folder).get("places", {})
    return {(place[0], place[1]): name for name, place in places.items()}


def _kept(folder: Path) -> dict[str, Any]:
    try:
        known = json.loads((folder / _OWN_COURSE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _pair(flag: str, word: str) -> tuple[str, str]:
    name, found, value = word.partition("=")
    if not (found and name.strip() and value.strip()):
        example = "02='2026-11-30 18:00:00 UTC'" if flag == "--due" else "ann='3 days'"
        raise GradingError(
            f"{flag} is {word!r}.", expected=f"a name and a value, such as {example}", next_step="correct it"
        )
    return name.strip(), value.strip()


def _notebook(word: str, names: Sequence[str]) -> str:
    return resolve_names([word.strip()], names)[0]


def _moment(text: str) -> datetime | None:
    """Return the time that ``text`` names in full.

    nbgrader would take '5' for a day of this month, CEST for UTC, and +0200 for 200 seconds.
    """
    from dateutil.tz import gettz

    text = re.sub(r"\s*([+-]\d\d):?(\d\d)$", r"\1:\2", text) if ":" in text else text
    zone = re.search(r"\s([A-Za-z][\w/]*)$", text)
    known = zone is None or gettz(zone[1]) is not None
    return parse_timestamp(text) if known and re.match(r"\d{4}-\d\d-\d\d", text) else None


def _rows(table: Path) -> list[tuple[str, str]]:
    try:
        rows = list(csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines()))
        pairs = [
            ((row.get("notebook") or "").strip(), row["student"].strip(), row["extension"].strip()) for row in rows
        ]
    except (OSError, UnicodeDecodeError, KeyError, AttributeError, csv.Error) as error:
        raise GradingError(
            f"The extensions {table} cannot be read: {error}",
            expected="a CSV file with the columns student, extension and, if you like, notebook",
            next_step="check the file; nothing was changed",
        ) from error
    return [(f"{notebook}/{student}" if notebook else student, value) for notebook, student, value in pairs if student]
