"""Submission collector: find the notebooks of a class in any layout; every student gets a row for every notebook.

Nothing here raises because of what a learner handed in. A folder is walked without following links; an archive is
unpacked by :mod:`autograder.grading.unpack`. Whose a file is decides :mod:`autograder.grading.identity.recognise`,
from the names as they were; what is ignored is ignored by its original name too, and said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from autograder.grading.identity.gradescope import METADATA
from autograder.grading.identity.layouts import FOLDERS, Layout, Owner
from autograder.grading.identity.level import Entry
from autograder.grading.identity.listing import SubmissionsError, ignored, listing, printable
from autograder.grading.identity.people import Claim, People, Person
from autograder.grading.identity.recognise import Recognised, recognise
from autograder.grading.notebook.beside import is_helper
from autograder.grading.notebook.which import RESUBMITTED, Notebooks
from autograder.model import Refusal

__all__ = ["CollectedClass", "Found", "SubmissionsError", "collect", "collect_one"]

_NO_HELPERS = {"timestamp.txt", "submission_secret.txt", METADATA}


@dataclass(frozen=True)
class Found:
    """What was found for one student and one notebook: a file, or the reason why there is none."""

    student: str  # the key: the id in the gradebook, and a harmless name for folders
    notebook: str
    path: Path | None = None
    shown: str = ""  # the path as the instructor knows it
    reason: str = ""  # why there is no file to grade
    notes: tuple[str, ...] = ()
    timestamp: str = ""
    lms_id: str = ""  # the number by which Canvas or Moodle knows the student, where its file names tell
    name: str = ""  # the student's name exactly as the submissions say it
    late: bool | None = None  # whether the platform calls it late; None: it does not say
    aside: tuple[str, ...] = ()  # about the student's identity, for the instructor only
    beside: tuple[tuple[str, Path | None], ...] = ()  # what lies beside the file: its path there, and where to read it


@dataclass(frozen=True)
class CollectedClass:
    """A class: its students, one :class:`Found` for each student and notebook, and the files without an owner."""

    students: tuple[str, ...]
    found: tuple[Found, ...]
    refused: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()  # what the instructor should know: the layout, collisions, what was ignored
    people: People = field(default_factory=People)


@dataclass(frozen=True)
class _SubmittedFile:
    """One file of the class, with its owner."""

    name: str  # the file name without what the learning platform put around it
    path: Path | None
    shown: str
    folder: str  # its path within the student's folder, without the file name
    refused: str = ""
    ignored: str = ""
    owner: Owner = field(default_factory=lambda: Owner(""))
    timestamp: str = ""


def collect(
    submissions: Path,
    names: Sequence[str],
    *,
    scratch: Path,
    only: Sequence[str] = (),
    roster: Iterable[str] = (),
    people: People | None = None,
    helpers: Sequence[str] = (),
    notebooks: Notebooks | None = None,
) -> CollectedClass:
    """Return the class found in ``submissions``.

    Parameters
    ----------
    submissions
        A folder or a zip file in one of the layouts of :mod:`autograder.grading.identity.layouts`.
    names
        The notebooks that can be graded, such as ``01_mlops_overview``.
    scratch
        An empty folder to unpack archives into. Use one that learners' code cannot see.
    only
        Grade these notebooks; by default each that at least one student handed in, or all if none did.
    roster
        Students who must have a row even if they handed in nothing.
    people
        Who has a row since earlier runs; newcomers are added to it.
    helpers
        Patterns of the files that are taken along with a notebook.
    notebooks
        What is known of ``names``: their places in nbgrader's course, if they have other names there.

    Raises
    ------
    SubmissionsError
        ``submissions`` is missing, or is neither a folder nor a zip file.
    UnsupportedLayoutError
        Their layout does not say for certain who is who.
    ArchiveError
        The zip file is damaged as a whole.
    """
    people, notebooks = people or People(), notebooks or Notebooks(tuple(names))
    entries, misplaced = listing(submissions, scratch, lambda path: is_helper(path, helpers))
    export = recognise(entries, notebooks.words, archive=not submissions.is_dir(), root=_root_name(submissions))
    claims = [Claim(owner.name, owner.ident) for _, owner in export.owned]
    settled = people.settle(claims, platform=export.layout.name, lasting=export.layout.numbers != "assignment")
    spaced: list[str] = []
    listed = people.listed(roster, spaced)
    rows: dict[str, Person] = {person.key: person for person in (*listed, *settled.people.values())}
    by_student: dict[str, list[_SubmittedFile]] = {key: [] for key in sorted(rows)}
    for file, claim in zip(_submitted(export), claims, strict=True):
        if file is not None:
            by_student[settled.people[claim].key].append(file)
    chosen = {key: _choose(rows[key], files, notebooks, export.layout, only) for key, files in by_student.items()}
    graded = list(only) or [n for n in names if any(n in c and c[n].path for c in chosen.values())] or list(names)
    found = [
        replace(
            chosen[key].get(name) or _missing(rows[key], name, files, export.layout), aside=settled.about.get(key, ())
        )
        for key, files in by_student.items()
        for name in graded
    ]
    strays = [e for e in export.strays if not e.ignored]
    refused = [*misplaced, *(Refusal(e.shown, e.refused or "No student can be told from its path.") for e in strays)]
    nobody = () if rows else (f"No student was found in {printable(str(submissions))}.",)
    notes = (f"Layout: {export.layout.name}.", *nobody, *export.notes, *settled.notes, *spaced, *ignored(entries))
    return CollectedClass(tuple(by_student), tuple(found), tuple(refused), notes, people)


def collect_one(folder: Path, name: str, *, student: str, scratch: Path) -> Found:
    """Return the notebook ``name`` among the files of one ``student``, however they lie in ``folder``.

    Raises
    ------
    SubmissionsError
        ``folder`` is missing, or holds more files than anybody hands in.
    """
    entries, _ = listing(folder, scratch)
    files = [
        _SubmittedFile(e.parts[-1], e.path, e.shown, "/".join(e.parts[:-1]), e.refused, e.ignored)
        for e in entries
        if not e.is_folder or e.refused or e.ignored
    ]
    person = Person(student, student)
    return _choose(person, files, Notebooks((name,)), FOLDERS, [name]).get(name) or _missing(
        person, name, files, FOLDERS
    )


def _root_name(submissions: Path) -> str:
    return submissions.resolve().name if submissions.is_dir() else submissions.stem


def _submitted(export: Recognised) -> Iterable[_SubmittedFile | None]:
    """Return the file of each owned entry, or None where it is a folder."""
    stamps = {e.parts: e.path for e, _ in export.owned if e.parts[-1] == "timestamp.txt" and e.path and not e.refused}
    for entry, owner in export.owned:
        if entry.is_folder and not (entry.refused or entry.ignored):
            yield None
            continue
        folder = "/".join(entry.parts[:-1])
        name = owner.file or entry.parts[-1]
        stamp = _stamp(entry, stamps, export.layout) if entry.is_notebook and export.layout.stamped else ""
        yield _SubmittedFile(
            name, entry.path, entry.shown, folder, entry.refused, entry.ignored, owner, stamp or owner.timestamp
        )


def _stamp(entry: Entry, stamps: dict[tuple[str, ...], Path], layout: Layout) -> str:
    """Return the submission time in the nearest ``timestamp.txt``, up to the student's folder."""
    for depth in (1,) if layout.stamped == "top" else range(len(entry.parts) - 1, 0, -1):
        if path := stamps.get((*entry.parts[:depth], "timestamp.txt")):
            try:
                return path.read_text()[:100].strip()
            except (OSError, UnicodeDecodeError):
                return ""
    return ""


def _choose(
    person: Person, files: list[_SubmittedFile], notebooks: Notebooks, layout: Layout, only: Sequence[str]
) -> dict[str, Found]:
    """Return the file to grade for each notebook the student handed in."""
    candidates: dict[str, list[_SubmittedFile]] = defaultdict(list)
    for file in files:
        path = None if file.refused else file.path
        if not file.ignored and (name := notebooks.of(file.name, file.folder, path, only=only)):
            candidates[name].append(file)
    return {name: _best(person, name, submitted, files, layout) for name, submitted in candidates.items()}


def _rank(file: _SubmittedFile) -> tuple[bool, str, int]:
    """Order the files of one notebook: a real file, then the latest by the platform's time, then by its number."""
    match = RESUBMITTED.search(file.name.rpartition(".")[0])
    return not file.refused, file.owner.timestamp, int(match["canvas"] or 0) if match else 0


def _best(
    person: Person, name: str, submitted: list[_SubmittedFile], files: list[_SubmittedFile], layout: Layout
) -> Found:
    """Return the file to grade; of several equal ones the one with the shortest name, and the others are named."""
    best = max(sorted(submitted, key=lambda e: (-len(e.name), e.shown)), key=_rank)
    notes = [f"Handed in as {best.name}."] if best.name != f"{name}.ipynb" else []
    others = sorted(e.shown for e in submitted if e is not best)
    if others:
        notes.append(f"{len(submitted)} files of this notebook: {best.shown} was graded, {', '.join(others)} was not.")
    found = _found(person, name, [best], layout)
    if best.refused:
        return replace(found, shown=best.shown, reason=f"{best.shown}: {best.refused}", notes=tuple(notes))
    return replace(
        found,
        path=best.path,
        shown=best.shown,
        notes=tuple(notes),
        timestamp=best.timestamp,
        late=best.owner.late,
        beside=tuple(_beside(best, files, layout)),
    )


def _beside(
    notebook: _SubmittedFile, files: Iterable[_SubmittedFile], layout: Layout
) -> Iterator[tuple[str, Path | None]]:
    """Yield what lies beside a notebook or in a folder there: its path, and where it can be read."""
    found: dict[str, _SubmittedFile] = {}
    for file in sorted(files, key=lambda file: _rank(file)[2]):
        below = file.folder == notebook.folder or file.folder.startswith(
            f"{notebook.folder}/" if notebook.folder else "/"
        )
        platforms = file.name in _NO_HELPERS or (layout.name == "Blackboard" and "_attempt_" in file.name)
        if below and not file.ignored and not platforms and not file.name.lower().endswith(".ipynb"):
            inside = file.folder[len(notebook.folder) :].strip("/")
            stem, dot, suffix = file.name.rpartition(".")
            name = f"{RESUBMITTED.sub('', stem)}{dot}{suffix}" if layout.name == "Canvas" and dot else file.name
            found[f"{inside}/{name}" if inside else name] = file
    yield from ((name, None if file.refused else file.path) for name, file in found.items())


def _found(person: Person, name: str, files: Sequence[_SubmittedFile], layout: Layout) -> Found:
    """Return that ``person`` has a row for the notebook ``name``."""
    number = next((file.owner.ident for file in files), "") if layout.name in ("Canvas", "Moodle") else ""
    return Found(person.key, name, lms_id=number, name=_encodable(person.name))


def _missing(person: Person, name: str, files: list[_SubmittedFile], layout: Layout) -> Found:
    refused = [f"{e.shown}: {e.refused}" for e in files if e.refused]
    ignored = [f"{e.shown} ({e.ignored})" for e in files if e.ignored]
    others = sorted(e.name for e in files if not e.refused and not e.ignored and e.name != "timestamp.txt")
    reason = f"No file {name}.ipynb was handed in."
    if refused:
        reason += " Refused: " + " ".join(refused[:3])
    elif others:
        reason += f" Found instead: {', '.join(others[:5])}."
    if ignored:
        reason += f" Ignored: {', '.join(ignored[:3])}."
    return replace(_found(person, name, files, layout), reason=reason)


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()
