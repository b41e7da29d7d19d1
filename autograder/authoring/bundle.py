"""What learners get: the notebooks without solutions and hidden tests, and what runs and checks them.

The bundle is a folder that works by itself: `make lab` opens it, `python -m autograder check 01` answers in it. Its
Makefile and scripts are the project's own, cut down. The same sources give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.authoring.archive import mode_of, package_files, zipped
from autograder.authoring.course_list import FILE
from autograder.authoring.format import Violation, grading
from autograder.authoring.release import TEXT_STUB, learner_copy, notebook_text, read_sources
from autograder.authoring.sources import SourceError
from course_lib.errors import CourseError

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from autograder.authoring.sources import Source

__all__ = ["NAME", "Bundle", "BundleError", "make_bundle", "secrets_in", "write_bundle"]

NAME = "mlops-course"  # the folder inside the archive
_TARGETS = ("help", "env", "lab", "engines", "images", "vllm", "clean")  # of the Makefile: what a learner uses
_COPIED = (
    "pyproject.toml", "requirements.lock", "requirements-vllm.in", "requirements-vllm.lock",
    "LICENSE", "LICENSE-text", ".gitignore",
)  # fmt: skip
_PACKAGES = ("course_lib", "autograder")
_SECRET = re.compile(r"### BEGIN (?:SOLUTION|HIDDEN TESTS|MARK SCHEME)\n(.*?)### END", re.S)
_TELLING = 24  # characters: a shorter line, such as `return result`, stands in many places by chance
_COMMONPLACE = re.compile(r"except [\w., ()]+:")  # and so does this one


class BundleError(CourseError):
    """The bundle cannot be made, or would give something away."""


@dataclass(frozen=True)
class Bundle:
    """The files of a bundle by their path inside it."""

    files: Mapping[str, bytes]
    notebooks: tuple[str, ...]
    left_out: Mapping[str, SourceError] = field(default_factory=dict)  # unfinished ones, and why they are

    def archive(self) -> bytes:
        """Return the bundle as a zip file: the same files give the same bytes."""
        return zipped(self.files, folder=NAME)


def make_bundle(root: Path, names: Sequence[str] = ()) -> Bundle:
    """Return what learners get of the course at ``root``. An unfinished notebook is left out, and named.

    Parameters
    ----------
    root
        Folder of the course, with its sources.
    names
        Notebooks to include; default: all that are written.

    Raises
    ------
    SourceError
        No source is finished.
    BundleError
        A file that a learner needs is missing, or a file would give away a solution or a hidden test.
    """
    read = read_sources(root, names)
    drafts = {source.name: SourceError([_draft(source)]) for source in read.finished if source.draft}
    sources, left_out = [one for one in read.finished if not one.draft], {**read.unfinished, **drafts}
    if not sources:
        raise SourceError([violation for error in left_out.values() for violation in error.violations])
    files = {f"notebooks/{source.name}.ipynb": notebook_text(learner_copy(source)).encode() for source in sources}
    files |= {name: _read(root / name) for name in (*_COPIED, *([FILE] if (root / FILE).is_file() else []))}
    files |= {name: body for package in _PACKAGES for name, body in package_files(root, package)}
    makefile = learner_makefile(_read(root / "Makefile").decode())
    files |= {"Makefile": makefile.encode(), "README.md": _read(root / "docs" / "learner.md")}
    files |= {name: _read(root / name) for name in sorted(set(re.findall(r"scripts/[\w.]+", makefile)))}
    if given_away := secrets_in(files, sources):
        raise BundleError(
            "The bundle would give away what learners must not see: " + "; ".join(given_away[:5]),
            expected="no line of a solution in a notebook, and no line of a hidden test in any file",
            next_step="move that text out of the file, or change the solution or test",
        )
    return Bundle(files, tuple(source.name for source in sources), left_out)


def write_bundle(bundle: Bundle, out: Path) -> Path:
    """Write the bundle to ``out``: a zip file if it is named so, else a folder; return the path.

    Raises
    ------
    BundleError
        ``out`` is a folder that holds something, or cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".zip":
            out.write_bytes(bundle.archive())
            return out
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise BundleError(
                f"{out} is there already.", expected="a new folder", next_step="delete it or name another"
            )
        for name, body in bundle.files.items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
            path.chmod(mode_of(body))
    except OSError as error:
        raise BundleError(f"{out} cannot be written: {error.strerror}", next_step="choose another place") from error
    return out


def learner_makefile(text: str) -> str:
    """Return the Makefile with the targets that a learner uses, and what stands above the first one."""
    blocks = re.split(r"\n{2,}", text.strip())
    kept = []
    for block in blocks:
        target = re.search(r"^(\w+):(?!=)", block, re.M)
        if target is None or target[1] in _TARGETS:
            kept.append(re.sub(r"^\.PHONY:.*$", ".PHONY: " + " ".join(_TARGETS), block, flags=re.M))
    return "\n\n".join(kept) + "\n"


def secrets_in(files: Mapping[str, bytes], sources: Sequence[Source]) -> list[str]:
    """Return which files hold a telling line of a hidden test or, among the notebooks, of a solution.

    A solution may look like the library, which has to do the same work; so its lines are looked for in notebooks only,
    and a line that also stands in the open, in a cell that learners are given, is no secret.
    """
    lines = {name: _lines(_text_of(name, body.decode("utf-8", errors="replace"))) for name, body in files.items()}
    cells = [(cell, source.path.name) for source in sources for cell in source.notebook.cells]
    in_the_open = {TEXT_STUB}.union(*[_lines(_open_text(cell)) for cell, _ in cells])
    found = []
    for cell, source in cells:
        hidden = "BEGIN HIDDEN TESTS" in cell.source
        telling = {line for line in _lines(_secret_text(cell)) - in_the_open if _tells(line)}
        searched = [name for name in sorted(files) if hidden or name.startswith("notebooks/")]
        seen = {name: min(telling & lines[name]) for name in searched if telling & lines[name]}
        found += [f"{name} holds {line!r} of {grading(cell)['grade_id']} in {source}" for name, line in seen.items()]
    return found


def _draft(source: Source) -> Violation:
    return Violation(
        source.path.name, "whole file", source.draft, f"`autograder build --only {source.name[:2]}` lists them"
    )


def _secret_text(cell: NotebookNode) -> str:
    return str(cell.source) if _is_answer(cell) else "\n".join(_SECRET.findall(cell.source))


def _open_text(cell: NotebookNode) -> str:
    return "" if _is_answer(cell) else _SECRET.sub("", cell.source)


def _is_answer(cell: NotebookNode) -> bool:
    """Whether the cell is a written answer: all of it is the solution."""
    return bool(grading(cell).get("solution")) and "### BEGIN" not in cell.source


def _tells(line: str) -> bool:
    return len(line) >= _TELLING and not _COMMONPLACE.fullmatch(line)


def _lines(text: str) -> set[str]:
    return {" ".join(line.split()) for line in text.splitlines()}


def _text_of(name: str, text: str) -> str:
    """Return the text of a file; of a notebook that of its cells."""
    if not name.endswith(".ipynb"):
        return text
    import nbformat

    notebook: NotebookNode = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    return "\n".join(cell.source for cell in notebook.cells)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path.name}, which learners need, cannot be read: {error.strerror}",
            expected="a clone of the course with all its files",
            next_step="run the command in such a clone",
        ) from error
