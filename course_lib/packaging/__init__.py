"""Stage I, packaging: one signed folder that holds a model and everything needed to serve, check and explain it.

Importing this package, and opening a bundle, needs neither scikit-learn nor pandas nor MLflow: a serving image carries
ONNX Runtime, NumPy and ``cryptography`` only. What converts a pipeline imports them when it is called.
"""

from __future__ import annotations

from course_lib.packaging.build import build_bundle
from course_lib.packaging.bundle import FILES, FORMAT_VERSION, Bundle, open_bundle
from course_lib.packaging.desk import desk_bundle
from course_lib.packaging.export import Parity, export_onnx, parity
from course_lib.packaging.latency import differences_figure, latencies, latency_figure, median_seconds
from course_lib.packaging.litert import LiteScorer, encode, export_litert
from course_lib.packaging.scoring import Scorer
from course_lib.packaging.signing import PUBLIC_KEY_VARIABLE, SigningKey, machine_key, new_key
from course_lib.packaging.sizes import Size, operators, quantised, sizes
from course_lib.packaging.store import fetch, publish

__all__ = [
    "FILES",
    "FORMAT_VERSION",
    "PUBLIC_KEY_VARIABLE",
    "Bundle",
    "LiteScorer",
    "Parity",
    "Scorer",
    "SigningKey",
    "Size",
    "build_bundle",
    "desk_bundle",
    "differences_figure",
    "encode",
    "export_litert",
    "export_onnx",
    "fetch",
    "latencies",
    "latency_figure",
    "machine_key",
    "median_seconds",
    "new_key",
    "open_bundle",
    "operators",
    "parity",
    "publish",
    "quantised",
    "sizes",
]
