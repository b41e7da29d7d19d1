"""Submitted project: its files, read without following a link or asking Git, and its ``[tool.course]``."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from autograder.projects.model import ProjectError

__all__ = ["Project", "products", "read_project"]

_LEFT_OUT = (
    ".git", ".venv", "venv", ".env", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis",
    "node_modules", "build", "dist", "*.egg-info", "mlruns", "mlartifacts", ".ipynb_checkpoints", ".DS_Store",
)  # fmt: skip
_MAX_FILES, _MAX_BYTES = 2_000, 48 << 20
_TABLE = "[tool.course] in pyproject.toml"


@dataclass(frozen=True)
class Project:
    """A project's files by path, the tables of its ``pyproject.toml``, and its settings for the grader."""

    name: str
    files: Mapping[str, bytes]
    metadata: Mapping[str, Any]
    settings: Mapping[str, Any]

    def visible(self, excluded: Iterable[str]) -> dict[str, bytes]:
        """Return the files without those named, or below a folder named, in ``excluded``."""
        left_out = tuple(excluded)
        return {path: data for path, data in self.files.items() if not _is_below(path, left_out)}

    def digest(self, excluded: Iterable[str] = ()) -> str:
        """Return one SHA-256 over the visible files."""
        total = hashlib.sha256()
        for path, data in sorted(self.visible(excluded).items()):
            total.update(f"{path}\0{hashlib.sha256(data).hexdigest()}\n".encode())
        return total.hexdigest()

    def text(self, path: str) -> str | None:
        """Return a file as text, ``None`` if there is none."""
        return self.files[path].decode(errors="replace") if path in self.files else None

    def declared(self) -> dict[str, str]:
        """Return the requirements of the project, its extras and groups: their text by name."""
        project = self.metadata.get("project", {})
        extras = [project.get("optional-dependencies", {}), self.metadata.get("dependency-groups", {})]
        texts = [
            *project.get("dependencies", ()),
            *(one for extra in extras for each in extra.values() for one in each),
        ]
        named = [(re.match(r"[A-Za-z0-9._-]+", text.strip()), text) for text in texts if isinstance(text, str)]
        return {found[0]: text for found, text in named if found}

    def command(self, name: str, **values: object) -> list[str]:
        """Return a command of the settings, with ``{port}`` and the like filled in."""
        words = [str(word) for word in self.settings[name]]
        for key, value in values.items():
            words = [word.replace("{" + key + "}", str(value)) for word in words]
        return words


def read_project(folder: Path, tables: Mapping[str, Mapping[str, str]]) -> Project:
    """Read the project in ``folder``.

    Parameters
    ----------
    folder
        Its root.
    tables
        What ``[tool.course]`` must name, and what each value is, by the name of the practice project.

    Raises
    ------
    ProjectError
        There is no such folder, it is too large, or its ``[tool.course]`` table is missing or wrong.
    """
    if not folder.is_dir():
        raise ProjectError(f"There is no folder {folder}.", expected="the root of a practice project")
    files = _read(folder)
    if "pyproject.toml" not in files:
        raise ProjectError(
            f"{folder} has no pyproject.toml.",
            expected="the root of a practice project",
            next_step="start one with `python -m course_lib.projects start model-api DIR`",
        )
    try:
        metadata = tomllib.loads(files["pyproject.toml"].decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProjectError(f"pyproject.toml is no TOML: {error}.", next_step="fix that line") from error
    settings = metadata.get("tool", {}).get("course")
    if not isinstance(settings, dict):
        raise ProjectError(
            "pyproject.toml says nothing to the grader.",
            expected=f"a table {_TABLE}",
            next_step="copy the table from the starting repository",
        )
    table = tables.get(str(settings.get("project")))
    if table is None:
        raise ProjectError(
            f"There is no practice project called {settings.get('project')!r}.",
            expected=f"project = one of {', '.join(tables)} in {_TABLE}",
        )
    _check(settings, table)
    files = {path: data for path, data in files.items() if not _is_below(path, products(settings))}
    name = str(metadata.get("project", {}).get("name", folder.resolve().name))
    return Project(name, files, metadata, settings)


def products(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the files and folders that training makes: what is there of them already is never handed in."""
    return tuple(str(settings[key]) for key in ("model", "tracking") if key in settings)


def _read(folder: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    size = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_left_out(name))
        for name in sorted(names):
            path = Path(place) / name
            found = path.lstat()
            if _is_left_out(name) or not stat.S_ISREG(found.st_mode):
                continue
            size += found.st_size
            if len(files) >= _MAX_FILES or size > _MAX_BYTES:
                raise ProjectError(
                    f"The project is larger than {_MAX_FILES} files or {_MAX_BYTES >> 20} MB.",
                    expected="source code, tests and a small data set",
                    next_step="take out what training makes, and data that a package brings",
                )
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return files


def _is_left_out(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in _LEFT_OUT)


def _is_below(path: str, places: Iterable[str]) -> bool:
    parts = [path, *(str(parent) for parent in PurePosixPath(path).parents)]
    return any(place in parts for place in places)


def _check(settings: Mapping[str, Any], table: Mapping[str, str]) -> None:
    for key, what in table.items():
        value = settings.get(key)
        if what.startswith("command"):
            right = isinstance(value, list) and bool(value) and all(isinstance(word, str) for word in value)
        elif what.startswith("number"):
            right = isinstance(value, int) and not isinstance(value, bool)
        else:
            right = isinstance(value, str) and bool(value)
        if not right:
            raise ProjectError(
                f"{_TABLE} has no right value for {key!r}: {value!r}.",
                expected=f"{key} = {what}",
                next_step="compare with the starting repository",
            )
        if (
            what.startswith("path")
            and isinstance(value, str)
            and (PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts)
        ):
            raise ProjectError(f"{key} = {value!r} leaves the project.", expected=f"{key} = {what}")
