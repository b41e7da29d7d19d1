"""Course list: which notebooks there are, in which order, with their titles and time budgets, as `course.toml` says.

A course without that file is what lies in its `solutions/`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from course_lib.errors import CourseError

__all__ = ["FILE", "NAME", "CourseListError", "Listed", "parse_list", "read_list", "unlisted"]

FILE = "course.toml"
NAME = re.compile(r"[0-9]{2}_[a-z0-9]+(?:_[a-z0-9]+)*")
_SOURCES = "[0-9][0-9]_*.py"


class CourseListError(CourseError):
    """The list of notebooks cannot be read."""


@dataclass(frozen=True)
class Listed:
    """One notebook on the list."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, not a field

    name: str  # "01_mlops_overview"
    title: str
    budget: float = 60.0  # seconds that the reference may take on two processors

    @classmethod
    def by_name(cls, name: str) -> Listed:
        """Return what is known of a notebook that is on no list.

        >>> Listed.by_name("10_feature_stores").title
        'Feature stores'
        """
        return cls(name, name.partition("_")[2].replace("_", " ").capitalize())


def read_list(root: Path) -> tuple[Listed, ...]:
    """Return the notebooks of the course at ``root``, in order.

    Raises
    ------
    CourseListError
        `course.toml` cannot be read, or is no list of notebooks.
    """
    try:
        return parse_list((root / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return tuple(Listed.by_name(name) for name in _sources(root))
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(str(error)) from error


def parse_list(text: str) -> tuple[Listed, ...]:
    """Return the notebooks that the text of a `course.toml` lists, in order.

    Raises
    ------
    CourseListError
        It is no list of notebooks.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        found = TypeAdapter(dict[str, tuple[Listed, ...]]).validate_python(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(str(error)) from error
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise _unreadable("; ".join(faults)) from error
    if other := found.keys() - {"notebook"}:
        raise _unreadable(f"it has {', '.join(sorted(other))}, which means nothing here")
    entries = found.get("notebook", ())
    for fault in _faults(entries):
        raise _unreadable(fault)
    return entries


def unlisted(root: Path) -> list[str]:
    """Return the sources in `solutions/` that are not on the list."""
    known = {one.name for one in read_list(root)}
    return [name for name in _sources(root) if name not in known]


def _sources(root: Path) -> list[str]:
    return [path.stem for path in sorted((root / "solutions").glob(_SOURCES))]


def _faults(entries: Sequence[Listed]) -> list[str]:
    faults = [f"{one.name!r} is no name for a notebook" for one in entries if not NAME.fullmatch(one.name)]
    faults += [f"{one.name} has no title" for one in entries if not one.title.strip()]
    faults += [f"{one.name} has the budget {one.budget:g}" for one in entries if not 0 < one.budget < float("inf")]
    for before, after in pairwise(entries):
        if after.name[:2] <= before.name[:2]:
            faults.append(f"{after.name} comes after {before.name}: numbers rise, and each is there once")
    return faults


def _unreadable(problem: str) -> CourseListError:
    return CourseListError(
        f"{FILE}, the list of notebooks, cannot be read: {problem}",
        expected='for each notebook [[notebook]], name = "01_topic", title = "…" and budget = 60 (seconds)',
        next_step="correct that line, or take the file from git again",
    )
