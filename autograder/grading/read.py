"""Read one handed-in file: a notebook with clean cells and no outputs, or the reason why it is none. Never raises."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Rejected", "Submission", "read_submission"]

_MAX_BYTES = 256 << 20  # of a file; outputs of 50 MB are common, and they are dropped
_MAX_CELLS = 5_000
_MAX_SOURCE = 10 << 20  # characters of all cells together
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
    """Read the notebook at ``path``; whatever is there, return a value."""
    digest = ""
    try:
        raw = _read_bytes(path)
        digest = hashlib.sha256(raw).hexdigest()
        repairs: list[str] = []
        document = _parse(_decode(raw, repairs))
        return Submission(_clean(document, repairs), digest, tuple(dict.fromkeys(repairs)))
    except _Unreadable as error:
        return Rejected(str(error), digest)
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


def _decode(raw: bytes, repairs: list[str]) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        repairs.append("The file was UTF-16, read as such.")
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        repairs.append("The file was not UTF-8; it was read as Windows text.")
        return raw.decode("cp1252", errors="replace")


def _parse(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text, strict=False)
    except ValueError as error:
        what = _looks_like(text)
        raise _Unreadable(f"The file is not JSON{what}: {str(error)[:200]}.") from error
    if not isinstance(document, dict):
        raise _Unreadable(f"The file is JSON, but a {type(document).__name__} and not a notebook.")
    version = document.get("nbformat", _NEWEST if isinstance(document.get("cells"), list) else None)
    if not isinstance(version, int) or isinstance(version, bool):
        raise _Unreadable("The file is JSON without a notebook's format number (nbformat).")
    if not _OLDEST <= version <= _NEWEST:
        raise _Unreadable(f"The notebook has format {version}; formats {_OLDEST} and {_NEWEST} can be read.")
    return document if version == _NEWEST else _upgraded(document)


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
    kernel = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    notebook: NotebookNode = new_notebook(
        cells=kept, metadata={"kernelspec": kernel} if isinstance(kernel, dict) else {}
    )
    return notebook


def _clean_cell(cell: Any, number: int, repairs: list[str]) -> NotebookNode | None:
    from nbformat import from_dict, v4

    if not isinstance(cell, dict):
        repairs.append(f"Cell {number} was no cell and was left out.")
        return None
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    if not isinstance(source, str):
        repairs.append(f"Cell {number} had no text.")
        source = ""
    readable = source.encode("utf-8", errors="replace").decode("utf-8")
    if readable != source:
        repairs.append(f"Cell {number} held broken characters, shown as '?'.")
    make: dict[str, Any] = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell, "raw": v4.new_raw_cell}
    kind = cell.get("cell_type")
    if not isinstance(kind, str) or kind not in make:
        repairs.append(f"Cell {number} had the unknown type {kind!r:.40}; it was read as text.")
        kind = "raw"
    clean: NotebookNode = make[kind](readable)
    metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    clean.metadata.update(from_dict({k: v for k, v in (metadata or {}).items() if k in ("nbgrader", "tags")}))
    if isinstance(cell.get("id"), str):
        clean.metadata["submitted_id"] = cell["id"][:64]
    if kind == "markdown" and isinstance(cell.get("attachments"), dict):
        clean["attachments"] = from_dict(cell["attachments"])
    return clean
