"""The bundle: a folder with a model, its input schema, its environment, its card, and a signed list of all of them.

Nothing in it can run code when it is read: the files are ONNX, JSON and Markdown, never a pickle. Opening checks first
who signed the manifest, then that every byte is the one that was signed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_lib.errors import BundleError
from course_lib.packaging import signing
from course_lib.packaging.scoring import Scorer

__all__ = ["FILES", "FORMAT_VERSION", "MANIFEST", "Bundle", "canonical_json", "open_bundle"]

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
FILES = ("card.md", "environment.json", "model.onnx", "schema.json")
_LIMIT = 512 * 1024 * 1024  # no file of ours comes near; reading a planted giant would fill the memory


@dataclass(frozen=True)
class Bundle:
    """A bundle that was opened, which means: checked.

    Attributes
    ----------
    path
        The folder it was read from.
    name, version, run_id
        Which registered model it is, and the training run that made it.
    model
        The ONNX bytes that were checked. Use them rather than the file, which could change after the check.
    schema
        One dict per input: ``name``, ``kind``, ``unit``, ``low``, ``high``, ``nullable``.
    environment
        Versions the model was trained and exported with.
    card
        The model card, Markdown.
    manifest
        The signed manifest.
    """

    path: Path
    name: str
    version: int
    run_id: str
    model: bytes = field(repr=False)
    schema: tuple[dict[str, Any], ...] = field(repr=False)
    environment: dict[str, str] = field(repr=False)
    card: str = field(repr=False)
    manifest: dict[str, Any] = field(repr=False)

    @property
    def sha256(self) -> str:
        """Digest of the model file, 64 hexadecimal digits."""
        return str(self.manifest["files"]["model.onnx"]["sha256"])

    def scorer(self, *, threads: int = 1) -> Scorer:
        """Load the model into ONNX Runtime."""
        return Scorer(self.model, threads=threads)


def open_bundle(path: Path | str, *, public_key: str | None = None) -> Bundle:
    """Check a bundle and read it.

    Parameters
    ----------
    path
        Folder of the bundle.
    public_key
        The key it must be signed with, 64 hexadecimal digits; by default the environment variable
        ``COURSE_BUNDLE_KEY``, else the key of this machine.

    Raises
    ------
    BundleError
        The folder or manifest is missing, the format is unknown, the signature is wrong, or a file was changed, removed
        or added.
    """
    folder = Path(path)
    manifest = _read_manifest(folder)
    _require_format(manifest)
    _require_signature(manifest, signing.trusted_key(public_key))
    _require_same_files(folder, manifest)
    contents = {name: _checked(folder / name, manifest["files"][name]) for name in FILES}
    return Bundle(
        path=folder,
        name=str(manifest["name"]),
        version=int(manifest["version"]),
        run_id=str(manifest["run_id"]),
        model=contents["model.onnx"],
        schema=tuple(json.loads(contents["schema.json"])),
        environment=json.loads(contents["environment.json"]),
        card=contents["card.md"].decode(),
        manifest=manifest,
    )


def canonical_json(value: Any) -> bytes:
    """Return ``value`` as JSON that is the same bytes every time: keys sorted, no time stamp."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        found = json.loads(_read(path))
    except FileNotFoundError as error:
        raise BundleError(
            f"There is no bundle in {folder}: {MANIFEST} is missing.",
            expected=f"a folder with {', '.join((*FILES, MANIFEST))}",
            next_step="give the folder that `build_bundle` returned",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(
            f"{path} cannot be read: {error}", expected="the JSON that was signed", next_step=_FETCH_AGAIN
        ) from error
    if not isinstance(found, dict):
        raise BundleError(f"{path} is not a JSON object.", expected="the JSON that was signed", next_step=_FETCH_AGAIN)
    return found


_FETCH_AGAIN = "fetch the bundle again from where it was built; don't repair it by hand"


def _require_format(manifest: Mapping[str, Any]) -> None:
    if manifest.get("format_version") != FORMAT_VERSION:
        raise BundleError(
            f"The bundle has format version {manifest.get('format_version')!r}.",
            expected=f"format version {FORMAT_VERSION}, the one this program knows",
            next_step="update the program that opens it, or build the bundle with this version of the course",
        )


def _require_signature(manifest: Mapping[str, Any], public_key: str) -> None:
    unsigned = {name: value for name, value in manifest.items() if name != "signature"}
    try:
        signed = signing.verify(public_key, canonical_json(unsigned), str(manifest.get("signature", "")))
    except ValueError:  # a NaN or half a character, which we never write
        signed = False
    if not signed:
        raise BundleError(
            "The bundle's signature is wrong: its manifest was changed, or somebody else signed it "
            f"(key {manifest.get('key_id', 'not named')}).",
            expected=f"a signature by the trusted key {signing.key_id(public_key)}",
            next_step=_FETCH_AGAIN,
        )


def _require_same_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    signed, there = set(manifest["files"]), {path.name for path in folder.iterdir()} - {MANIFEST}
    problems = [f"{name} is missing" for name in sorted(set(FILES) | signed) if name not in there]
    problems += [f"{name} was added" for name in sorted(there - signed)]
    problems += [f"{name} was never signed" for name in sorted(set(FILES) - signed)]
    if problems:
        raise BundleError(
            f"The bundle {folder} is not what was signed: {'; '.join(problems)}.",
            expected=f"exactly {', '.join((*FILES, MANIFEST))}",
            next_step=_FETCH_AGAIN,
        )


def _checked(path: Path, signed: Mapping[str, Any]) -> bytes:
    """Read a file once, and return the bytes only if they are the ones that were signed."""
    try:
        body = _read(path)
    except OSError as error:
        raise BundleError(f"{path.name} cannot be read: {error}", next_step=_FETCH_AGAIN) from error
    digest = hashlib.sha256(body).hexdigest()
    if len(body) != signed["bytes"] or digest != signed["sha256"]:
        raise BundleError(
            f"{path.name} was changed after it was signed: {len(body):,} bytes, SHA-256 {digest[:12]}….",
            expected=f"{signed['bytes']:,} bytes, SHA-256 {signed['sha256'][:12]}…",
            next_step=_FETCH_AGAIN,
        )
    return body


def _read(path: Path) -> bytes:
    """Read a plain file of this folder; a link could point anywhere, and a giant would fill the memory."""
    if path.is_symlink():
        raise OSError("it is a link, not a file")
    if path.stat().st_size > _LIMIT:
        raise OSError("it is far larger than any file of a bundle")
    return path.read_bytes()
