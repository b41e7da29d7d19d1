"""The build context: which files of a folder reach the builder, after ``.dockerignore``, and their digests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["IGNORE_FILE", "Context", "Entry", "ignored", "matches"]

IGNORE_FILE = ".dockerignore"


@dataclass(frozen=True)
class Entry:
    """One file of a context: its size in bytes, its SHA-256, and its text where the context was given as text."""

    size: int
    digest: str
    text: str | None = None


@dataclass(frozen=True)
class Context:
    """The files that a builder receives, by path relative to the context's root."""

    files: Mapping[str, Entry]

    @classmethod
    def of(cls, source: Mapping[str, str | bytes | int] | Path) -> Context:
        """Return the context of a folder, or of plain data, with ``.dockerignore`` applied.

        Parameters
        ----------
        source
            A folder, or contents by path. A number stands for a file of that many bytes whose content does not matter.
        """
        files = _read_folder(source) if isinstance(source, Path) else {p: _entry(v) for p, v in source.items()}
        rules = files[IGNORE_FILE].text if IGNORE_FILE in files else ""
        return cls(
            {path: entry for path, entry in sorted(files.items()) if not ignored(path, (rules or "").splitlines())}
        )

    @property
    def size(self) -> int:
        """Bytes sent to the builder."""
        return sum(entry.size for entry in self.files.values())

    def select(self, pattern: str) -> tuple[str, ...]:
        """Return the files that a COPY source names: a file, a folder, or a wildcard."""
        wanted = _clean(pattern)
        if wanted in {"", "."}:
            return tuple(self.files)
        return tuple(path for path in self.files if any(matches(part, wanted) for part in _prefixes(path)))

    def digest(self, paths: Iterable[str]) -> str:
        """Return one SHA-256 over names and contents: what the builder compares to decide on a cached COPY."""
        total = hashlib.sha256()
        for path in paths:
            total.update(f"{path}\0{self.files[path].digest}\n".encode())
        return total.hexdigest()


def ignored(path: str, rules: Iterable[str]) -> bool:
    """Return whether ``.dockerignore`` rules leave a file out: the last rule that matches decides.

    Examples
    --------
    >>> ignored("data/raw.csv", ["data"]), ignored("data/raw.csv", ["data", "!data/raw.csv"])
    (True, False)
    """
    out = False
    for raw in rules:
        rule = raw.strip()
        if not rule or rule.startswith("#"):
            continue
        keep = rule.startswith("!")
        pattern = _clean(rule[1:] if keep else rule)
        if any(matches(part, pattern) for part in _prefixes(path)):
            out = not keep
    return out


def matches(path: str, pattern: str) -> bool:
    """Return whether a path fits a pattern of Go's ``filepath.Match`` with ``**`` for any number of folders.

    Unlike in ``.gitignore``, a pattern without a slash is anchored: ``*.csv`` does not match ``data/a.csv``.
    """
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    regex = "".join(known.get(p) or (p if p.startswith("[") and p.endswith("]") else re.escape(p)) for p in parts if p)
    return re.fullmatch(regex, path) is not None


def _clean(pattern: str) -> str:
    text = str(PurePosixPath(pattern.strip().strip("\"'").lstrip("/")))
    return "" if text == "." else text.removeprefix("./")


def _prefixes(path: str) -> list[str]:
    """Return the path and every folder above it."""
    parts = path.split("/")
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def _entry(content: str | bytes | int) -> Entry:
    if isinstance(content, int):
        return Entry(content, hashlib.sha256(str(content).encode()).hexdigest())
    body = content.encode() if isinstance(content, str) else content
    return Entry(len(body), hashlib.sha256(body).hexdigest(), content if isinstance(content, str) else None)


def _read_folder(folder: Path) -> dict[str, Entry]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            body = path.read_bytes()
            text = body.decode(errors="replace") if len(body) < 65536 else None
            found[path.relative_to(folder).as_posix()] = Entry(len(body), hashlib.sha256(body).hexdigest(), text)
    return found
