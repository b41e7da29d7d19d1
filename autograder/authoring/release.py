"""From sources to what is handed out: learner copies in `notebooks/`, and the release that submissions are graded with.

The work is done by nbgrader's own preprocessors, in the order of its ``generate_assignment``, so that stock nbgrader
accepts the result. They run in this process: starting nbgrader's command costs seconds for each notebook.
"""

from __future__ import annotations

import copy
import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.authoring.course_list import FILE, read_list, unlisted
from autograder.authoring.format import TEXT_STUB, Violation, exercise_of, grading, source_path, written
from autograder.authoring.sources import Source, SourceError, read_source
from course_lib.errors import UnwritableError

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = [
    "CODE_STUB",
    "TEXT_STUB",
    "Build",
    "Built",
    "Difference",
    "Sources",
    "build",
    "learner_copy",
    "named",
    "notebook_text",
    "read_sources",
    "release_of",
    "verify",
]

CODE_STUB = (
    'raise NotImplementedError("Exercise {exercise}: replace this line with your code, then run the check below.")'
)

_NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_CELL_METADATA = ("nbgrader", "tags", "deletable", "editable", "jupyter")
_DIFF_LINES = 8  # of each changed cell: enough to recognise the change


@dataclass(frozen=True)
class Built:
    """What `build` did with one notebook."""

    name: str
    path: Path
    changed: bool
    kept: Path | None = None  # where a learner's work that stood in the way was moved
    unwritten: tuple[Violation, ...] = ()  # lines of its source that are still to be written


@dataclass(frozen=True)
class Build:
    """What `build` did, and what it could make no notebook of."""

    built: tuple[Built, ...]
    unfinished: Mapping[str, SourceError]


@dataclass(frozen=True)
class Sources:
    """The sources that keep the contract in course order, and what each of the others breaks."""

    finished: tuple[Source, ...]
    unfinished: Mapping[str, SourceError]


@dataclass(frozen=True)
class Difference:
    """A notebook on disk that is not what its source gives."""

    name: str
    summary: str


def learner_copy(source: Source) -> NotebookNode:
    """Return the notebook as a learner receives it: stubs for solutions, hidden tests gone, no outputs."""
    from nbgrader.preprocessors import CheckCellMetadata, ClearHiddenTests, ClearMarkScheme, ComputeChecksums

    notebook = release_of(source)
    resources: dict[str, str] = {}
    for preprocessor in (ClearHiddenTests(), ClearMarkScheme(), ComputeChecksums(), CheckCellMetadata()):
        notebook, resources = preprocessor.preprocess(notebook, resources)
    return named(notebook)


def release_of(source: Source) -> NotebookNode:
    """Return the notebook that grading starts from: stubs for solutions, hidden tests in place.

    It is what nbgrader records in its gradebook, and what `grade` restores in every submission.
    """
    from nbgrader.preprocessors import CheckCellMetadata, ClearOutput, ClearSolutions, ComputeChecksums, LockCells

    clear = ClearSolutions(code_stub={"python": CODE_STUB}, text_stub=TEXT_STUB)
    notebook = copy.deepcopy(source.notebook)
    resources: dict[str, str] = {}
    for preprocessor in (LockCells(), clear, ClearOutput()):
        notebook, resources = preprocessor.preprocess(notebook, resources)
    for cell in notebook.cells:
        if cell.cell_type == "code" and grading(cell).get("solution"):
            cell.source = cell.source.replace("{exercise}", exercise_of(cell.metadata.nbgrader.grade_id))
    for preprocessor in (CheckCellMetadata(), ComputeChecksums()):
        notebook, resources = preprocessor.preprocess(notebook, resources)
    return named(notebook)


def notebook_text(notebook: NotebookNode) -> str:
    """Return ``notebook`` as the text of its file: the same bytes for the same notebook."""
    import nbformat

    return str(nbformat.writes(notebook, version=nbformat.NO_CONVERT)) + "\n"


def read_sources(root: Path, names: Sequence[str] = ()) -> Sources:
    """Read the named sources of the course at ``root`` (default: all), so that one stops no other.

    Raises
    ------
    SourceError
        None keeps the contract; the breaches of all of them are listed.
    """
    finished: list[Source] = []
    unfinished: dict[str, SourceError] = {}
    for name in names or written(root):
        try:
            finished.append(read_source(source_path(root, name)))
        except SourceError as error:
            unfinished[name] = error
    for name in [] if names else unlisted(root):
        fix = f"add it to {FILE}, or move it out of solutions/"
        unfinished[name] = SourceError([Violation(f"{name}.py", "whole file", f"{FILE} does not list it", fix)])
    if not finished:
        fix = "run the command in the course's folder"
        nothing = [Violation("solutions", "folder", f"no source was found below {root.name}", fix)]
        raise SourceError([found for error in unfinished.values() for found in error.violations] or nothing)
    return Sources(tuple(finished), unfinished)


def build(root: Path, names: Sequence[str] = ()) -> Build:
    """Write the learner copies of the named sources (default: all) to `notebooks/`.

    A notebook there that has been run, and so may hold somebody's work, is moved to `build/replaced/` first.

    Raises
    ------
    SourceError
        Every source breaks the contract; nothing is written then.
    UnwritableError
        A notebook cannot be written.
    """
    sources = read_sources(root, names)
    copies = [(source, notebook_text(learner_copy(source))) for source in sources.finished]
    try:
        return Build(tuple(_write(root, source, text) for source, text in copies), sources.unfinished)
    except OSError as error:
        raise UnwritableError.of(error.filename or root / "notebooks", error) from error


def verify(root: Path, names: Sequence[str] = ()) -> list[Difference]:
    """Return how `notebooks/` differs from what the sources give; empty when they are in sync and nothing is unwritten.

    Raises
    ------
    SourceError
        Every source breaks the contract.
    """
    sources = read_sources(root, names)
    differences = [Difference(name, _lines(error.violations)) for name, error in sources.unfinished.items()]
    titles = {one.name: one.title for one in read_list(root)} if (root / FILE).is_file() else {}
    for source in sources.finished:
        path = root / "notebooks" / f"{source.name}.ipynb"
        wanted = notebook_text(learner_copy(source))
        if not path.is_file():
            differences.append(Difference(source.name, "the notebook is missing"))
        elif (text := path.read_text(encoding="utf-8")) != wanted:
            differences.append(Difference(source.name, _summary(text, wanted)))
        if source.unwritten:
            differences.append(Difference(source.name, f"still to be written:\n{_lines(source.unwritten)}"))
        if titles and (title := titles[source.name]) != source.spec.title:
            differences.append(Difference(source.name, f"its title is {source.spec.title!r}, in {FILE} {title!r}"))
    if not names:
        known = {*written(root), *unlisted(root)}
        absent = [one.name for one in read_list(root) if one.name not in known]
        differences.extend(Difference(name, f"{FILE} lists it, and it has no source") for name in absent)
        strays = sorted(path for path in (root / "notebooks").glob("*.ipynb") if path.stem not in known)
        differences.extend(Difference(path.stem, "there is no source for this notebook") for path in strays)
    return differences


def _lines(violations: Sequence[Violation]) -> str:
    return "\n".join(map(str, violations))


def named(notebook: NotebookNode) -> NotebookNode:
    """Leave in ``notebook`` only metadata that mean something to Jupyter or nbgrader, and give each cell its id.

    The id is the grade id, else it comes from the cell's text: the same source gives the same ids.
    """
    from nbformat import from_dict

    seen: set[str] = set()
    for cell in notebook.cells:
        cell.metadata = from_dict({key: cell.metadata[key] for key in _CELL_METADATA if key in cell.metadata})
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        name = re.sub(r"[^A-Za-z0-9_-]", "-", str(grading(cell).get("grade_id") or digest))[:60]
        cell.id = next(i for k in range(len(notebook.cells)) if (i := f"{name}-{k}" if k else name) not in seen)
        seen.add(cell.id)
        if cell.cell_type == "code":
            cell.execution_count = None
    notebook.metadata = from_dict(_NOTEBOOK_METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def _write(root: Path, source: Source, text: str) -> Built:
    name = source.name
    path = root / "notebooks" / f"{name}.ipynb"
    old = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
    if old == text:
        return Built(name, path, changed=False, unwritten=source.unwritten)
    kept = None
    if old is not None and re.search(r'"execution_count": \d', old):
        digest = hashlib.sha256(old.encode()).hexdigest()[:8]
        kept = root / "build" / "replaced" / f"{name}-{digest}.ipynb"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(old, encoding="utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return Built(name, path, changed=True, kept=kept, unwritten=source.unwritten)


def _summary(text: str, wanted: str) -> str:
    """Say in a few lines in which cells the notebook on disk differs from the one its source gives."""
    try:
        cells = {cell["id"]: cell for cell in json.loads(text)["cells"]}
        wanted_cells = {cell["id"]: cell for cell in json.loads(wanted)["cells"]}
    except (ValueError, KeyError, TypeError):
        return "the file is not a notebook of the current format"
    parts = []
    for cell_id in dict.fromkeys([*wanted_cells, *cells]):
        if cell_id not in cells:
            parts.append(f"cell {cell_id} is missing")
        elif cell_id not in wanted_cells:
            parts.append(f"cell {cell_id} is not in the source")
        elif cells[cell_id] != wanted_cells[cell_id]:
            parts.append(_cell_summary(cell_id, cells[cell_id], wanted_cells[cell_id]))
    return "\n".join(parts or ["the order of the cells or the metadata of the notebook differs"])


def _cell_summary(cell_id: str, cell: dict, wanted: dict) -> str:
    lines, wanted_lines = ("".join(c.get("source", "")).splitlines() for c in (cell, wanted))
    changes = [line for line in difflib.ndiff(lines, wanted_lines) if line[:1] in "+-"]
    if not changes:
        return f"cell {cell_id} differs in its metadata or outputs"
    shown = "\n".join(f"    {line}" for line in changes[:_DIFF_LINES])
    rest = f"\n    … and {len(changes) - _DIFF_LINES} more lines" if len(changes) > _DIFF_LINES else ""
    return f"cell {cell_id} differs (- on disk, + from the source):\n{shown}{rest}"
