"""Build a bundle: convert the model, describe it, list every file with its digest, and sign the list."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib.errors import BundleError
from course_lib.packaging import signing
from course_lib.packaging.bundle import FORMAT_VERSION, MANIFEST, canonical_json

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

__all__ = ["build_bundle", "versions_here"]


def build_bundle(
    folder: Path | str,
    pipeline: Pipeline,
    *,
    version: int,
    run_id: str,
    name: str = "late-flights",
    card: str | None = None,
    environment: Mapping[str, str] | None = None,
    key: signing.SigningKey | None = None,
) -> Path:
    """Write a signed bundle into a new folder and return its path.

    Parameters
    ----------
    folder
        The folder to make. A bundle is never overwritten: a changed model is a new version.
    pipeline
        The fitted pipeline.
    version, run_id, name
        Which registered version this is, the run that made it, and the model's name.
    card
        The model card in Markdown; by default a short one.
    environment
        Versions to record; by default those of this process.
    key
        The key to sign with; by default :func:`course_lib.packaging.machine_key`.

    Raises
    ------
    BundleError
        The folder exists, or cannot be written.
    ExportError
        The pipeline cannot be converted to ONNX.
    """
    from course_lib.packaging.export import export_onnx, feature_names

    target = Path(folder)
    _require_new(target)
    contents = {
        "model.onnx": export_onnx(pipeline),
        "schema.json": canonical_json(_schema(feature_names(pipeline))),
        "environment.json": canonical_json(dict(environment or versions_here())),
        "card.md": (card or _card(name, version, run_id)).encode(),
    }
    identity = {"name": name, "version": int(version), "run_id": run_id}
    manifest = _signed_manifest(identity, contents, key or signing.machine_key())
    _publish(target, contents | {MANIFEST: canonical_json(manifest)})
    return target


def _require_new(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BundleError(
            f"There is something at {target} already.",
            expected="a folder that does not exist yet: a bundle never changes",
            next_step="write the new version into a folder of its own",
        )


def _schema(names: tuple[str, ...]) -> list[dict[str, Any]]:
    from course_lib import features

    fields = ("name", "kind", "unit", "low", "high", "nullable")
    by_name = {feature.name: asdict(feature) for feature in features.FEATURES}
    return [{key: by_name[name][key] for key in fields} for name in names]


def versions_here() -> dict[str, str]:
    """Return the versions that decide what an exported model is: Python and the libraries that train and convert."""
    import platform
    from importlib.metadata import version

    libraries = ("scikit-learn", "numpy", "skl2onnx", "onnx", "onnxruntime")
    return {"python": platform.python_version()} | {library: version(library) for library in libraries}


def _card(name: str, version: int, run_id: str) -> str:
    return (
        f"# {name}, version {version}\n\n"
        "**Use.** Probability, at the scheduled departure, that a flight out of New York arrives 15 minutes late or "
        f"more. Not for decisions about safety or about single passengers.\n\n**Run.** `{run_id}`\n"
    )


def _signed_manifest(
    identity: Mapping[str, Any], contents: Mapping[str, bytes], key: signing.SigningKey
) -> dict[str, Any]:
    files = {name: {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)} for name, body in contents.items()}
    unsigned = {"format_version": FORMAT_VERSION, **identity, "files": files, "key_id": signing.key_id(key.public)}
    return unsigned | {"signature": key.sign(canonical_json(unsigned))}


def _publish(target: Path, contents: Mapping[str, bytes]) -> None:
    """Write beside the final place and move in at once: nobody sees half a bundle."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as scratch:
            building = Path(scratch) / "bundle"
            building.mkdir()
            for name, body in contents.items():
                (building / name).write_bytes(body)
            building.rename(target)
    except OSError as error:
        if (target / MANIFEST).exists():  # another process published the same content first
            return
        raise BundleError(f"The bundle cannot be written: {error}", next_step="choose another folder") from error
