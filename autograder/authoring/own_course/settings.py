"""Settings of an own course in its ``autograder.toml``: which files are taken along, and how some checks are judged."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.authoring.own_course.folder import SourceError, locate

__all__ = ["FILE", "OwnSettings", "own_settings"]

FILE = "autograder.toml"
_UNSEEN = ("refuse", "learner")


@dataclass(frozen=True)
class OwnSettings:
    """What the course says of itself; the command line comes first."""

    helpers: tuple[str, ...] = ()  # patterns of the learners' files that are taken along
    unseen: str = ""  # "refuse" or "learner"


def own_settings(source: Path) -> OwnSettings:
    """Return the settings of the own course at ``source``.

    Raises
    ------
    SourceError
        The file cannot be read, or says something that is not known.
    """
    found = locate(source)
    folders = dict.fromkeys([*(file.path.parent for file in found.files), found.root])
    path = next((folder / FILE for folder in folders if (folder / FILE).is_file()), None)
    if path is None:
        return OwnSettings()
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _wrong(path, f"it cannot be read ({error})") from error
    if unknown := sorted(values.keys() - {"helpers", "unseen"}):
        raise _wrong(path, f"{', '.join(unknown)} is not known")
    helpers, unseen = values.get("helpers", []), values.get("unseen", "")
    if not (isinstance(helpers, list) and all(isinstance(pattern, str) for pattern in helpers)):
        raise _wrong(path, "helpers is no list of texts")
    if unseen and unseen not in _UNSEEN:
        raise _wrong(path, f"unseen is {unseen!r}")
    return OwnSettings(tuple(helpers), unseen)


def _wrong(path: Path, what: str) -> SourceError:
    return SourceError(
        f"{path} is not as it should be: {what}.",
        expected='lines such as helpers = ["*.py"] and unseen = "learner"',
        next_step="correct it, or delete it and use the options --helpers and --unseen",
    )
