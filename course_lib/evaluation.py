"""Stage F, model evaluation: how good a model is, for whom, and whether it may replace the one in service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from course_lib import training
from course_lib.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = [
    "Behaviour",
    "GateDecision",
    "Metrics",
    "behaviours",
    "calibration_error",
    "calibration_table",
    "evaluate",
    "gate",
    "gate_scores",
    "score",
    "slices",
    "weekly",
]


@dataclass(frozen=True)
class Metrics:
    """Quality of predicted probabilities on labelled flights.

    Attributes
    ----------
    auc
        Area under the ROC curve: 0.5 is a coin, 1.0 is perfect ranking.
    brier
        Mean squared error of the probability; smaller is better.
    log_loss
        Mean negative log-likelihood in nats; smaller is better.
    calibration_error
        Expected calibration error, see :func:`calibration_error`.
    late_rate
        Share of flights that were late.
    mean_prediction
        Mean predicted probability; a calibrated model's equals ``late_rate``.
    rows
        Number of flights.
    """

    auc: float
    brier: float
    log_loss: float
    calibration_error: float
    late_rate: float
    mean_prediction: float
    rows: int

    def as_dict(self) -> dict[str, float]:
        """Return the metrics as a flat dict of floats, as an experiment tracker wants them."""
        return {name: float(value) for name, value in vars(self).items()}


def score(late: np.ndarray | pd.Series, probability: np.ndarray) -> Metrics:
    """Return the metrics of ``probability`` (floats, 0 to 1) against ``late`` (booleans of the same length).

    Raises
    ------
    DataError
        The lengths differ, there is no flight, or only one class occurs (AUC is then undefined).
    """
    import numpy as np
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    truth = np.asarray(late, dtype=bool)
    guess = np.asarray(probability, dtype=float)
    if len(truth) != len(guess) or len(truth) == 0 or truth.all() or not truth.any():
        raise DataError(
            f"{len(truth)} labels ({int(truth.sum())} late) cannot score {len(guess)} predictions.",
            expected="one prediction per label, with late flights and flights on time",
            next_step="check that both come from the same rows, and take a longer period",
        )
    return Metrics(
        auc=float(roc_auc_score(truth, guess)),
        brier=float(brier_score_loss(truth, guess)),
        log_loss=float(log_loss(truth, guess)),
        calibration_error=calibration_error(truth, guess),
        late_rate=float(truth.mean()),
        mean_prediction=float(guess.mean()),
        rows=len(truth),
    )


def evaluate(model: Any, frame: pd.DataFrame) -> Metrics:
    """Return the metrics of ``model`` on labelled flights."""
    return score(frame["late"], training.predict(model, frame))


def calibration_table(late: np.ndarray | pd.Series, probability: np.ndarray, *, bins: int = 10) -> pd.DataFrame:
    """Return predicted against observed late rates in ``bins`` groups of equal size.

    Returns
    -------
    pandas.DataFrame
        One row per group: ``predicted`` and ``observed`` rates, and ``rows``.
    """
    import numpy as np
    import pandas as pd

    guess = np.asarray(probability, dtype=float)
    group = np.empty(len(guess), dtype=int)
    group[np.argsort(guess, kind="stable")] = np.arange(len(guess)) * bins // max(len(guess), 1)
    rows = np.bincount(group)
    means = {
        name: np.bincount(group, weights=values)[rows > 0] / rows[rows > 0]
        for name, values in (("predicted", guess), ("observed", np.asarray(late, dtype=float)))
    }
    index = pd.Index(np.flatnonzero(rows), name="group")
    return pd.DataFrame({**means, "rows": rows[rows > 0]}, index=index)


def calibration_error(late: np.ndarray | pd.Series, probability: np.ndarray, *, bins: int = 10) -> float:
    """Return the expected calibration error over groups of equal size, 0 to 1.

    The mean distance between predicted and observed rate, weighted by rows (Naeini et al. 2015, with the equal-mass
    bins of Nixon et al. 2019).
    """
    table = calibration_table(late, probability, bins=bins)
    gap = (table["predicted"] - table["observed"]).abs()
    return float((gap * table["rows"]).sum() / table["rows"].sum())


def slices(model: Any, frame: pd.DataFrame, *, by: str = "origin", min_rows: int = 200) -> pd.DataFrame:
    """Return the metrics of each group of ``by`` with at least ``min_rows`` flights, one row a group."""
    return _slices(frame, training.predict(model, frame), by=by, min_rows=min_rows)


def _slices(frame: pd.DataFrame, probability: np.ndarray, *, by: str, min_rows: int = 200) -> pd.DataFrame:
    import pandas as pd

    guesses = pd.Series(probability, index=frame.index)
    rows = {
        name: score(group["late"], guesses[group.index].to_numpy()).as_dict()
        for name, group in frame.groupby(by)
        if len(group) >= min_rows and group["late"].nunique() == 2
    }
    columns = [field.name for field in fields(Metrics)]  # also where no group is large enough
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis(by)


def weekly(frame: pd.DataFrame, probability: np.ndarray) -> pd.DataFrame:
    """Return the metrics of each week of scheduled departures (weeks start on Monday, UTC), one row a week."""
    import pandas as pd

    week = frame["sched_dep"].dt.tz_localize(None).dt.to_period("W-SUN").dt.start_time
    guesses = pd.Series(probability, index=frame.index)
    rows = {start: score(group["late"], guesses[group.index].to_numpy()) for start, group in frame.groupby(week)}
    table = pd.DataFrame.from_dict({start: m.as_dict() for start, m in rows.items()}, orient="index")
    return table.rename_axis("week")


@dataclass(frozen=True)
class Behaviour:
    """A behavioural test of a model: what must hold for single flights, whatever the metrics say."""

    name: str
    passed: bool
    evidence: str


def behaviours(model: Any, frame: pd.DataFrame, *, tolerance: float = 0.0) -> tuple[Behaviour, ...]:
    """Test that the model ignores what it must ignore and reacts the right way round.

    Three kinds, after Ribeiro et al. 2020 (CheckList): *invariance* (the row order and the flight number do not
    matter), *direction* (on average, rain and fog do not make flights more punctual) and *minimum functionality* (an
    evening flight is riskier than the first of the morning).

    Parameters
    ----------
    model
        A fitted pipeline.
    frame
        Flights of any period; a few thousand are enough.
    tolerance
        How far a mean probability may move the wrong way, 0 to 1.
    """
    base = training.predict(model, frame)
    changes: list[tuple[str, Callable[[pd.DataFrame], pd.DataFrame]]] = [
        ("direction: a downpour does not lower the risk", lambda f: f.assign(precip=0.4)),
        ("direction: fog does not lower the risk", lambda f: f.assign(visib=0.25)),
    ]
    results = [_direction(name, model, base, change(frame), tolerance) for name, change in changes]
    shuffled = frame.sample(frac=1.0, random_state=0)
    moved = float(abs(training.predict(model, shuffled) - base[frame.index.get_indexer(shuffled.index)]).max())
    results.append(Behaviour("invariance: the order of rows", moved == 0.0, f"largest change {moved:.3g}"))
    morning = float(training.predict(model, frame.assign(dep_minute=7 * 60)).mean())
    evening = float(training.predict(model, frame.assign(dep_minute=19 * 60)).mean())
    text = f"mean risk {morning:.3f} at 07:00, {evening:.3f} at 19:00"
    results.append(Behaviour("minimum functionality: evenings are riskier", evening > morning, text))
    return tuple(results)


def _direction(name: str, model: Any, base: np.ndarray, changed: pd.DataFrame, tolerance: float) -> Behaviour:
    after = float(training.predict(model, changed).mean())
    before = float(base.mean())
    return Behaviour(name, after >= before - tolerance, f"mean risk {before:.3f} before, {after:.3f} after")


@dataclass(frozen=True)
class GateDecision:
    """Whether a challenger may replace the champion, and every reason."""

    promote: bool
    reasons: tuple[str, ...]


def gate(
    champion: Any,
    challenger: Any,
    frame: pd.DataFrame,
    *,
    by: str = "origin",
    min_gain: float = 0.002,
    max_slice_loss: float = 0.0,
) -> GateDecision:
    """Compare two models on the same labelled flights and decide whether the challenger may go into service.

    Parameters
    ----------
    champion, challenger
        Fitted pipelines. ``champion`` may be ``None``: then anything that beats a coin is accepted.
    frame
        Labelled flights that neither model was trained on.
    by
        Column of the slices on which the challenger must not be worse.
    min_gain
        Smallest gain of AUC that is worth a deployment.
    max_slice_loss
        Largest loss of AUC that is tolerated in any slice.
    """
    before = None if champion is None else training.predict(champion, frame)
    after = training.predict(challenger, frame)
    return gate_scores(frame, before, after, by=by, min_gain=min_gain, max_slice_loss=max_slice_loss)


def gate_scores(
    frame: pd.DataFrame,
    before: np.ndarray | None,
    after: np.ndarray,
    *,
    by: str = "origin",
    min_gain: float = 0.002,
    max_slice_loss: float = 0.0,
) -> GateDecision:
    """Decide as :func:`gate` does, from the probabilities of champion (``None``: there is none) and challenger."""
    new = score(frame["late"], after)
    if before is None:
        good = new.auc > 0.5
        return GateDecision(good, (f"no champion yet; the challenger's AUC is {new.auc:.4f}",))
    old = score(frame["late"], before)
    gain = new.auc - old.auc
    reasons = [f"AUC {old.auc:.4f} → {new.auc:.4f} ({gain:+.4f}) on {new.rows:,} flights; {min_gain} is needed"]
    loss = _slices(frame, before, by=by)["auc"] - _slices(frame, after, by=by)["auc"]
    worse = loss[loss > max_slice_loss]
    reasons += [f"worse for {by} {name}: AUC {-value:+.4f}" for name, value in worse.items()]
    return GateDecision(gain >= min_gain and worse.empty, tuple(reasons))
