"""Reproducible archive: files by their path become a zip whose bytes depend on nothing else."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

__all__ = ["mode_of", "package_files", "zipped"]

_EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip file holds a time for each file: always this one
_NOT_PACKED = ("__pycache__", ".ipynb_checkpoints", "skeleton")  # the last: what a new notebook starts from


def zipped(files: Mapping[str, bytes], *, folder: str = "") -> bytes:
    """Return ``files`` as a zip file, below ``folder`` if one is named: the same files give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(f"{folder}/{name}" if folder else name, _EPOCH)
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3  # Unix, wherever it is made
            info.external_attr = (0o100000 | mode_of(files[name])) << 16
            archive.writestr(info, files[name])
    return packed.getvalue()


def mode_of(body: bytes) -> int:
    """Return the permissions of a file: who names an interpreter in its first line is a program."""
    return 0o755 if body.startswith(b"#!") else 0o644


def package_files(root: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files of the package ``name`` below ``root``, without what Python and Jupyter leave beside them."""
    for path in sorted((root / name).rglob("*")):
        inside = PurePosixPath(path.relative_to(root).as_posix())
        if path.is_file() and path.suffix != ".pyc" and not set(_NOT_PACKED) & set(inside.parts):
            yield str(inside), path.read_bytes()
