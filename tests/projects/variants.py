"""Broken variants of a reference project: small edits, and the requirements that each must fail, and no others."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from autograder.projects.model import ProjectError
from autograder.projects.submission import Project

__all__ = ["Variant", "read_variants"]


@dataclass(frozen=True)
class Edit:
    """A change of one file: ``find`` replaced by ``replace``, or the whole ``content``."""

    file: str
    find: str = ""
    replace: str = ""
    content: str | None = None

    def apply(self, files: Mapping[str, bytes]) -> bytes:
        """Return the file as the edit leaves it.

        Raises
        ------
        ProjectError
            The text to replace is not there: the variant would break nothing.
        """
        if self.content is not None:
            return self.content.encode()
        text = files.get(self.file, b"").decode()
        if self.find not in text or not self.find:
            raise ProjectError(
                f"{self.file} does not hold {self.find!r}.", expected="a variant made for this reference"
            )
        return text.replace(self.find, self.replace).encode()


@dataclass(frozen=True)
class Variant:
    """A reference with a fault: what was changed, the stages that can notice, and what they must find."""

    name: str
    stages: tuple[str, ...]
    fails: frozenset[str]
    edits: tuple[Edit, ...]

    def of(self, project: Project) -> Project:
        """Return the project with the fault."""
        files = dict(project.files)
        for edit in self.edits:
            files[edit.file] = edit.apply(files)
        metadata = tomllib.loads(files["pyproject.toml"].decode())
        return replace(project, files=files, metadata=metadata, settings=metadata["tool"]["course"])


def read_variants(path: Path) -> list[Variant]:
    """Return the variants that a TOML file describes."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["variant"]
    return [
        Variant(
            entry["name"],
            tuple(entry["stages"]),
            frozenset(entry["fails"]),
            tuple(Edit(**edit) for edit in entry["edit"]),
        )
        for entry in entries
    ]
