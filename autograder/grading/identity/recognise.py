"""Recognition of a whole export: which layout it has, and so whose every file is; or a refusal that says what to do.

Everything is decided on the names as they were, and on all of them together. Half an export in one form and half in
another, folders of assignments with students inside, or one learner's own folder are refused: a guess here would give
somebody's work to somebody else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from autograder.grading.identity.gradescope import METADATA, submitters
from autograder.grading.identity.layouts import (
    BLACKBOARD,
    CANVAS,
    FLAT,
    FOLDERS,
    GITHUB,
    GRADESCOPE,
    ILIAS,
    ILIAS_LATE,
    ILIAS_WORDS,
    NBGRADER,
    PATTERNED,
    SAKAI,
    UNSUPPORTED,
    Layout,
    Owner,
    known_notebook,
    plain_stem,
)
from autograder.grading.identity.level import OWN_FOLDERS, Entry, Level, flat_students, refuse, some
from autograder.grading.identity.wrapper import ILIAS_FOLDERS, is_github, is_sakai, wrapper

__all__ = ["Recognised", "recognise"]


@dataclass(frozen=True)
class Recognised:
    """An export that was understood: the files with their owners, and those that nobody owns."""

    layout: Layout
    owned: tuple[tuple[Entry, Owner], ...]
    strays: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()


def recognise(entries: Sequence[Entry], names: Sequence[str], *, archive: bool, root: str = "") -> Recognised:
    """Return whose each of ``entries`` is.

    Parameters
    ----------
    entries
        All files, and the folders without any.
    names
        The notebooks that can be graded.
    archive
        Whether they come out of an archive: those often wrap one folder around everything.
    root
        What the folder around ``entries`` is called.

    Raises
    ------
    UnsupportedLayoutError
        The layout is none that is known, or more than one.
    """
    strays: list[Entry] = []
    notes: tuple[str, ...] = ()
    while inside := wrapper(entries, names, archive=archive, root=root):
        strays += [entry for entry in entries if len(entry.parts) == 1 or entry.parts[0] != inside]
        entries = [replace(e, parts=e.parts[1:]) for e in entries if len(e.parts) > 1 and e.parts[0] == inside]
        root, notes = inside, (f"The students were looked for inside of {inside!r}.",)
    found = _read(entries, names, root)
    beside = tuple(entry for entry in (*strays, *found.strays) if not entry.is_folder)
    return replace(found, strays=beside, notes=found.notes + (notes if found.layout in (FOLDERS, FLAT) else ()))


def _read(entries: Sequence[Entry], names: Sequence[str], root: str) -> Recognised:
    """Return whose the entries are, now that students stand at their top."""
    level = Level(entries)
    if METADATA in level.files:
        return _gradescope(entries, level)
    if layout := _by_form(level, names):
        owners = {top: o for top in level.folders if (o := layout.owner(top, is_folder=True))}
        found = _owned(entries, layout, owners, names)
        return _blackboard(found) if layout is BLACKBOARD else _one_each(found) if layout is CANVAS else found
    if is_sakai(level):
        named = {top: SAKAI.owner(top, is_folder=True) or Owner(top) for top in level.folders}
        return _owned(entries, SAKAI, named, names)
    _check(level, names)
    if level.notebooks:
        return _flat_class(entries, level.notebooks, names)
    found = _folders(entries, level, root)
    return _ilias_late(found, names) if found.layout is ILIAS else found


def _folders(entries: Sequence[Entry], level: Level, root: str) -> Recognised:
    """Read a folder for each student, with what is known of it from the folder around them."""
    if root in ILIAS_FOLDERS and level.folders and all(re.fullmatch(r"Team \d+", top) for top in level.folders):
        return _teams(entries)
    layout, cut = {"submitted": NBGRADER, **dict.fromkeys(ILIAS_FOLDERS, ILIAS)}.get(root, FOLDERS), 0
    if is_github(root, level):
        layout, cut = GITHUB, len(root.removesuffix("-submissions")) + 1
    return _owned(entries, layout, {top: Owner(top[cut:]) for top in level.folders}, ())


def _by_form(level: Level, names: Sequence[str]) -> Layout | None:
    """Return the platform whose form every name has.

    Raises
    ------
    UnsupportedLayoutError
        Only some have it.
    """
    tops = [(top, True) for top in level.folders] + [(top, False) for top in level.files]
    partly: tuple[Layout, list[str]] | None = None
    for layout in PATTERNED:
        hits = {top for top, is_folder in tops if layout.owner(top, is_folder=is_folder, names=names)}
        others = [top for top, is_folder in tops if top not in hits and (is_folder or level.files[top].is_notebook)]
        if hits and not others:
            return layout
        if hits and (partly is None or len(others) < len(partly[1])):
            partly = layout, others
    if partly:
        raise refuse(
            f"some names are those of an export from {partly[0].name}, and {some(partly[1])} are not",
            "grade them one after the other into the same --out, each from a folder or zip of its own",
        )
    for pattern, what, next_step in UNSUPPORTED:
        if any(pattern and pattern.match(top) for top, _ in tops):
            raise refuse(f"it looks like {what}", next_step)
    return None


def _check(level: Level, names: Sequence[str]) -> None:
    """Refuse what is no class."""
    holding = level.with_notebooks()
    if assignments := [top for top in (*holding, *level.folders) if top in names]:
        raise refuse(
            f"the folders at the top are assignments ({some(set(assignments))}), not students",
            "put the students' folders outside, or grade one assignment at a time into the same --out: "
            f"`grade …/{assignments[0]} --only {assignments[0].partition('_')[0]}`",
        )
    if holding and set(holding) <= OWN_FOLDERS:
        raise refuse(
            f"{some(holding)} are folders of one learner's course, not students",
            "put them into a folder with the student's name",
        )
    if level.notebooks and level.folders:
        raise refuse(
            f"there are folders ({some(level.folders)}) and notebooks beside them ({some(level.notebooks)})",
            "put each notebook into the folder of its student",
        )
    nested = [top for top in holding if level.inside(top).hands_in_twice(names)]
    if len(nested) > 1 and 2 * len(nested) >= len(holding):
        raise refuse(
            f"the folders {some(nested)} hold several folders with the same notebook: they may be assignments or "
            "groups with students inside",
            "grade each of them on its own into the same --out, or put the students' folders side by side",
        )


def _owned(entries: Sequence[Entry], layout: Layout, folders: Mapping[str, Owner], names: Sequence[str]) -> Recognised:
    owned: list[tuple[Entry, Owner]] = []
    strays: list[Entry] = []
    for entry in entries:
        top, is_folder = entry.parts[0], entry.parts[0] in folders
        owner = folders[top] if is_folder else layout.owner(top, is_folder=False, names=names)
        if owner is not None and not is_folder and entry.ignored:
            owner = None
        if owner is None and len(entry.parts) == 1 and "symbolic link" in entry.refused:
            owner = Owner(top)  # in the place of a student's folder
        if owner is None:
            strays.append(entry)
        else:
            owned.append((entry, owner))
    return Recognised(layout, tuple(owned), tuple(strays))


def _flat_class(entries: Sequence[Entry], notebooks: Sequence[str], names: Sequence[str]) -> Recognised:
    students = flat_students(notebooks, names)
    if nameless := [file for name, file, _ in students if not name]:
        raise refuse(
            f"the notebooks {some(nameless)} have no student in front of the notebook's name",
            "call the files STUDENT_NOTEBOOK.ipynb, or put them into a folder with the student's name",
        )
    whole = [file for _, file, known in students if not known]
    notes = (f"No notebook's name stands in {some(whole)}: the whole name was taken for the student.",) if whole else ()
    owners = {file: Owner(name, file) for name, file, _ in students}
    owned = tuple((entry, owners[entry.parts[0]]) for entry in entries if entry.parts[0] in owners)
    strays = tuple(entry for entry in entries if entry.parts[0] not in owners)
    return Recognised(FLAT, owned, strays, notes)


def _teams(entries: Sequence[Entry]) -> Recognised:
    """Read ILIAS' teams: the folder of the member who uploaded lies in the team's."""
    inner = [replace(entry, parts=entry.parts[1:]) for entry in entries if len(entry.parts) > 1]
    owned = tuple((entry, Owner(entry.parts[0])) for entry in inner)
    note = "ILIAS' export of teams names the member who uploaded: the others of a team have no row of their own."
    return Recognised(ILIAS, owned, tuple(entry for entry in entries if len(entry.parts) == 1), (note,))


def _ilias_late(found: Recognised, names: Sequence[str]) -> Recognised:
    """Take ILIAS' words for lateness from the names of files; name words that may be the same in another language."""
    owned: list[tuple[Entry, Owner]] = []
    perhaps: list[str] = []
    for entry, owner in found.owned:
        late = ILIAS_LATE.fullmatch(entry.parts[-1]) if entry.is_notebook else None
        other = ILIAS_WORDS.fullmatch(entry.parts[-1]) if entry.is_notebook and not late else None
        if other and known_notebook(plain_stem(other["file"]), names)[0] == 0:
            perhaps.append(f"{owner.name}: {entry.parts[-1]}")
        owned.append((entry, replace(owner, file=late["file"], late=True) if late else owner))
    note = (
        f"Words stand in front of notebooks' names ({some(perhaps)}). ILIAS marks late work so; only its English and "
        "German words are read, and these were taken for the learner's own."
    )
    return replace(found, owned=tuple(owned), notes=found.notes + ((note,) if perhaps else ()))


def _gradescope(entries: Sequence[Entry], level: Level) -> Recognised:
    path = level.files[METADATA].path
    people = submitters(path.read_bytes().decode("utf-8", errors="replace")) if path else {}
    owned: list[tuple[Entry, Owner]] = []
    strays: list[Entry] = []
    for entry in entries:
        owners = people.get(entry.parts[0], ())
        owned += [(entry, owner) for owner in owners]
        if not owners and not entry.ignored and entry.parts[0] != METADATA:
            strays.append(replace(entry, refused=entry.refused or f"{METADATA} names no submitter for it."))
    if not owned:
        raise refuse(f"{METADATA} names none of the folders", "use the whole zip of Gradescope's Download Submissions")
    return Recognised(GRADESCOPE, tuple(owned), tuple(strays))


def _blackboard(found: Recognised) -> Recognised:
    """Tell users from assignment: by the text file of each attempt, or because there is only one ``_``.

    Both may hold ``_``. Where neither helps, assignment and user together are the student: long, and never two people.
    """
    users: dict[str, str] = {}
    for entry, owner in found.owned:
        head, _, last = owner.name.rpartition("_")
        if entry.parts[0].endswith(".txt") and entry.path:
            said = re.search(rb"\AName: [^\n]* \(([^()\n]+)\)\r?\n", entry.path.read_bytes()[:1000])
            user = said[1].decode(errors="replace").strip() if said else ""
            if user and owner.name.endswith("_" + user):
                users[owner.name] = user
        if head and "_" not in head:
            users.setdefault(owner.name, last)
    owned = tuple((entry, replace(owner, name=users.get(owner.name, owner.name))) for entry, owner in found.owned)
    return replace(found, owned=owned)


def _one_each(found: Recognised) -> Recognised:
    """Refuse what only looks like Canvas: there nobody has two files of exactly one name."""
    twice = Counter((owner.name, owner.ident, owner.file) for _, owner in found.owned)
    if double := [f"{name}_{ident}" for (name, ident, _), count in twice.items() if count > 1]:
        raise refuse(
            f"the names have the form of Canvas', but {some(double)} would have handed in one file twice",
            "if they are STUDENT_NOTEBOOK files, put them into folders with the students' names",
        )
    return found
