"""The trained model: read from its file once, asked often."""

import json
import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from tumours.features import NAMES

DEFAULT = "artifacts/model.json"


def path() -> Path:
    """Return where the model lies; MODEL_PATH overrides it."""
    return Path(os.environ.get("MODEL_PATH", DEFAULT))


@lru_cache(maxsize=1)
def load(file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return centre, scale, weights and bias."""
    stored = json.loads(file.read_text())
    return (*(np.array(stored[name]) for name in ("centre", "scale", "weights")), stored["bias"])


def predict(rows: list[dict]) -> list[float]:
    """Return the probability of malignancy for each row of measurements."""
    centre, scale, weights, bias = load(path())
    values = np.array([[row[name] for name in NAMES] for row in rows], dtype=float)
    scores = (values - centre) / scale @ weights + bias
    return (1 / (1 + np.exp(-scores))).tolist()
