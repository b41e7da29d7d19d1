"""Result store beside the gradebook, so that everything that is handed out can be derived again without a run.

One small file for each submission: what the machine said, and where it came from. It holds messages, no test source.
Points, penalties and comments are not in it: those are the gradebook's, and are read from there at every command.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.authoring.assignments import Assignment, Catalogue, grade_id_of
from autograder.authoring.format import grading
from autograder.grading.book.settings import Settings, pending
from autograder.grading.gradebook import GradebookWriter, Standing, open_gradebook
from autograder.model import GradebookRow, Result
from autograder.reports.class_report import write_report_again
from autograder.reports.feedback import write_feedback
from autograder.reports.files import write_atomically
from autograder.reports.tables import write_exports
from course_lib.errors import CourseError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "SECRET",
    "Derived",
    "ResultsError",
    "Stored",
    "derive",
    "export",
    "feedback",
    "known_roster",
    "marked_late",
    "members_of",
    "penalty_notes",
    "read_rows",
    "refresh",
    "release_digest",
    "write_class",
    "write_derived",
    "write_roster",
    "write_row",
]

SECRET = "submission_secret.txt"  # of nbgrader's exchange  # noqa: S105
_SHOWN = 10  # names in one note


class ResultsError(CourseError):
    """There is nothing to make feedback or tables from."""


@dataclass(frozen=True)
class Stored:
    """What is kept of one submission besides its row in the gradebook."""

    result: Result
    key: str = ""
    lms_id: str = ""
    late: bool = False  # the learning platform marks it as late
    release: str = ""  # digest of what it was graded against


@dataclass(frozen=True)
class Derived:
    """All that is handed out, as the gradebook says it now, and what an instructor must know about it."""

    rows: tuple[GradebookRow, ...]
    assignments: tuple[Assignment, ...]
    notes: tuple[str, ...]


def write_row(stored: Stored, folder: Path) -> None:
    """Write down what one submission gave, whole or not at all."""
    path = folder / "results" / stored.result.student / f"{stored.result.notebook}.json"
    write_atomically(path, json.dumps(asdict(stored), ensure_ascii=False))


def read_rows(folder: Path) -> list[Stored]:
    """Return what is kept of every submission graded into ``folder``, by student and notebook.

    Raises
    ------
    ResultsError
        Nothing was graded into it, or a file is damaged.
    """
    from pydantic import TypeAdapter

    paths = sorted(folder.glob("results/*/*.json"))
    if not paths:
        raise ResultsError(
            f"Nothing has been graded into {folder}.",
            expected="the folder that was given to grade as --out",
            next_step="run `python -m autograder grade` first, or check the path",
        )
    adapter = TypeAdapter(Stored)
    return [_row(path, adapter) for path in paths]


def known_roster(folder: Path) -> tuple[str, ...]:
    """Return the list of the class that was given last; empty if none was."""
    return _names_in(folder / "results" / "roster.json") or ()


def write_roster(folder: Path, students: Sequence[str]) -> None:
    """Write down the list of the class, for runs that are given none."""
    if students:
        write_atomically(folder / "results" / "roster.json", json.dumps(list(students), ensure_ascii=False))


def write_class(folder: Path, notebook: str, students: Iterable[str], *, add: bool) -> None:
    """Write down who is in the class of ``notebook``; with ``add``, besides those who were."""
    earlier = (members_of(folder, notebook) or ()) if add else ()
    names = sorted({*students, *earlier})
    write_atomically(_class_list(folder, notebook), json.dumps(names, ensure_ascii=False))


def members_of(folder: Path, notebook: str) -> tuple[str, ...] | None:
    """Return who is in the class of ``notebook``; None where nobody wrote it down."""
    return _names_in(_class_list(folder, notebook))


def release_digest(assignment: Assignment) -> str:
    """Return a digest of what is graded in ``assignment``: ids, points and source of its cells."""
    cells = [
        [i, grading(cell).get("points"), cell.source] for cell in assignment.graded.cells if (i := grade_id_of(cell))
    ]
    return hashlib.sha256(json.dumps(cells).encode("utf-8", errors="replace")).hexdigest()[:16]


def derive(folder: Path, grades: GradebookWriter, catalogue: Catalogue) -> Derived:
    """Bring together what the machine said and what stands in the gradebook of ``folder`` now."""
    stored = read_rows(folder)
    standings = grades.settle(late=marked_late(stored))
    names = [name for name in catalogue.names if any(one.result.notebook == name for one in stored)]
    assignments, notes = _loaded(names, catalogue)
    digests = {name: release_digest(assignment) for name, assignment in assignments.items()}
    members = {name: members_of(folder, name) for name in names}
    rows, left, unfinished, outdated = [], [], [], []
    for one in stored:
        student, name = one.result.student, one.result.notebook
        if student not in (members.get(name) or (student,)):
            left.append(one)
        elif (student, name) not in standings:
            unfinished.append(one)
        else:
            rows.append(_merged(one, standings[student, name]))
            if one.release not in ("", digests.get(name, one.release)):
                outdated.append(one)
    if pending(folder) != Settings():
        notes.append("The settings of a grader that was interrupted hold only in part: repeat `grade`.")
    notes += [
        *penalty_notes(standings),
        *_named("In the class no more, and in no table (their points stay in gradebook.db)", left),
        *_named("Interrupted before it was in the gradebook: repeat `grade`", unfinished),
        *_named("Graded with other checks than the notebook has now: repeat `grade`", outdated),
        *_capped(rows),
        *_waiting(rows),
    ]
    return Derived(tuple(rows), tuple(assignments.values()), tuple(notes))


def _hand_to_exchange(folder: Path, student: str, assignment: Assignment) -> None:
    """Put the page where ``nbgrader release_feedback`` looks, if the submission may have come from an exchange.

    nbgrader's own exchange knows the way back by the secret beside a submission, ngshare by its time.
    """
    whole, notebook = assignment.place
    handed_in, place = folder / "submitted" / student / whole, folder / "feedback" / student / whole
    said = {path.name: path.read_text(encoding="utf-8").strip() for path in _exchanged(handed_in) if path.is_file()}
    if said:
        page = folder / "feedback" / student / f"{assignment.name}.html"
        files = {"timestamp.txt": "", **said, f"{notebook}.html": page.read_text(encoding="utf-8")}
        for file, text in files.items():
            write_atomically(place / file, text)


def _exchanged(handed_in: Path) -> tuple[Path, Path]:
    return handed_in / SECRET, handed_in / "timestamp.txt"


def marked_late(stored: Iterable[Stored]) -> set[tuple[str, str]]:
    """Return the students and notebooks that the learning platform marks as late."""
    return {(one.result.student, one.result.notebook) for one in stored if one.late}


def penalty_notes(standings: Mapping[tuple[str, str], Standing]) -> list[str]:
    """Say which penalties are others than the ones that stood in the gradebook."""
    moved = [s for s in standings.values() if round(s.penalty - s.penalty_before, 6)]
    who = [f"{s.student} {s.notebook} ({s.penalty_before:g} before, {s.penalty:g} now)" for s in moved]
    return _listed("Penalties for lateness changed", sorted(who))


def write_derived(derived: Derived, folder: Path) -> None:
    """Write feedback and tables, so that no page says something else than another."""
    assignments = {assignment.name: assignment for assignment in derived.assignments}
    for row in derived.rows:
        student, name = row.result.student, row.result.notebook
        if name in assignments:
            write_feedback(row, assignments[name], folder / "feedback" / student)
            _hand_to_exchange(folder, student, assignments[name])
    write_exports(derived.rows, derived.assignments, folder)


def refresh(folder: Path, catalogue: Catalogue, *, say: Callable[[str], None] = lambda _: None) -> int:
    """Derive feedback, tables and report again from the gradebook; return the number of rows.

    Parameters
    ----------
    folder, catalogue
        The course folder, and the notebooks that can be graded.
    say
        Called with each thing that the instructor must know.
    """
    read_rows(folder)
    with open_gradebook(folder, catalogue.places) as grades:
        derived = derive(folder, grades, catalogue)
        write_derived(derived, folder)
        write_report_again(derived.rows, derived.assignments, derived.notes, folder)
    for note in derived.notes:
        say(note)
    return len(derived.rows)


export = feedback = refresh  # two commands, one truth: each writes all that is derived


def _loaded(names: Iterable[str], catalogue: Catalogue) -> tuple[dict[str, Assignment], list[str]]:
    """Load what can be: a source that is being worked on must not keep the others' grades back."""
    loaded, notes = {}, []
    for name in names:
        try:
            loaded[name] = catalogue.load(name)
        except CourseError as error:
            notes.append(f"The feedback of {name} was not written again: {error.happened}")
    return loaded, notes


def _merged(one: Stored, standing: Standing) -> GradebookRow:
    return GradebookRow(
        one.result,
        one.key,
        one.lms_id,
        standing.penalty,
        standing.total,
        standing.late_seconds,
        standing.marks,
        standing.comments,
    )


def _capped(rows: Sequence[GradebookRow]) -> list[str]:
    above = [
        f"{row.result.student} {row.result.notebook} ({mark.grade_id}: {mark.given:g} of {mark.most:g})"
        for row in rows
        for mark in row.marks
        if mark.given is not None and mark.given > mark.most
    ]
    return _listed("Points given by hand are above the maximum and count as the maximum", above)


def _waiting(rows: Sequence[GradebookRow]) -> list[str]:
    waiting = [f"{r.result.student} {r.result.notebook} ({', '.join(r.waits)})" for r in rows if r.waits]
    return _listed("Not final, answers wait for a person (all of them: waiting.csv)", waiting)


def _named(what: str, some: Sequence[Stored]) -> list[str]:
    return _listed(what, [f"{one.result.student} {one.result.notebook}" for one in some])


def _listed(what: str, items: Sequence[str]) -> list[str]:
    shown = ", ".join(items[:_SHOWN]) + (f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else "")
    return [f"{what}: {len(items)}: {shown}."] if items else []


def _class_list(folder: Path, notebook: str) -> Path:
    return folder / "results" / f"{notebook}.class.json"


def _names_in(path: Path) -> tuple[str, ...] | None:
    """Return the students that were written down in ``path``; None where none were."""
    try:
        return tuple(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _row(path: Path, adapter: TypeAdapter[Stored]) -> Stored:
    try:
        return adapter.validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{path} is damaged: {error}",
            expected="what grade wrote there",
            next_step="grade the class again: what is known is taken from the cache",
        ) from error
