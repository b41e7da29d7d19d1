"""A logistic regression that remembers what its training data looked like."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

FEATURES = ("temperature", "pressure", "vibration", "flow")


@dataclass(frozen=True)
class Model:
    """Weights for standardised readings, and mean, deviation and accuracy at training."""

    version: int
    mean: list[float]
    deviation: list[float]
    weights: list[float]
    bias: float
    accuracy: float

    def predict(self, values: np.ndarray) -> np.ndarray:
        """Return 1 where a pump is going to fail, by row."""
        scaled = (values - np.array(self.mean)) / np.array(self.deviation)
        return (scaled @ np.array(self.weights) + self.bias > 0).astype(int)


def fit(values: np.ndarray, labels: np.ndarray, version: int) -> Model:
    """Fit by Newton's method: no randomness, so the same data give the same model."""
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    design = np.column_stack([(values - mean) / deviation, np.ones(len(values))])
    weights = np.zeros(design.shape[1])
    for _ in range(15):
        chance = 1 / (1 + np.exp(-design @ weights))
        slope = design.T @ (chance - labels) + 0.01 * weights
        curve = (design * (chance * (1 - chance))[:, None]).T @ design + 0.01 * np.eye(len(weights))
        weights -= np.linalg.solve(curve, slope)
    accuracy = float(np.mean((design @ weights > 0) == labels))
    return Model(version, mean.tolist(), deviation.tolist(), weights[:-1].tolist(), float(weights[-1]), accuracy)


def save(model: Model, folder: Path) -> None:
    """Write the model to the folder of the state."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"model-{model.version}.json").write_text(json.dumps(asdict(model), indent=1))


def load(folder: Path) -> Model:
    """Return the model in service: the one that `current` names, the first one before any was promoted."""
    current = folder / "current"
    version = int(current.read_text()) if current.exists() else 1
    return Model(**json.loads((folder / f"model-{version}.json").read_text()))
