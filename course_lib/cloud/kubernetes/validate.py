"""Kubernetes manifests as plain dicts, checked against Kubernetes' own schemas.

The first of three checks (is it a manifest at all?). The others are :func:`.review.review` (would it behave?) and
:func:`.rolling.simulate_rollout` (what do users notice of an update?). None of them needs a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from course_lib.cloud.errors import CloudError

__all__ = ["validate"]


def validate(manifests: Sequence[Mapping[str, Any]], *, version: str = "") -> list[str]:
    """Return what Kubernetes' schemas object to, one line a manifest; nothing if all is well.

    Parameters
    ----------
    manifests
        Kubernetes objects.
    version
        Version of Kubernetes such as ``1.33``; by default the newest that kubernetes-validate knows. Its schemas come
        with the package; strict ones, in which a field that does not exist is an error.

    Raises
    ------
    CloudError
        There is no schema for that version.
    """
    from kubernetes_validate import utils as schemas

    wanted = _known_version(version, schemas.all_versions())
    found: list[str] = []
    for place, manifest in enumerate(manifests):
        label = _label(manifest, place)
        if problem := _not_an_object(manifest):
            found.append(f"{label}: {problem}")
            continue
        try:
            schemas.validate(dict(manifest), wanted, strict=True)
        except schemas.ValidationError as error:
            path = ".".join(str(step) for step in error.path) or "the object"
            found.append(f"{label}: {path}: {error.message}")
        except schemas.SchemaNotFoundError:
            found.append(f"{label}: Kubernetes {wanted} has no {manifest['kind']} in {manifest['apiVersion']}")
    return found


def _known_version(version: str, versions: Sequence[str]) -> str:
    """Return the version to check against; ``versions`` are those with schemas, oldest first."""
    if not version:
        return versions[-1]
    short = ".".join(version.removeprefix("v").split(".")[:2])
    if short not in {one.rpartition(".")[0] for one in versions}:
        raise CloudError(
            f"There are no schemas for Kubernetes {version!r}.",
            expected=f"a version between {versions[0]} and {versions[-1]}",
        )
    return short


def _not_an_object(manifest: Any) -> str:
    """Return why this cannot be looked up in the schemas; empty if it can."""
    if not isinstance(manifest, Mapping):
        return "it is no mapping"
    missing = [key for key in ("apiVersion", "kind") if not isinstance(manifest.get(key), str)]
    return f"{' and '.join(missing)} must be given, as text" if missing else ""


def _label(manifest: Any, place: int) -> str:
    if not isinstance(manifest, Mapping):
        return f"manifest {place}"
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{manifest.get('kind', 'manifest')} {name or place}"
