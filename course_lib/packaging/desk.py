"""The desk's own bundles, made once and kept in the cache, so that every notebook runs on its own."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib.packaging import build, signing

if TYPE_CHECKING:
    from course_lib.training import TrainingConfig

__all__ = ["desk_bundle"]


def desk_bundle(months: tuple[int, ...] = (1, 2), *, version: int = 1, config: TrainingConfig | None = None) -> Path:
    """Return a bundle of the desk's model trained on ``months``, made at the first call and kept in the cache.

    It stands in for what notebooks 1 and 2 would have produced, so that each notebook runs on its own.
    """
    from course_lib import data, tracking, training

    config = config or training.TrainingConfig()
    key = signing.machine_key()
    sources = b"".join((Path(__file__).parent / name).read_bytes() for name in ("build.py", "bundle.py", "export.py"))
    parts = [tracking.code_digest(), hashlib.sha256(sources).hexdigest(), months, asdict(config), version]
    digest = hashlib.sha256(repr([*parts, key.public, sorted(build.versions_here().items())]).encode()).hexdigest()
    kept = data.cache_dir() / "bundles" / digest[:16]
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        model = training.train(data.labelled(data.flights(months)), config)
        build.build_bundle(kept, model, version=version, run_id=digest[16:48], key=key)
    return kept
