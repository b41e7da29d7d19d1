"""The artifact store of bundles: beside the run that made them, found through the registry's aliases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from course_lib.errors import BundleError
from course_lib.packaging import bundle as bundles

if TYPE_CHECKING:
    from course_lib.tracking import Store

__all__ = ["fetch", "publish"]


def publish(store: Store, bundle: Path, *, public_key: str | None = None) -> str:
    """Check a bundle, store it with the run that made its model, and return its path in the artifact store.

    Raises
    ------
    BundleError
        The bundle is damaged.
    TrackingError
        The store has no such run.
    """
    from course_lib import tracking

    opened = bundles.open_bundle(bundle, public_key=public_key)
    place = f"bundles/{opened.version}"
    with tracking.guard(store):
        store.client().log_artifacts(opened.run_id, str(bundle), place)
    return place


def fetch(store: Store, which: str | int, folder: Path, *, public_key: str | None = None) -> Path:
    """Fetch the bundle of the version that an alias or a number points to, and check it.

    Parameters
    ----------
    store
        The store whose registry and artifacts are used.
    which
        Alias such as ``champion``, or version number.
    folder
        Existing folder to put it in.
    public_key
        Key that must have signed it; see :func:`course_lib.packaging.open_bundle`.

    Raises
    ------
    RegistryError
        There is no such alias or version.
    BundleError
        The version has no bundle, or its bundle is damaged or belongs to another version.
    """
    import os

    from course_lib import registry, tracking
    from course_lib.errors import TrackingError

    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # five small files

    version = registry.resolve(store, which)
    try:
        with tracking.guard(store):
            found = Path(store.client().download_artifacts(version.run_id, f"bundles/{version.number}", str(folder)))
    except (TrackingError, OSError) as error:
        raise BundleError(
            f"Version {version.number} of {version.name!r} has no bundle in the artifact store.",
            expected="a version whose bundle was published",
            next_step="build it with `packaging.build_bundle` and store it with `packaging.publish`",
        ) from error
    opened = bundles.open_bundle(found, public_key=public_key)
    if (opened.version, opened.run_id) != (version.number, version.run_id):
        raise BundleError(
            f"{which!r} is version {version.number}, but its bundle holds version {opened.version}.",
            expected=f"a bundle of version {version.number}, run {version.run_id}",
            next_step="publish the right bundle; don't move the alias by hand",
        )
    return found
