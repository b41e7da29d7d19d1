"""Autograder zip for Gradescope: the grader, one notebook with its hidden tests, and two programs at its root.

For instructors only: it holds hidden tests and, unless submissions are to run without a sandbox, the solution, with
which the grader finds out what need not be run. The same sources and settings give the same bytes.
"""

from __future__ import annotations

import errno
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from autograder.authoring.archive import package_files, zipped
from autograder.authoring.assignments import Assignment, course_catalogue
from autograder.grading.command import choose_executor
from autograder.grading.gradescope.carried import FILE as ASSIGNMENT, carried
from autograder.grading.gradescope.settings import FILE, GradescopeError, GradescopeSettings
from autograder.grading.options import GradeOptions
from autograder.grading.reference import proven, write_references
from autograder.grading.submission import Grader
from autograder.reports.files import require_writable
from autograder.sandbox import capabilities
from course_lib.errors import UnwritableError

__all__ = ["Package", "check_place", "make_package", "write_package"]

_COPIED = (
    "pyproject.toml",
    "requirements-binder.lock",
    "binder/postBuild",
    "scripts/binder_slim.py",
    "LICENSE",
    "LICENSE-text",
)
_PROGRAMS = ("setup.sh", "run_autograder")


@dataclass(frozen=True)
class Package:
    """The files of the zip by their path inside it, and the points that the machine gives."""

    files: dict[str, bytes]
    points: float

    def archive(self) -> bytes:
        """Return the zip file. Its files lie at the root, where Gradescope looks for them."""
        return zipped(self.files)


def make_package(root: Path, settings: GradescopeSettings) -> Package:
    """Return the autograder of one notebook of the course at ``root``.

    Raises
    ------
    CourseError
        The source breaks the contract, its reference does not pass its own checks, or a file is missing.
    """
    assignment = course_catalogue(root).load(settings.notebook)
    _prove(assignment, settings)
    here = Path(__file__).parent / "files"
    files = {name: _read(root / name) for name in _COPIED}
    files |= {name: body for package in ("course_lib", "autograder") for name, body in package_files(root, package)}
    files |= {name: _read(here / name) for name in _PROGRAMS}
    files[ASSIGNMENT] = carried(assignment, with_solution=settings.sandbox != "none").encode()
    return Package(files | {FILE: settings.dumps().encode()}, assignment.spec.points)


def check_place(out: Path) -> None:
    """Refuse a place for the zip before any work is done.

    Raises
    ------
    GradescopeError
        ``out`` is not called ``….zip``, which Gradescope asks for.
    UnwritableError
        Nothing can be written there.
    """
    if out.suffix != ".zip":
        raise GradescopeError(f"--out is {out}.", expected="a file called ….zip", next_step="add .zip")
    if out.is_dir():
        raise UnwritableError.of(out, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    require_writable(out.parent)


def write_package(package: Package, out: Path) -> int:
    """Write the zip to ``out``; return its size in bytes.

    Raises
    ------
    UnwritableError
        It cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return out.write_bytes(package.archive())
    except OSError as error:
        raise UnwritableError.of(out, error) from error


def _prove(assignment: Assignment, settings: GradescopeSettings) -> None:
    """Refuse a notebook whose reference does not pass: it is the instructor's own code, so it needs no walls."""
    sandbox = capabilities().best or "none"
    make_executor, _, _ = choose_executor(sandbox, seed=settings.seed)
    options = GradeOptions(time_limit=settings.time_limit, cell_limit=settings.cell_limit, seed=settings.seed)
    with tempfile.TemporaryDirectory(prefix="reference-") as scratch:
        references = list(write_references({assignment.name: assignment}, Path(scratch)))
        grader = Grader({assignment.name: assignment}, make_executor, options, None)
        try:
            graded = [(found, grader(found)) for found in references]
        finally:
            grader.close()
    for _, one in graded:
        if one.broken:
            raise GradescopeError(one.result.reason, next_step="run `python -m autograder doctor`")
    list(proven(iter(graded), references))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise GradescopeError(
            f"{path}, which the autograder needs, cannot be read: {error.strerror}",
            expected="a clone of the course with all its files",
            next_step="run the command in such a clone",
        ) from error
