"""Find the notebooks of a class, whatever it was exported from: every student gets a row for every notebook.

Nothing here raises because of what a learner handed in. A folder is walked without following links; an archive is
unpacked by :mod:`autograder.grading.unpack`. Known layouts:

- nbgrader: ``STUDENT/ASSIGNMENT/NAME.ipynb`` (also below a folder ``submitted``), with ``timestamp.txt``;
- nbgrader's exchange: ``STUDENT+ASSIGNMENT+TIMESTAMP+RANDOM/NAME.ipynb`` (also below ``inbound``); the latest counts;
- a folder a student: ``STUDENT/NAME.ipynb``;
- Canvas: ``lastfirst_[LATE_]12345_67890_NAME.ipynb``;
- Moodle: ``First Last_12345_assignsubmission_file_/NAME.ipynb``, or the same in one file name.
"""

from __future__ import annotations

import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from autograder.grading.unpack import safe_name, unpack
from autograder.model import Refusal
from course_lib.errors import CourseError

__all__ = ["Classroom", "Found", "SubmissionsError", "collect"]

_IGNORED_FOLDERS = {".ipynb_checkpoints", "__MACOSX", ".git", "__pycache__"}
_IGNORED_FILES = {".DS_Store", "Thumbs.db", "desktop.ini"}
_MOST_FILES = 200_000
_CANVAS = re.compile(r"^(?P<student>[^_]+)_(?:LATE_)?(?P<user>\d+)_(?P<file>\d+)_(?P<name>.+)$")
_MOODLE = re.compile(r"^(?P<student>.+?)_(?P<user>\d+)_assignsubmission_(?:file|onlinetext)_?(?P<name>.*)$")
_EXCHANGE = re.compile(r"^(?P<student>[^+]+)\+[^+]+\+\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[^+]*(?:\+.*)?$")
_RESUBMITTED = re.compile(r"(?:-(?P<canvas>\d+)| \((?P<browser>\d+)\)|-Copy(?P<jupyter>\d*))$")


class SubmissionsError(CourseError):
    """There is nothing to grade: the path is missing or is neither a folder nor a zip file."""


@dataclass(frozen=True)
class Found:
    """What was found for one student and one notebook: a file, or the reason why there is none."""

    student: str
    notebook: str
    path: Path | None = None
    shown: str = ""  # the path as the instructor knows it
    reason: str = ""  # why there is no file to grade
    notes: tuple[str, ...] = ()
    timestamp: str = ""
    lms_id: str = ""  # the number by which the learning platform knows the student, where its file names tell


@dataclass(frozen=True)
class Classroom:
    """A class: its students, one :class:`Found` for each student and notebook, and the files nobody can own."""

    students: tuple[str, ...]
    found: tuple[Found, ...]
    refused: tuple[Refusal, ...] = ()


class _Owner(NamedTuple):
    """Whose file it is, and what it is called."""

    student: str
    name: str
    lms_id: str


@dataclass(frozen=True)
class _Entry:
    """One file of the class, with its owner as far as its path tells."""

    student: str
    name: str  # the file name without what the learning platform put around it
    path: Path
    shown: str
    folder: str  # its path within the student's folder, without the file name
    refused: str = ""
    lms_id: str = ""


def collect(
    submissions: Path, names: Sequence[str], *, scratch: Path, only: Sequence[str] = (), roster: Iterable[str] = ()
) -> Classroom:
    """Return the class found in ``submissions``.

    Parameters
    ----------
    submissions
        A folder or a zip file in one of the layouts above.
    names
        The notebooks that can be graded, such as ``01_mlops_overview``.
    scratch
        An empty folder to unpack archives into. Use one that learners' code cannot see.
    only
        Grade these notebooks; by default each that at least one student handed in, or all if none did.
    roster
        Students who must have a row even if they handed in nothing.

    Raises
    ------
    SubmissionsError
        ``submissions`` is missing, or is neither a folder nor a zip file.
    ArchiveError
        The zip file is damaged as a whole.
    """
    entries, refused = _entries(submissions, scratch)
    entries = _apart(entries)
    by_student: dict[str, list[_Entry]] = defaultdict(list)
    for student in sorted(set(roster)):
        by_student[safe_name(student)] = []
    for entry in entries:
        if entry.student:
            by_student[entry.student].append(entry)
        else:
            refused.append(Refusal(entry.shown, entry.refused or "No student can be told from its path."))
    for student in _empty_folders(submissions):
        by_student.setdefault(student, [])
    chosen = {student: _choose(student, files, names) for student, files in by_student.items()}
    graded = list(only) or [n for n in names if any(n in c and c[n].path for c in chosen.values())] or list(names)
    found = [
        chosen[student].get(name) or _missing(student, name, by_student[student])
        for student in sorted(chosen)
        for name in graded
    ]
    return Classroom(tuple(sorted(chosen)), tuple(found), tuple(refused))


def _entries(submissions: Path, scratch: Path) -> tuple[list[_Entry], list[Refusal]]:
    if submissions.is_dir():
        root = _class_folder(submissions)
        return [_owned(path, root) for path in _walk(root)], []
    if submissions.is_file() and submissions.suffix.lower() == ".zip":
        refused = unpack(submissions, scratch)
        root = _single_folder(scratch)
        kept = [_owned(path, root) for path in _walk(root)]
        owners = [(_owner(PurePosixPath(r.path.replace("\\", "/"))), r) for r in refused]
        turned_away = [_Entry(o.student, o.name, root, r.path, "", r.reason, o.lms_id) for o, r in owners if o.student]
        return kept + turned_away, [r for o, r in owners if not o.student]
    raise SubmissionsError(
        f"There are no submissions at {submissions}.",
        expected="a folder with a folder per student, or a zip file as Canvas or Moodle exports it",
        next_step="check the path",
    )


def _class_folder(submissions: Path) -> Path:
    """Step into where nbgrader keeps what was handed in: ``submitted`` of a course, ``inbound`` of an exchange."""
    inside = [submissions / name for name in ("submitted", "inbound") if (submissions / name).is_dir()]
    return inside[0] if inside else submissions


def _walk(root: Path) -> list[Path]:
    """Return the files below ``root`` in a fixed order; links are listed and never followed."""
    files: list[Path] = []
    for folder, subfolders, names in os.walk(root, followlinks=False):
        links = [name for name in subfolders if (Path(folder) / name).is_symlink()]
        subfolders[:] = sorted(set(subfolders) - _IGNORED_FOLDERS - set(links))
        files += [Path(folder) / name for name in sorted([*names, *links]) if name not in _IGNORED_FILES]
        if len(files) > _MOST_FILES:
            raise SubmissionsError(
                f"{root} holds more than {_MOST_FILES} files.",
                expected="the submissions of one class",
                next_step="give the folder of the submissions only",
            )
    return files


def _single_folder(root: Path) -> Path:
    """Step into the one folder that some archives wrap around everything; a folder of notebooks is a student's."""
    inside = [path for path in root.iterdir() if path.name not in _IGNORED_FOLDERS]
    wraps = len(inside) == 1 and inside[0].is_dir() and not list(inside[0].glob("*.ipynb"))
    if wraps and (inside[0].name == "submitted" or any(p.is_dir() for p in inside[0].iterdir())):
        return _single_folder(inside[0]) if inside[0].name != "submitted" else inside[0]
    return root


def _empty_folders(submissions: Path) -> list[str]:
    """Return the students whose folder holds no file: they still get a row."""
    if not submissions.is_dir():
        return []
    root = _class_folder(submissions)
    folders = [p for p in root.iterdir() if p.is_dir() and not p.is_symlink() and not p.name.startswith(".")]
    return [_owner(PurePosixPath(p.name, "x")).student for p in folders if p.name not in _IGNORED_FOLDERS]


def _owned(path: Path, root: Path) -> _Entry:
    relative = PurePosixPath(path.relative_to(root).as_posix())
    student, name, lms_id = _owner(relative)
    refused = ""
    try:
        kind = path.lstat().st_mode
    except OSError as error:
        refused = f"It cannot be read: {error.strerror}."
    else:
        if stat.S_ISLNK(kind):
            refused = "It is a symbolic link."
            student = student or safe_name(name)  # in the place of a student's folder
        elif not stat.S_ISREG(kind):
            refused = "It is not a regular file."
    return _Entry(student, name, path, str(relative), relative.parent.as_posix(), refused, lms_id)


def _owner(relative: PurePosixPath) -> _Owner:
    """Tell from a path whose file it is; the student is empty when the path does not say."""
    parts = [part for part in relative.parts if part not in ("..", "/", ".")]
    if not parts:
        return _Owner("", "", "")
    match = _MOODLE.match(parts[0])
    if len(parts) > 1 and (exchanged := _EXCHANGE.match(parts[0])):
        return _Owner(safe_name(exchanged["student"]), parts[-1], "")
    if len(parts) > 1:
        return _Owner(safe_name(match["student"] if match else parts[0]), parts[-1], match["user"] if match else "")
    if match := match or _CANVAS.match(parts[0]):
        return _Owner(safe_name(match["student"]), match["name"], match["user"])
    stem, dot, suffix = parts[0].rpartition(".")
    if suffix.lower() == "ipynb" and dot:
        return _Owner(safe_name(re.split(r"[_\-. ]?\d\d_", stem, maxsplit=1)[0] or stem), parts[0], "")
    return _Owner("", parts[0], "")


def _apart(entries: list[_Entry]) -> list[_Entry]:
    """Keep two students of the same name apart by the number their learning platform gives them."""
    numbers: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        numbers[entry.student].add(entry.lms_id)
    return [
        replace(e, student=f"{e.student}_{e.lms_id}") if e.lms_id and len(numbers[e.student]) > 1 else e
        for e in entries
    ]


def _choose(student: str, files: list[_Entry], names: Sequence[str]) -> dict[str, Found]:
    """Return the file to grade for each notebook the student handed in."""
    candidates: dict[str, list[_Entry]] = defaultdict(list)
    for entry in files:
        if name := _notebook_of(entry, names):
            candidates[name].append(entry)
    return {name: _best(student, name, entries) for name, entries in candidates.items()}


def _notebook_of(entry: _Entry, names: Sequence[str]) -> str:
    """Return which notebook a file is, by its name, its folder or its cells; nothing if it is none."""
    stem, _, suffix = entry.name.rpartition(".")
    if suffix.lower() != "ipynb":
        return ""
    lowered = stem.lower().replace(" ", "_").replace("-", "_")
    if hits := [name for name in names if name.lower() in (lowered, _without_number(stem).lower())]:
        return hits[0]
    if hits := [name for name in names if name.lower() in lowered]:
        return max(hits, key=len)
    folder = PurePosixPath(entry.folder).name
    return folder if folder in names else _by_cells(entry, names)


def _by_cells(entry: _Entry, names: Sequence[str]) -> str:
    """Recognise a renamed notebook by the numbers of its graded cells: ``ex-3-1`` belongs to notebook 03."""
    if entry.refused:
        return ""
    try:
        text = entry.path.read_bytes()[: 4 << 20]
    except OSError:
        return ""
    numbers = re.findall(rb'"grade_id":\s*"(?:ex|check|hidden)-(\d+)-\d+"', text)
    for number in sorted(set(numbers), key=numbers.count, reverse=True):
        if hits := [name for name in names if re.match(rf"0*{number.decode()}_", name)]:
            return hits[0]
    return ""


def _without_number(stem: str) -> str:
    return _RESUBMITTED.sub("", stem)


def _rank(entry: _Entry) -> tuple[bool, int, str]:
    """Order the files of one notebook: a real file, then the latest resubmission, then by name."""
    match = _RESUBMITTED.search(entry.name.rpartition(".")[0])
    number = int(match["canvas"] or 0) if match else 0
    dated = number or _EXCHANGE.match(entry.shown.partition("/")[0])  # the path of an exchange holds the time
    return not entry.refused, number, entry.shown if dated else ""


def _best(student: str, name: str, entries: list[_Entry]) -> Found:
    best = max(sorted(entries, key=lambda e: (len(e.name), e.shown)), key=_rank)
    notes = [f"Handed in as {best.name}."] if best.name != f"{name}.ipynb" else []
    others = sorted(e.shown for e in entries if e is not best)
    if others:
        notes.append(f"{len(entries)} files of this notebook: {best.shown} was graded, {', '.join(others)} was not.")
    if best.refused:
        return Found(student, name, None, best.shown, f"{best.shown}: {best.refused}", tuple(notes), "", best.lms_id)
    return Found(student, name, best.path, best.shown, "", tuple(notes), _timestamp(best.path), best.lms_id)


def _timestamp(path: Path) -> str:
    """Return nbgrader's submission time, from ``timestamp.txt`` beside the notebook."""
    stamp = path.parent / "timestamp.txt"
    try:
        return stamp.read_text()[:100].strip() if not stamp.is_symlink() and stamp.is_file() else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _missing(student: str, name: str, files: list[_Entry]) -> Found:
    refused = [f"{e.shown}: {e.refused}" for e in files if e.refused]
    others = sorted(e.name for e in files if not e.refused and e.name != "timestamp.txt")
    reason = f"No file {name}.ipynb was handed in."
    if refused:
        reason += " Refused: " + " ".join(refused[:3])
    elif others:
        reason += f" Found instead: {', '.join(others[:5])}."
    return Found(student, name, None, "", reason, lms_id=next((e.lms_id for e in files), ""))
