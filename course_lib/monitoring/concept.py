"""Concept drift: does the same flight still carry the same risk? Told apart from flights that are merely different.

When only the inputs change (covariate shift), a calibrated model stays calibrated: among flights with a predicted risk
of 0.3, three in ten are late, however many of them there are. When the concept changes, that breaks. So the monitor
watches outcomes *given the prediction*, never the late rate or the accuracy, which move in both cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from course_lib.errors import DataError

__all__ = ["Calibration", "ConceptAlarm", "ConceptMonitor", "diagnose", "fit_calibration"]

Diagnosis = Literal["nothing", "covariate shift", "concept drift", "both"]


@dataclass(frozen=True)
class Calibration:
    """A map from the model's log-odds to calibrated ones: ``offset + slope · log-odds`` (Platt 1999)."""

    offset: float = 0.0
    slope: float = 1.0

    def logit(self, probability: np.ndarray) -> np.ndarray:
        """Return calibrated log-odds of predicted probabilities."""
        p = np.clip(np.asarray(probability, dtype=float), 1e-6, 1 - 1e-6)
        adjusted: np.ndarray = self.offset + self.slope * np.log(p / (1 - p))
        return adjusted

    def apply(self, probability: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities."""
        return _sigmoid(self.logit(probability))


def fit_calibration(
    probability: np.ndarray, late: np.ndarray, *, slope: bool = True, pull: float = 20.0
) -> Calibration:
    """Fit a calibration on labelled predictions.

    Parameters
    ----------
    probability, late
        Predictions (0 to 1) and outcomes, of the same length.
    slope
        Whether the slope is fitted as well; otherwise it stays 1 and only the level moves.
    pull
        Strength of the pull towards "no change", in the unit of the Fisher information: about a hundred flights at a
        late rate of 0.25. It keeps one quiet day from moving the predictions far.

    Raises
    ------
    DataError
        The lengths differ, or a prediction is no probability.
    """
    p, y = _pair(probability, late)
    x = Calibration().logit(p)
    design = np.column_stack([np.ones_like(x), x])[:, : 2 if slope else 1]
    start = np.array([0.0, 1.0])[: design.shape[1]]
    weights, fixed = start.copy(), (0.0 if slope else x)
    for _ in range(25):  # Newton's method; the problem is convex
        q = _sigmoid(design @ weights + fixed)
        gradient = design.T @ (y - q) - pull * (weights - start)
        hessian = (design * (q * (1 - q))[:, None]).T @ design + pull * np.eye(len(weights))
        step = np.linalg.solve(hessian, gradient)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return Calibration(float(weights[0]), float(weights[1]) if slope else 1.0)


@dataclass(frozen=True)
class ConceptAlarm:
    """When the evidence crossed the line.

    Attributes
    ----------
    row
        Number of labelled rows seen, counted from 1, when the alarm came.
    evidence
        Strength of the evidence there.
    what
        The change that explains the outcomes best, in words.
    """

    row: int
    evidence: float
    what: str


class ConceptMonitor:
    """Reads labelled predictions in the order in which labels become known, and alarms when the concept has changed.

    An e-detector (Shin, Ramdas and Rinaldo 2023): for each kind of change the likelihood ratio against "calibrated" is
    accumulated so that a change may have begun at any row, and the mean over the kinds is compared with
    ``rows_between_alarms``. While nothing changes, the mean number of rows until a false alarm is at least that.

    Parameters
    ----------
    calibration
        Fitted on a reference period that the model was *not* trained on; by default the model is taken as calibrated.
    rows_between_alarms
        Fewest rows, on average, between two false alarms.
    shifts
        Changes of the log-odds to look for; smaller ones than the smallest are tolerated.
    slopes
        Changes of the slope: 0 means that the ranking is lost, −1 that it is reversed.
    """

    def __init__(
        self,
        calibration: Calibration | None = None,
        *,
        rows_between_alarms: float = 1_000_000,
        shifts: Sequence[float] = (-1.0, -0.5, 0.0, 0.5, 1.0),
        slopes: Sequence[float] = (1.0, 0.0, -1.0),
    ) -> None:
        self.calibration = calibration or Calibration()
        self.limit = rows_between_alarms
        self._kinds = [(shift, slope) for slope, shift in product(slopes, shifts) if (shift, slope) != (0.0, 1.0)]
        self._log_evidence = np.full(len(self._kinds), -np.inf)
        self._centre: float | None = None
        self.rows = 0
        self.alarm: ConceptAlarm | None = None

    def update(self, probability: np.ndarray, late: np.ndarray) -> ConceptAlarm | None:
        """Read more labelled rows; return the alarm, if there is one by now.

        Raises
        ------
        DataError
            The lengths differ, a prediction is no probability, or a label is missing.
        """
        p, y = _pair(probability, late)
        if not len(p):
            return self.alarm
        evidence = self._accumulate(self.calibration.logit(p), y)
        over = np.flatnonzero(evidence >= np.log(self.limit))
        if self.alarm is None and len(over):
            row = int(over[0])
            kind = self._kinds[int(self._path[row].argmax())]
            self.alarm = ConceptAlarm(self.rows + row + 1, float(np.exp(min(evidence[row], 700.0))), _in_words(*kind))
        self.rows += len(p)
        return self.alarm

    @property
    def evidence(self) -> float:
        """Strength of the evidence after the last row; an alarm needs ``rows_between_alarms``."""
        return float(np.exp(min(np.logaddexp.reduce(self._log_evidence) - np.log(len(self._kinds)), 700.0)))

    def _accumulate(self, logit: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the log evidence after each row: R ← (R + 1) · likelihood ratio, for every kind at once."""
        if self._centre is None:
            self._centre = float(np.median(logit))  # slopes turn around a typical flight, so that the level stays
        base = _log_likelihood(logit, y)
        turned = [self._centre + slope * (logit - self._centre) + shift for shift, slope in self._kinds]
        total = np.cumsum(np.column_stack([_log_likelihood(one, y) - base for one in turned]), axis=0)
        before = np.vstack([np.zeros(total.shape[1]), total[:-1]])
        starts = np.logaddexp.accumulate(np.vstack([self._log_evidence, -before]), axis=0)[1:]
        self._path = total + starts
        self._log_evidence = self._path[-1]
        mean: np.ndarray = np.logaddexp.reduce(self._path, axis=1) - np.log(len(self._kinds))
        return mean


def diagnose(*, inputs_drifted: bool, concept_changed: bool) -> Diagnosis:
    """Name what two detectors say together.

    Examples
    --------
    >>> diagnose(inputs_drifted=True, concept_changed=False)
    'covariate shift'
    """
    if inputs_drifted and concept_changed:
        return "both"
    if concept_changed:
        return "concept drift"
    return "covariate shift" if inputs_drifted else "nothing"


def _in_words(shift: float, slope: float) -> str:
    ranking = {1.0: "", 0.0: "the ranking is lost", -1.0: "the ranking is reversed"}.get(slope, f"slope {slope:g}")
    level = f"the log-odds moved by {shift:+g}" if shift else ""
    return " and ".join(part for part in (ranking, level) if part)


def _log_likelihood(logit: np.ndarray, y: np.ndarray) -> np.ndarray:
    likelihood: np.ndarray = y * logit - np.logaddexp(0.0, logit)
    return likelihood


def _sigmoid(x: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    result: np.ndarray = expit(x)
    return result


def _pair(probability: np.ndarray, late: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import pandas as pd

    p, y = np.asarray(probability, dtype=float).ravel(), np.asarray(late).ravel()
    if len(p) != len(y) or pd.isna(y).any() or not ((p >= 0) & (p <= 1)).all():
        raise DataError(
            f"{len(p)} predictions and {len(y)} labels cannot be judged: lengths differ, a label is missing, or a "
            "prediction lies outside 0 to 1.",
            expected="one probability and one known label per row",
            next_step="pass only rows whose label is known, as `data.labelled` returns them",
        )
    return p, y.astype(float)
