"""Train the model, the same way each time, and write down how."""

import json
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tumours.features import NAMES
from tumours.model import path

EPOCHS, RATE, DECAY, SEED = 30, 0.05, 1e-3, 7
PACKAGES = ("mlflow", "numpy", "scikit-learn")


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return the measurements and whether each tumour is malignant."""
    from sklearn.datasets import load_breast_cancer

    stored = load_breast_cancer()
    columns = [list(stored.feature_names).index(f"mean {name}") for name in NAMES]
    return stored.data[:, columns], (stored.target == 0).astype(float)


def split(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, ...]:
    """Set every fifth patient aside."""
    aside = np.arange(len(values)) % 5 == 0
    return values[~aside], labels[~aside], values[aside], labels[aside]


def fit(values: np.ndarray, labels: np.ndarray) -> tuple[dict, list[float]]:
    """Fit a logistic regression by stochastic gradient descent; return it, and the loss after each epoch."""
    centre, scale = values.mean(axis=0), values.std(axis=0)
    scaled, order = (values - centre) / scale, np.random.default_rng(SEED)
    weights, bias, losses = np.zeros(scaled.shape[1]), 0.0, []
    for _ in range(EPOCHS):
        for row in order.permutation(len(scaled)):
            error = 1 / (1 + np.exp(-(scaled[row] @ weights + bias))) - labels[row]
            weights -= RATE * (error * scaled[row] + DECAY * weights)
            bias -= RATE * error
        chance = np.clip(1 / (1 + np.exp(-(scaled @ weights + bias))), 1e-9, 1 - 1e-9)
        losses.append(float(-np.mean(labels * np.log(chance) + (1 - labels) * np.log(1 - chance))))
    model = {"centre": centre.tolist(), "scale": scale.tolist(), "weights": weights.tolist(), "bias": float(bias)}
    return model, losses


def save(model: dict, file: Path) -> None:
    """Write the model as text: the same model gives the same bytes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(model, indent=1))


def main() -> None:
    """Train, write the model, and log the run."""
    import mlflow

    train_values, train_labels, test_values, test_labels = split(*data())
    model, losses = fit(train_values, train_labels)
    save(model, path())
    score = (test_values - np.array(model["centre"])) / np.array(model["scale"]) @ model["weights"] + model["bias"]
    accuracy = float(np.mean((score > 0) == test_labels))
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("tumours")
    with mlflow.start_run():
        mlflow.log_params({"epochs": EPOCHS, "rate": RATE, "decay": DECAY, "seed": SEED})
        for epoch, loss in enumerate(losses):
            mlflow.log_metric("log_loss", loss, step=epoch)
        mlflow.log_metric("accuracy", accuracy)
        mlflow.log_artifact(str(path()))
        packages = {name: version(name) for name in PACKAGES}
        mlflow.log_dict({"python": platform.python_version(), "packages": packages}, "environment.json")
    print(f"accuracy on {len(test_labels)} patients set aside: {accuracy:.3f}")


if __name__ == "__main__":
    main()
