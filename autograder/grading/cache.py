"""Result cache, keyed by content: the same cells, the same tests and the same grader are not run twice.

An entry is one file, written beside its place and moved in, so that a grader that is killed leaves none half written.
The key covers everything a result depends on; nothing is ever looked up by a student's name.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.reports.files import write_atomically

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Cache", "CachedRun", "grader_version", "key_of"]


@dataclass(frozen=True)
class CachedRun:
    """What running a notebook gave: the score of each check, and the notebook with its outputs."""

    checks: tuple[tuple[str, float | None, str], ...]  # grade id, points, message
    died: str
    seconds: float
    peak_mb: float
    notebook: str  # JSON
    notes: tuple[str, ...] = ()  # what was left out of its outputs


class Cache:
    """A folder of entries; without a folder it remembers nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(self, key: str) -> CachedRun | None:
        """Return the entry of ``key``; None if there is none, or if its file is damaged."""
        if self.folder is None:
            return None
        try:
            values = json.loads(self._path(key).read_text(encoding="utf-8"))
            values["checks"] = tuple((i, None if p is None else float(p), str(m)) for i, p, m in values["checks"])
            return CachedRun(**{**values, "notes": tuple(map(str, values["notes"]))})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def put(self, key: str, run: CachedRun) -> None:
        """Store ``run`` under ``key``, at once or not at all."""
        if self.folder is not None:
            write_atomically(self._path(key), json.dumps(asdict(run)))

    def _path(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / key[:2] / f"{key}.json"


def key_of(notebook: NotebookNode, graded: NotebookNode, options: Iterable[Any]) -> str:
    """Return the key of running ``notebook``, a repaired submission, against the release ``graded``."""
    cells = [
        [cell.cell_type, cell.source, cell.metadata.get("nbgrader", {}), cell.get("attachments", {})]  # shown with it
        for cell in notebook.cells
    ]
    released = [[cell.cell_type, cell.source, cell.metadata.get("nbgrader", {})] for cell in graded.cells]
    content = json.dumps([cells, released, [str(option) for option in options], grader_version()], sort_keys=True)
    return hashlib.sha256(content.encode("utf-8", errors="surrogatepass")).hexdigest()


@lru_cache(maxsize=1)
def grader_version() -> str:
    """Return a digest of the grader's code, the course library, the interpreter and every installed package."""
    import course_lib

    digest = hashlib.sha256(sys.version.encode())
    for package in (Path(__file__).parents[1], Path(course_lib.__file__).parent):
        for path in sorted(package.rglob("*.py")):
            digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    # A package's folder of metadata is named after it and its version; to read 700 of them takes a second.
    installed = sorted({path.name for place in sys.path for path in Path(place).glob("*.dist-info")})
    digest.update("\n".join(installed).encode())
    return digest.hexdigest()[:16]
