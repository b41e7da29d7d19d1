"""Synthetic drift: samples in which we know what changed, because we changed it. Detectors are measured on these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from course_lib.errors import DataError

__all__ = ["World", "alarm_rate", "pairs"]

Change = Literal["nothing", "covariate shift", "concept drift", "both"]


def pairs(
    count: int, *, features: int, reference: int = 1_000, window: int = 200, shift: float = 0.0, seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs of normal samples; in the second one the first feature is moved by ``shift`` standard deviations.

    Returns
    -------
    iterator of two arrays
        Shapes ``(reference, features)`` and ``(window, features)``.
    """
    for child in np.random.SeedSequence(seed).spawn(count):
        generator = np.random.default_rng(child)
        before, now = generator.normal(size=(reference, features)), generator.normal(size=(window, features))
        now[:, 0] += shift
        yield before, now


def alarm_rate(detector: Callable[[np.ndarray, np.ndarray], Any], count: int, **options: Any) -> float:
    """Return the share of ``count`` pairs on which a detector alarms; options as of :func:`pairs`."""
    return sum(bool(detector(before, now)) for before, now in pairs(count, **options)) / count


@dataclass(frozen=True)
class World:
    """Flights whose true risk is known, with a logistic model that was trained before anything changed.

    Attributes
    ----------
    seed
        Seed of weights and training rows.
    features
        Number of inputs, standard normal.
    rows
        Rows that the model is trained on.
    """

    seed: int = 0
    features: int = 5
    rows: int = 10_000
    weights: np.ndarray = field(init=False, repr=False)
    model: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        from sklearn.linear_model import LogisticRegression

        if self.features < 2:
            raise DataError(f"{self.features} features are too few.", expected="two or more")
        generator = np.random.default_rng(self.seed)
        weights = generator.normal(scale=0.6, size=self.features)
        object.__setattr__(self, "weights", weights)
        inputs = generator.normal(size=(self.rows, self.features))
        late = generator.random(self.rows) < self._risk(inputs)
        object.__setattr__(self, "model", LogisticRegression().fit(inputs, late))

    def draw(
        self, rows: int, *, change: Change = "nothing", seed: int = 1
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return inputs, predictions and outcomes after a change.

        A covariate shift moves every input by half a standard deviation towards lateness; concept drift flips every
        outcome, and leaves the inputs as they are.
        """
        generator = np.random.default_rng([self.seed, seed])
        inputs = generator.normal(size=(rows, self.features))
        if change in {"covariate shift", "both"}:
            inputs += 0.5 * np.sign(self.weights)
        late = generator.random(rows) < self._risk(inputs)
        if change in {"concept drift", "both"}:
            late = ~late
        return inputs, self.model.predict_proba(inputs)[:, 1], late

    def _risk(self, inputs: np.ndarray) -> np.ndarray:
        from scipy.special import expit

        risk: np.ndarray = expit(inputs @ self.weights - 1.2)
        return risk
