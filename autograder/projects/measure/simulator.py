"""Simulator of a pumping station: readings, whether a pump failed, and drift that is put in on purpose.

The kinds of drift are known; the feature, its size and its moment follow from a seed that follows from the project, so
that they are others for each project and the same when it is graded again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

__all__ = ["FEATURES", "LATE", "ROWS", "Drift", "as_csv", "batches", "draw_drift"]

FEATURES: dict[str, tuple[float, float]] = {  # mean and standard deviation
    "temperature": (60.0, 5.0),
    "pressure": (5.0, 0.6),
    "vibration": (1.2, 0.25),
    "flow": (100.0, 12.0),
}
ROWS = 200  # in a batch
LATE = 2  # batches after which the labels of a batch come
_WEIGHTS = (3.0, -1.5, 3.5, -2.0)
_TURNED = (-3.0, -1.5, -3.5, -2.0)
_BIAS = -0.5

DriftKind = Literal["none", "shift", "spread", "concept"]


@dataclass(frozen=True)
class Drift:
    """What changes, and from which batch on; ``size`` in standard deviations, or as their factor for a spread."""

    kind: DriftKind
    begins: int = 0
    feature: str = ""
    size: float = 0.0


def draw_drift(kind: DriftKind, seed: int) -> Drift:
    """Return a drift of ``kind`` whose moment, feature and size the seed decides."""
    import numpy as np

    random = np.random.default_rng(seed)
    begins = int(random.integers(8, 13))
    feature = str(random.choice(list(FEATURES)))
    size = float(random.uniform(0.9, 1.6) * random.choice([-1, 1])) if kind == "shift" else float(random.uniform(2, 3))
    return Drift(kind, begins, feature, size)


def batches(count: int, seed: int, drift: Drift) -> list[dict[str, Any]]:
    """Return ``count`` batches: ``rows`` with an id each, and ``labels`` by id."""
    import numpy as np

    random = np.random.default_rng(seed)
    return [_batch(number, random, drift) for number in range(count)]


def _batch(number: int, random: np.random.Generator, drift: Drift) -> dict[str, Any]:
    drifted = drift.kind != "none" and number >= drift.begins
    scaled = random.normal(size=(ROWS, len(FEATURES)))
    if drifted and drift.kind in ("shift", "spread"):
        column = list(FEATURES).index(drift.feature)
        scaled[:, column] = scaled[:, column] * drift.size if drift.kind == "spread" else scaled[:, column] + drift.size
    labels = _labels(scaled, random, turned=drifted and drift.kind == "concept")
    rows = [{"id": f"{number}-{place}", **_reading(values)} for place, values in enumerate(scaled.tolist())]
    return {"rows": rows, "labels": {row["id"]: label for row, label in zip(rows, labels, strict=True)}}


def _labels(scaled: np.ndarray, random: np.random.Generator, *, turned: bool) -> list[int]:
    import numpy as np

    chance = 1 / (1 + np.exp(-(scaled @ np.array(_TURNED if turned else _WEIGHTS) + _BIAS)))
    return [int(hit) for hit in random.random(len(scaled)) < chance]


def _reading(values: list[float]) -> dict[str, float]:
    places = zip(FEATURES.items(), values, strict=True)
    return {name: round(mean + deviation * value, 4) for (name, (mean, deviation)), value in places}


def as_csv(made: Sequence[Mapping[str, Any]]) -> str:
    """Return batches as a table with the readings and the label `failed`, for training."""
    lines = [[*FEATURES, "failed"]]
    lines += [
        [*(str(row[name]) for name in FEATURES), str(batch["labels"][row["id"]])]
        for batch in made
        for row in batch["rows"]
    ]
    return "".join(",".join(line) + "\n" for line in lines)
