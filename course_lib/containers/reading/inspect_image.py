"""Read an image without running it: its layers, the files in each, its history, and what software is inside."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.errors import EngineError

__all__ = ["Archive", "ImageLayer", "read_archive", "sbom"]

_LIMIT = 1_000_000  # larger files are listed, not read: a secret is small


@dataclass(frozen=True)
class ImageLayer:
    """One layer of an image.

    Attributes
    ----------
    made_by
        The instruction that made it.
    files
        Contents by path; ``None`` for files above 1 MB. A path ``folder/.wh.name`` says that ``folder/name`` of a
        layer below is deleted.
    bytes
        Size of all its files.
    """

    made_by: str
    files: Mapping[str, bytes | None]
    bytes: int


@dataclass(frozen=True)
class Archive:
    """An image as ``docker save`` writes it: its layers, bottom first, and its configuration."""

    layers: tuple[ImageLayer, ...]
    config: Mapping[str, Any]


def read_archive(data: bytes | Path, *, skip: int = 0) -> Archive:
    """Read the tar file that ``docker save`` wrote.

    Parameters
    ----------
    data
        The file, or its bytes.
    skip
        Layers at the bottom whose files are not read, such as those of the base image.

    Raises
    ------
    EngineError
        It is no image archive.
    """
    try:
        with tarfile.open(data) if isinstance(data, Path) else tarfile.open(fileobj=io.BytesIO(data)) as outer:
            manifest = json.loads(_member(outer, "manifest.json"))[0]
            config = json.loads(_member(outer, manifest["Config"]))
            made_by = [step.get("created_by", "") for step in config["history"] if not step.get("empty_layer")]
            pairs = zip(manifest["Layers"], made_by, strict=False)
            return Archive(tuple(_layer(outer, *pair, skip=n < skip) for n, pair in enumerate(pairs)), config)
    except (tarfile.TarError, KeyError, ValueError, OSError) as error:
        raise EngineError(
            f"This is no image archive: {error}", expected="a file written by `docker save`", next_step="save it again"
        ) from error


def sbom(layers: Iterable[Mapping[str, bytes | None]]) -> tuple[dict[str, str], ...]:
    """Return the software in an image: name, version and package URL of every Python and Debian package.

    It is read from the packages' own metadata (``*.dist-info/METADATA``, ``/var/lib/dpkg/status``), in the form of
    CycloneDX components (ecma-international.org, ECMA-424).
    """
    found: dict[str, dict[str, str]] = {}
    for files in layers:
        for path, body in files.items():
            if body and path.endswith(".dist-info/METADATA"):
                head = body.decode(errors="replace").split("\n\n")[0]
                name, version = (re.search(rf"^{key}: (.+)$", head, re.M) for key in ("Name", "Version"))
                if name and version:
                    _add(found, name[1].strip(), version[1].strip(), "pypi")
            elif body and path == "var/lib/dpkg/status":
                for block in body.decode(errors="replace").split("\n\n"):
                    name, version = (re.search(rf"^{key}: (.+)$", block, re.M) for key in ("Package", "Version"))
                    if name and version:
                        _add(found, name[1], version[1], "deb/debian")
    return tuple(found[key] for key in sorted(found))


def _add(found: dict[str, dict[str, str]], name: str, version: str, kind: str) -> None:
    url = f"pkg:{kind}/{name.lower()}@{version}"
    found[url] = {"type": "library", "name": name, "version": version, "purl": url}


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()


def _layer(outer: tarfile.TarFile, name: str, made_by: str, *, skip: bool) -> ImageLayer:
    files: dict[str, bytes | None] = {}
    size = 0
    with tarfile.open(fileobj=outer.extractfile(name)) as inner:
        for member in inner:
            size += member.size
            path = member.name.removeprefix("./")
            if member.isfile() and (not skip or path == "var/lib/dpkg/status"):
                body = inner.extractfile(member) if member.size <= _LIMIT else None
                files[path] = body.read() if body else None
    return ImageLayer(re.sub(r"\s+", " ", made_by).strip(), files, size)
