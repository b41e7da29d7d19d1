"""Quality of the served predictions: with labels that come late, without any, and against an error budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from course_lib import data
from course_lib.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ErrorBudget", "Estimate", "Performance", "as_known", "estimate", "performance"]


@dataclass(frozen=True)
class Performance:
    """Quality of recent predictions, as far as it can be known.

    Attributes
    ----------
    auc
        AUC on rows with a known label; ``None`` where it cannot be computed.
    gap
        Mean prediction minus observed late rate on the same rows.
    labels
        Rows in the window with a known label.
    waiting
        Rows in the window without one: still in the air, or never to get one.
    """

    auc: float | None
    gap: float | None
    labels: int
    waiting: int


def as_known(served: pd.DataFrame, moment: pd.Timestamp | str) -> pd.DataFrame:
    """Return what a monitor may know of served predictions at ``moment``: later labels are taken away.

    Parameters
    ----------
    served
        Columns ``sched_dep``, ``label_known_at``, ``late`` and ``probability``, one row per prediction.
    moment
        Without a time zone it is read as UTC.

    Raises
    ------
    DataError
        A column is missing, or a clock ran backwards: a label that was known before its flight was scheduled to leave.
    """
    import pandas as pd

    needed = ("sched_dep", "label_known_at", "late", "probability")
    if missing := [name for name in needed if name not in served.columns]:
        raise DataError(
            f"The served predictions lack the columns {', '.join(missing)}.",
            expected=", ".join(needed),
            next_step="log prediction and times when serving, and join the labels later",
        )
    backwards = served["label_known_at"] < served["sched_dep"] - pd.Timedelta(hours=1)
    if backwards.any():
        first = served[backwards].iloc[0]
        raise DataError(
            f"{int(backwards.sum())} labels were known before their flight left: the first at {first.label_known_at} "
            f"for a departure at {first.sched_dep}. A clock ran backwards, or time zones are mixed.",
            expected="a label time after the scheduled departure, both in UTC",
            next_step="correct the times before computing anything from them",
        )
    now = data.utc(moment)
    seen = served[served["sched_dep"] <= now]
    known = seen["label_known_at"] <= now
    return seen.assign(late=seen["late"].where(known, pd.NA), label_known_at=seen["label_known_at"].where(known))


def performance(
    served: pd.DataFrame, moment: pd.Timestamp | str, *, days: float = 7.0, settle_hours: float = 0.0
) -> Performance:
    """Return how good recent predictions were, from what was known at ``moment``.

    Parameters
    ----------
    served
        As for :func:`as_known`.
    moment
        When the question is asked.
    days
        Length of the window.
    settle_hours
        The window ends this long before ``moment``. Late flights land late: among flights of the last hours the first
        labels are those of the punctual ones, and a window up to "now" looks better than it is.
    """
    import pandas as pd
    from sklearn.metrics import roc_auc_score

    end = data.utc(moment) - pd.Timedelta(hours=settle_hours)
    seen = as_known(served, moment)
    window = seen[(seen["sched_dep"] > end - pd.Timedelta(days=days)) & (seen["sched_dep"] <= end)]
    known = window[window["late"].notna()]
    late, waiting = known["late"].astype(bool), len(window) - len(known)
    if known.empty:
        return Performance(None, None, 0, waiting)
    gap = float(known["probability"].mean() - late.mean())
    auc = float(roc_auc_score(late, known["probability"])) if late.nunique() == 2 else None
    return Performance(auc, gap, len(known), waiting)


@dataclass(frozen=True)
class Estimate:
    """What predictions say about themselves, if they are calibrated."""

    auc: float
    late_rate: float
    brier: float
    rows: int


def estimate(probability: np.ndarray) -> Estimate:
    """Estimate the quality of predictions before any label has come.

    If a prediction of 0.3 is right three times in ten, the expected outcome of every row is known, and with it the
    expected AUC: over all pairs, ``p`` of the higher-ranked row times ``1 − p`` of the lower (confidence-based
    performance estimation). It sees covariate shift. It **cannot** see concept drift: it believes the model.

    Parameters
    ----------
    probability
        Calibrated predictions, shape ``(n,)``.

    Raises
    ------
    DataError
        There are fewer than two rows, or a value is no probability.
    """
    p = np.sort(np.asarray(probability, dtype=float).ravel())
    if len(p) < 2 or not ((p >= 0) & (p <= 1)).all():
        raise DataError(
            f"{len(p)} values cannot be judged as probabilities.",
            expected="two or more numbers from 0 to 1",
            next_step="pass the probabilities that were served",
        )
    values, start, counts = np.unique(p, return_index=True, return_counts=True)
    early = np.r_[0.0, np.cumsum(1 - p)]
    below, tied = early[start], early[start + counts] - early[start]
    won = (values * counts * below).sum() + 0.5 * (values * (tied * counts - (1 - values) * counts)).sum()
    pairs = p.sum() * (1 - p).sum() - (p * (1 - p)).sum()
    return Estimate(float(won / pairs) if pairs > 0 else 0.5, float(p.mean()), float((p * (1 - p)).mean()), len(p))


@dataclass(frozen=True)
class ErrorBudget:
    """How many bad events an objective allows, and how many are left.

    Attributes
    ----------
    objective
        Share of events that must be good, such as 0.999.
    total, bad
        Events so far in the period, and bad ones among them.
    elapsed
        Share of the period that has passed, 0 to 1.
    """

    objective: float
    total: int
    bad: int
    elapsed: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.objective < 1 or not 0 <= self.bad <= self.total or not 0 < self.elapsed <= 1:
            raise DataError(
                f"{self.bad} bad of {self.total} events at an objective of {self.objective:g} make no budget.",
                expected="0 < objective < 1, 0 ≤ bad ≤ total, 0 < elapsed ≤ 1",
                next_step="an objective of 1 leaves no budget at all: choose one that can be met",
            )

    @property
    def allowed(self) -> float:
        """Bad events that the objective allows for the events so far."""
        return (1 - self.objective) * self.total

    @property
    def left(self) -> float:
        """Share of the budget that is left; negative when it is overspent."""
        return 1 - self.bad / self.allowed * self.elapsed if self.total else 1.0

    @property
    def burn_rate(self) -> float:
        """How fast it is spent: 1 uses it up exactly at the end of the period."""
        return self.bad / self.allowed if self.total else 0.0
