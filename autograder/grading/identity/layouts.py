"""Layout tables: how each platform names the files of a class, with the source that says so.

A rule reads one name at the top of an export: a folder that belongs to a student, or a file. What a learner can choose
(the name of the file they uploaded) always stands last and is never looked at for who they are. Where a format could
not be confirmed in a platform's own source or in several tools that read it, it is in :data:`UNSUPPORTED` or absent.

- **Canvas** (instructure/canvas-lms, ``lib/content_zipper.rb``, ``get_filename``, ``add_upload_submission``):
  ``name_[LATE_]USER_FILE_original``; the name is ``sortable_name`` in lower case with all but word characters removed,
  so it can hold ``_``; for a group it is the group's name. Anonymous: ``[LATE_]anon_ID_FILE_original``. Text entries
  and links: ``name_[LATE_]USER_text.html``. File numbers below 1000 are not taken for Canvas.
- **Moodle** (moodle/moodle, ``mod/assign/classes/downloader.php``, ``get_student_prefix``): folders
  ``Full name_NUMBER_assignsubmission_PLUGIN[_]/``, or the same as a prefix of files. ``_`` in names becomes a blank.
  The number is that of the *participant*, another one in every assignment (``assign_user_mapping``). Blind marking: the
  word "Participant" in the site's language. A group: its name and number; "Default group" has none.
- **nbgrader's exchange** (nbgrader, ``exchange/default/submit.py``): ``USER+ASSIGNMENT+TIME[+RANDOM]/``, below
  ``inbound``. **ngshare** (ngshare_exchange, ``collect.py``) writes nbgrader's ``submitted/USER/ASSIGNMENT/``.
- **Brightspace** (several public tools that read it; its source is closed): ``USER-FOLDER - Name - Mon D, YYYY HMM AM``
  as folders, or with ``- original`` as files. The clock's zone is not told: it is read as this machine's.
- **Blackboard Learn** (nbgrader's documentation of ``zip_collect``; kwurst/bb-file-cleanup):
  ``ASSIGNMENT_USER_attempt_YYYY-MM-DD-hh-mm-ss[_original]``, with a ``.txt`` for each attempt that names the user.
- **Sakai** (sakaiproject/sakai, ``AssignmentServiceImpl.zipSubmissions``): ``TITLE/Last, First(EID)/Submission
  attachment(s)/``, with ``timestamp.txt`` beside it; ``ID Anonymous/``; or the same as a prefix of files.
- **ILIAS** (ILIAS-eLearning/ILIAS, ``class.ilExSubmission.php``; Slandy95/eCampus…): ``Last_First_login_NUMBER/``,
  below ``TITLE/Abgaben`` or ``TITLE/Submissions``, teams below ``Team N/``. The whole folder name is the student.
  Late files have ``exc_late_submission`` and `` - `` in front of their name, in the language of whoever downloads, in
  ASCII (``getASCIIFilename``). The English and the German words are read; others cannot be told from a learner's own.
- **Gradescope** (several public tools that read it): ``submission_NUMBER/`` and ``submission_metadata.yml``.
- **GitHub Classroom** (github/gh-classroom, ``student-repos.go``): ``SLUG-submissions/SLUG-LOGIN/``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

__all__ = ["ILIAS_LATE", "ILIAS_WORDS", "PATTERNED", "UNSUPPORTED", "Layout", "Owner", "known_notebook", "plain_stem"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Owner:
    """Whose a file is: what one name in an export tells."""

    name: str  # exactly as it stands there
    file: str = ""  # what the learner called the file, where the platform put something around it
    ident: str = ""  # the platform's number
    late: bool | None = None  # whether the platform calls it late; None: it does not say
    timestamp: str = ""  # of the submission


@dataclass(frozen=True)
class Layout:
    """A way to lay out a class."""

    name: str
    folder: re.Pattern[str] | None = None  # of a student's folder at the top
    file: re.Pattern[str] | None = None  # of a student's file at the top
    numbers: Literal["", "person", "assignment"] = ""  # whether people have numbers, and for how long
    tells_late: bool = False
    stamped: Literal["", "beside", "top"] = ""  # where the platform writes timestamp.txt; elsewhere a learner did

    def owner(self, top: str, *, is_folder: bool, names: Sequence[str] = ()) -> Owner | None:
        """Return whose the folder or file ``top`` is; None if it does not have this layout's form."""
        pattern = self.folder if is_folder else self.file
        match = pattern.match(top) if pattern else None
        if match is None or (self is CANVAS and _eats_a_notebook(match, names)):
            return None
        said = match.groupdict()
        return Owner(
            said.get("name") or f"user {said.get('user', '')}".strip(),
            "" if is_folder else said.get("file") or top,
            said.get("user") or "",
            bool(said.get("late")) if self.tells_late else None,
            _timestamp(said.get("time") or ""),
        )


def _rule(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern + r"\Z", re.DOTALL)


CANVAS = Layout(
    "Canvas",
    file=_rule(
        r"(?P<name>.*?)_(?:(?P<late>LATE)_)?(?P<user>[1-9]\d*)_"
        r"(?:[1-9]\d{3,}_(?P<file>.+)|(?:text|link)\.html)"
    ),
    numbers="person",
    tells_late=True,
)
CANVAS_ANONYMOUS = Layout(
    "Canvas (anonymous)",
    file=_rule(r"(?:(?P<late>LATE)_)?(?P<name>anon_[0-9A-Za-z]+)_(?:[1-9]\d{3,}_(?P<file>.+)|(?:text|link)\.html)"),
    tells_late=True,
)
MOODLE = Layout(
    "Moodle",
    folder=_rule(r"(?P<name>.+?)(?:_(?P<user>\d+))?_assignsubmission_[a-z]+_?"),
    file=_rule(r"(?P<name>.+?)(?:_(?P<user>\d+))?_assignsubmission_[a-z]+_(?P<file>.+)"),
    numbers="assignment",
)
EXCHANGE = Layout(
    "nbgrader's exchange",
    folder=_rule(r"(?P<name>.+)\+[^+]+\+(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[^+]*)(?:\+[^+]*)?"),
    stamped="beside",
)
_D2L_TIME = r"(?P<time>[A-Z][a-z]{2} \d{1,2}, \d{4} \d{3,4} [AP]M)"
BRIGHTSPACE = Layout(
    "Brightspace",
    folder=_rule(rf"(?P<user>\d+)-\d+ - (?P<name>.+?) - {_D2L_TIME}"),
    file=_rule(rf"(?P<user>\d+)-\d+ - (?P<name>.+?) - {_D2L_TIME} - (?P<file>.+)"),
    numbers="person",
)
BLACKBOARD = Layout(
    "Blackboard",
    file=_rule(r"(?P<name>.+?)_attempt_(?P<time>\d{4}(?:-\d\d){5})(?:_(?P<file>.+)|\.txt)"),
)
SAKAI = Layout(
    "Sakai",
    folder=_rule(r"(?P<name>.*,.*)\((?P<user>[^()]+)\)"),
    file=_rule(r"(?P<name>.*?,.*?)\((?P<user>[^()]+)\)_Submission attachment\(s\)_(?P<file>.+)"),
    numbers="person",
    stamped="top",
)
GRADESCOPE = Layout("Gradescope", folder=_rule(r"(?P<name>submission_\d+)"), numbers="person")
GITHUB = Layout("GitHub Classroom")
ILIAS = Layout("ILIAS")
ILIAS_LATE = re.compile(r"(?:Late Submission|Versp(?:a|ae|ä|_)tete Abgabe) - (?P<file>.+)", re.DOTALL)
ILIAS_WORDS = re.compile(r"(?P<words>[^\d/]+?) - (?P<file>.+)", re.DOTALL)  # perhaps the same in another language
NBGRADER = Layout("nbgrader's submitted folder", stamped="beside")
FOLDERS = Layout("a folder a student", stamped="beside")
FLAT = Layout("STUDENT_NOTEBOOK files")

# Recognised by the form of their names, in this order.
PATTERNED = (MOODLE, EXCHANGE, BRIGHTSPACE, BLACKBOARD, CANVAS_ANONYMOUS, CANVAS)

# What looks like a platform's export and cannot be read without guessing: what it is, and what to do.
UNSUPPORTED = (
    (
        _rule(r"\d+-\d+ - .+ - .*\b\d{4}\b.*"),
        "Brightspace's export with dates that are not in English",
        "download it again with your account's language set to English (US)",
    ),
    (
        GRADESCOPE.folder,
        "Gradescope's export without its submission_metadata.yml, which alone says who is who",
        "use the whole zip that Gradescope's Download Submissions gives",
    ),
)


def plain_stem(name: str) -> str:
    """Return a file's stem in the form in which notebooks are recognised, character for character."""
    return _plain(name.rpartition(".")[0] or name)


def _plain(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text).replace(" ", "_").replace("-", "_")


def known_notebook(stem: str, names: Sequence[str]) -> tuple[int, str]:
    """Return where in ``stem`` the name of a notebook stands, and which: the last, then the longest; -1 for none."""
    best = (-1, "")
    for name, written in [(one, form) for one in names for form in _forms(one)]:
        at = stem.rfind(_plain(written))
        edge = at >= 0 and not stem[at + len(written) : at + len(written) + 1].isalnum()
        if edge and (at == 0 or not stem[at - 1].isalnum()) and (at, len(name)) > (best[0], len(best[1])):
            best = (at, name)
    return best


def _forms(name: str) -> set[str]:
    """Return the ways in which an accent may be written: in one character or in two, as macOS does."""
    return {unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)}


def _eats_a_notebook(match: re.Match[str], names: Sequence[str]) -> bool:
    """Whether what looks like Canvas' numbers is the beginning of a notebook's name: ``ann_2026_1000_final.ipynb``."""
    at, _ = known_notebook(plain_stem(match.string), names)
    return match["file"] is not None and 0 <= at < match.start("file")


def _timestamp(text: str) -> str:
    """Return a platform's time as nbgrader writes times; a clock without a zone is this machine's."""
    if not text:
        return ""
    try:
        if text[0].isalpha():  # Nov 28, 2026 933 PM
            month, day, year, clock, half = text.replace(",", "").split()
            hour = int(clock[:-2]) % 12 + (12 if half == "PM" else 0)
            when = datetime(int(year), _MONTHS.index(month) + 1, int(day), hour, int(clock[-2:])).astimezone()
        elif text.count("-") == 5:  # 2016-01-30-15-00-00
            when = datetime(*map(int, text.split("-"))).astimezone()  # type: ignore[arg-type]
        else:
            return text
        return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, KeyError, OverflowError, OSError):
        return ""
