"""Notebook reader for one handed-in file: clean cells without outputs, or the reason why it is none. Never raises.

Outputs are cut out of the bytes before these are parsed (:mod:`autograder.grading.notebook.shape`): however many, large
or deep they are, they cost no points. What is parsed has a limit on its size and on its shape.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.grading.notebook.shape import Misshapen, parse, skim
from autograder.text import Unbounded, bounded_json, runnable, visible

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Rejected", "Submission", "new_cell", "read_submission", "told"]

_MAX_BYTES = 256 << 20  # of a file; outputs of 50 MB are common, and they are dropped
_MAX_CELLS = 5_000
_MAX_SOURCE = 10 << 20  # characters of all cells together
_MAX_LINES = 200_000  # of the source of one cell, where it is a list of lines
_MAX_ATTACHMENTS = 100  # of one cell
_MAX_PICTURES = 8 << 20  # characters of the attachments of one cell
_MAX_REPAIRS = 50  # told of one file
_OLDEST, _NEWEST = 3, 4  # versions of the notebook format that can be read


@dataclass(frozen=True)
class Rejected:
    """A file that cannot be graded."""

    reason: str
    digest: str = ""


@dataclass(frozen=True)
class Submission:
    """A file that can be graded: its cells, its digest, and what was repaired while reading it."""

    notebook: NotebookNode = field(repr=False)
    digest: str
    repairs: tuple[str, ...] = ()


class _Unreadable(Exception):
    """Why the file is no notebook."""


def read_submission(path: Path) -> Submission | Rejected:
    """Read the notebook at ``path``; always return a value."""
    digest = ""
    try:
        raw = _read_bytes(path)
        digest = hashlib.sha256(raw).hexdigest()
        repairs: list[str] = []
        document = _parse(raw, repairs)
        return Submission(_clean(document, repairs), digest, told(repairs))
    except (_Unreadable, Misshapen) as error:
        return Rejected(visible(str(error), 600), digest)
    except (RecursionError, MemoryError):
        return Rejected("The file is nested too deeply or too large to be read.", digest)
    except Exception as error:  # a stranger's file: no error of ours may stop the class
        return Rejected(f"The file cannot be read as a notebook ({type(error).__name__}).", digest)


def _read_bytes(path: Path) -> bytes:
    """Read a regular file without following a link and without waiting on a pipe."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise _Unreadable(f"The file cannot be opened: {error.strerror}.") from error
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _Unreadable("It is not a regular file.")
        if status.st_size > _MAX_BYTES:
            raise _Unreadable(f"The file has {status.st_size >> 20} MB; at most {_MAX_BYTES >> 20} MB can be read.")
        raw = file.read(_MAX_BYTES + 1)
    if not raw.strip():
        raise _Unreadable("The file is empty.")
    return raw


def told(repairs: Iterable[str]) -> tuple[str, ...]:
    """Return the repairs, each once, as text that can be shown; of very many the first ones."""
    different = list(dict.fromkeys(repairs))
    more = [f"… and {len(different) - _MAX_REPAIRS} more."] if len(different) > _MAX_REPAIRS else []
    return (*(visible(repair, 600) for repair in different[:_MAX_REPAIRS]), *more)


def _parse(raw: bytes, repairs: list[str]) -> dict[str, Any]:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        repairs.append("The file was UTF-16, read as such.")
        raw = raw.decode("utf-16", errors="replace").encode("utf-8", errors="replace")
    text = _decode(skim(raw, repairs), repairs)
    try:
        document = parse(text, repairs)
    except ValueError as error:
        raise _Unreadable(f"The file is not JSON{_looks_like(text)}: {str(error)[:200]}.") from error
    if not isinstance(document, dict):
        raise _Unreadable(f"The file is JSON, but a {type(document).__name__} and not a notebook.")
    version = document.get("nbformat", _NEWEST if isinstance(document.get("cells"), list) else None)
    if not isinstance(version, int) or isinstance(version, bool):
        raise _Unreadable("The file is JSON without a notebook's format number (nbformat).")
    if not _OLDEST <= version <= _NEWEST:
        raise _Unreadable(f"The notebook has format {version!s:.20}; formats {_OLDEST} and {_NEWEST} can be read.")
    return document if version == _NEWEST else _upgraded(document)


def _decode(raw: bytes, repairs: list[str]) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        repairs.append("The file was not UTF-8; it was read as Windows text.")
        return raw.decode("cp1252", errors="replace")


def _looks_like(text: str) -> str:
    start = text.lstrip()[:200].lower()
    if start.startswith(("<!doctype", "<html")):
        return " but a web page"
    if "<<<<<<<" in text and ">>>>>>>" in text:
        return " (it holds the marks of an unresolved merge)"
    return ""


def _upgraded(document: dict[str, Any]) -> dict[str, Any]:
    import nbformat

    try:
        old = nbformat.from_dict(document)
        return dict(nbformat.convert(old, _NEWEST), _upgraded_from=document["nbformat"])
    except Exception as error:  # the converters raise whatever a damaged notebook makes them stumble on
        raise _Unreadable(f"The notebook of format {document['nbformat']} is damaged: {error!r:.200}") from error


def _clean(document: dict[str, Any], repairs: list[str]) -> NotebookNode:
    """Build a new notebook from what is sound in ``document``; outputs are never taken over."""
    from nbformat import from_dict
    from nbformat.v4 import new_notebook

    if "_upgraded_from" in document:
        repairs.append(f"The notebook was of format {document['_upgraded_from']}; it was converted to 4.")
    cells = document.get("cells")
    if not isinstance(cells, list):
        raise _Unreadable("The notebook has no list of cells.")
    if len(cells) > _MAX_CELLS:
        raise _Unreadable(f"The notebook has {len(cells)} cells; at most {_MAX_CELLS} are read.")
    kept = [clean for number, cell in enumerate(cells, 1) if (clean := _clean_cell(cell, number, repairs)) is not None]
    if sum(len(cell.source) for cell in kept) > _MAX_SOURCE:
        raise _Unreadable("The notebook's cells hold more than 10 million characters.")
    if not kept:
        raise _Unreadable("The notebook has no cells.")
    metadata = document.get("metadata")
    notebook: NotebookNode = new_notebook(cells=kept)
    if isinstance(metadata, dict) and isinstance(metadata.get("kernelspec"), dict):
        with _noted("The notebook's kernel was not read", repairs):
            notebook.metadata["kernelspec"] = from_dict(bounded_json(metadata["kernelspec"], items=100))
    return notebook


def _clean_cell(cell: Any, number: int, repairs: list[str]) -> NotebookNode | None:
    from nbformat import from_dict

    if not isinstance(cell, dict):
        repairs.append(f"Cell {number} was no cell and was left out.")
        return None
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(line for line in source[:_MAX_LINES] if isinstance(line, str))
    if not isinstance(source, str):
        repairs.append(f"Cell {number} had no text.")
        source = ""
    readable = runnable(source)
    if readable != source:
        repairs.append(f"Cell {number} held characters that cannot be shown; they are written as escapes (\\x00).")
    kind = cell.get("cell_type")
    if kind not in ("code", "markdown", "raw"):
        repairs.append(f"Cell {number} had the unknown type {kind!r:.40}; it was read as text.")
        kind = "raw"
    clean = new_cell(kind, readable)
    metadata = cell.get("metadata")
    given: dict[str, Any] = metadata if isinstance(metadata, dict) else {}
    if "nbgrader" in given:
        with _noted(f"Cell {number} had nbgrader metadata that no notebook has", repairs):
            clean.metadata["nbgrader"] = from_dict(bounded_json(given["nbgrader"], items=500, characters=20_000))
    if isinstance(cell.get("id"), str):
        clean.metadata["submitted_id"] = visible(cell["id"][:64])
    if kind == "markdown" and isinstance(cell.get("attachments"), dict):
        with _noted(f"The attachments of cell {number} were left out", repairs):
            clean["attachments"] = _attachments(cell["attachments"])
    return clean


@contextlib.contextmanager
def _noted(what: str, repairs: list[str]) -> Iterator[None]:
    """Leave out what is beyond measure in the block, and say so."""
    try:
        yield
    except Unbounded as error:
        repairs.append(f"{what}: {error}.")


def _attachments(attachments: dict[str, Any]) -> NotebookNode:
    from nbformat import from_dict

    if len(attachments) > _MAX_ATTACHMENTS:
        raise Unbounded(f"{len(attachments):,} of them, at most {_MAX_ATTACHMENTS} are kept")
    pictures = {
        name: {kind: data for kind, data in bundle.items() if isinstance(data, str)}
        for name, bundle in attachments.items()
        if isinstance(bundle, dict)
    }
    kept: NotebookNode = from_dict(bounded_json(pictures, items=1000, characters=_MAX_PICTURES))
    return kept


def new_cell(cell_type: str, source: str, **options: Any) -> NotebookNode:
    """Return a new cell of a type: code, markdown or raw."""
    from nbformat import v4

    make: dict[str, Any] = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell, "raw": v4.new_raw_cell}
    cell: NotebookNode = make[cell_type](source, **options)
    return cell
