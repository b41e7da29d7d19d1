"""Wrapper finder: archives and platforms put folders around the folders of the students."""

from __future__ import annotations

from collections.abc import Sequence

from autograder.grading.identity.gradescope import METADATA
from autograder.grading.identity.layouts import PATTERNED, SAKAI
from autograder.grading.identity.level import OWN_FOLDERS, Entry, Level, flat_students, refuse, some

__all__ = ["ILIAS_FOLDERS", "is_github", "is_sakai", "wrapper"]

ILIAS_FOLDERS = {"Abgaben", "Submissions"}
_SAKAI_FOLDER = "Submission attachment(s)"
_COURSE = {"source", "release", "submitted", "autograded", "feedback", "downloaded", "results", "cache", "moodle"}
# Where nbgrader keeps what was handed in, and what else lies beside it.
_INSIDE = {"submitted": _COURSE, "inbound": {"inbound", "outbound", "feedback"}}


def wrapper(entries: Sequence[Entry], names: Sequence[str], *, archive: bool, root: str) -> str:
    """Return the folder that stands around the students, if there is one."""
    level = Level(entries)
    if root in _INSIDE or root in ILIAS_FOLDERS or is_github(root, level) or is_sakai(level):
        return ""
    for inside, course in _INSIDE.items():
        if inside in level.folders:
            if beside := [*(set(level.with_notebooks()) - course), *level.notebooks]:
                raise refuse(
                    f"beside nbgrader's folder {inside!r} there are {some(beside)}",
                    f"give the folder {inside!r} itself, or move one of them away",
                )
            return inside
    if len(level.folders) != 1 or level.notebooks or METADATA in level.files:
        return ""
    top = next(iter(level.folders))
    if top in ILIAS_FOLDERS:
        return top
    if any(layout.owner(top, is_folder=True) for layout in PATTERNED):
        return ""
    return top if _stands_around(top, level.inside(top), names, archive=archive) else ""


def _stands_around(top: str, level: Level, names: Sequence[str], *, archive: bool) -> bool:
    """Whether the only folder ``top`` is not a student's, but stands around those of the students."""
    forms = [layout.owner(name, is_folder=True) for layout in PATTERNED for name in level.folders]
    forms += [layout.owner(name, is_folder=False, names=names) for layout in PATTERNED for name in level.files]
    nested = {*_INSIDE, *ILIAS_FOLDERS} & set(level.folders)
    if any(forms) or nested or METADATA in level.files or is_github(top, level) or is_sakai(level):
        return True
    if level.notebooks:
        return len({name for name, _, known in flat_students(level.notebooks, names) if name and known}) > 1
    if not archive or level.hands_in_twice(names):
        return level.hands_in_twice(names)
    holding = level.with_notebooks()
    if not holding or all(name in names for name in holding):  # nothing, or a student's folder for each assignment
        return not holding and len(level.folders) > 1 and not level.files
    if len(holding) == 1 and holding[0] not in OWN_FOLDERS and level.inside(holding[0]).notebooks:
        return True
    raise refuse(
        f"one folder {top!r} holds {some(holding)}, and none of them is a student for certain; "
        "it may be the whole folder of one learner",
        "put a folder with the student's name around it, or give the folder that holds the students",
    )


def is_github(root: str, level: Level) -> bool:
    """Whether the folders are clones of one assignment of GitHub Classroom."""
    slug = root.removesuffix("-submissions")
    names = level.folders
    return slug != root and bool(names) and all(n.startswith(slug + "-") and len(n) > len(slug) + 1 for n in names)


def is_sakai(level: Level) -> bool:
    """Whether the folders, or the files, are those of Sakai."""
    own = (entry for entries in level.folders.values() for entry in entries)
    in_folders = any(len(entry.parts) > 2 and entry.parts[1] == _SAKAI_FOLDER for entry in own)
    return in_folders or any(SAKAI.owner(name, is_folder=False) for name in level.files)
