"""Helper files beside the notebooks of an own course: modules, data and folders that a notebook opens or imports.

As in nbgrader, all that lies beside a source is given to learners, notebooks apart. It is copied to a folder of its
own, which is all that processes with a learner's code see of the course.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from autograder.authoring.own_course.folder import SourceError, is_source

__all__ = ["helpers_beside", "helpers_folder", "staged"]

_NOT_HELPERS = (
    "nbgrader_config.py", "autotests.yml", "autograder.toml", "gradebook.db", "*.pyc", "__pycache__", "node_modules",
    "feedback", ".*",
)  # fmt: skip
_MOST_FILES = 5_000
_MOST_BYTES = 1 << 30


def helpers_beside(notebook: Path, apart: Iterable[Path] = ()) -> dict[str, Path]:
    """Return the helper files beside a source by their path there, such as ``data/flights.csv``.

    Parameters
    ----------
    notebook
        The source.
    apart
        Files and folders that are no helpers wherever they lie, such as what was handed in.

    Raises
    ------
    SourceError
        There are too many of them: the folder holds something else.
    """
    apart = {path.resolve() for path in apart}
    found: dict[str, Path] = {}
    size = 0
    for path in _below(notebook.parent, apart):
        found[path.relative_to(notebook.parent).as_posix()] = path
        size += path.stat().st_size
        if len(found) > _MOST_FILES or size > _MOST_BYTES:
            raise SourceError(
                f"More than {_MOST_FILES:,} files or {_MOST_BYTES >> 30} GB lie beside {notebook.name}.",
                expected="a folder with the notebooks of a course and the files that they need",
                next_step="put the source with its helper files into a folder of its own",
            )
    return found


def _below(folder: Path, apart: set[Path]) -> Iterator[Path]:
    """Yield the helper files in ``folder`` and below it; a folder that holds notebooks is no helper."""
    for path in sorted(folder.iterdir()):
        if path.resolve() in apart or any(fnmatch.fnmatch(path.name, pattern) for pattern in _NOT_HELPERS):
            continue
        if path.is_dir():
            if not any(path.resolve() in other.parents for other in apart) and not _holds_notebooks(path):
                yield from _below(path, apart)
        elif path.is_file() and path.suffix.lower() != ".ipynb" and not is_source(path):
            yield path


def _holds_notebooks(folder: Path) -> bool:
    return any(name.lower().endswith(".ipynb") for _, _, files in os.walk(folder) for name in files)


def helpers_folder(kept: Path) -> Path:
    """Return the folder that holds a folder for each set of helper files, below the one for all that is made."""
    return kept / "files"


def staged(files: dict[str, Path], into: Path) -> str:
    """Copy helper files below ``into``; return the name of their folder there, the same for the same content."""
    if not files:
        return ""
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    folder = into / digest.hexdigest()[:24]
    if folder.is_dir():
        return folder.name
    unfinished = into / f".new-{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    for name, path in files.items():
        target = unfinished / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o644)
    for place in (into, unfinished, *(p for p in unfinished.rglob("*") if p.is_dir())):
        place.chmod(0o755)
    unfinished.replace(folder)
    return folder.name
