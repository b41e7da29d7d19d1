"""A backtest of a retraining policy: the year played week by week, with nothing known before its time.

A policy sees only what was known at the moment it decides: predictions as they were served, and labels of flights that
had landed. The replay plays the year with that rule, so a policy that peeks cannot look good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from course_lib import data, evaluation, features, training
from course_lib.errors import DataError
from course_lib.retraining.retraining_policy import Decision, Evidence, Policy, decide

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from sklearn.pipeline import Pipeline

__all__ = ["Replay", "Retraining", "replay"]

_PLAYED = (*features.NAMES, "sched_dep", "late", "label_known_at")
_FEWEST = 30  # labels that a day's recalibration needs


@dataclass(frozen=True)
class Retraining:
    """One training that a policy asked for."""

    moment: pd.Timestamp
    reason: str
    rows: int  # labelled flights it was trained on


@dataclass(frozen=True)
class Replay:
    """A period played week by week under a policy.

    Attributes
    ----------
    weeks
        Metrics of each week's predictions as they were served, one row a week (index: Monday).
    retrainings
        Every training after the first, in order.
    predictions
        Probability served for each flight, by the index of the frame that was played.
    model
        The model in service at the end.
    """

    weeks: pd.DataFrame
    retrainings: tuple[Retraining, ...]
    predictions: pd.Series = field(repr=False)
    model: Pipeline = field(repr=False)


def replay(
    frame: pd.DataFrame,
    policy: Policy | Callable[[Evidence], Decision],
    *,
    start: str | pd.Timestamp,
    config: training.TrainingConfig | None = None,
    window_days: int = 14,
    recalibrate_days: float | None = None,
) -> Replay:
    """Play ``frame`` from ``start`` on, week by week, as it would have happened.

    At ``start`` a first model is trained on the labels known by then. Each Monday the policy decides on what is known
    that day; a new model is trained on every label known that day and serves from then on.

    Parameters
    ----------
    frame
        Flights as :func:`course_lib.data.flights` returns them, with some weeks before ``start``.
    policy
        When to train again; :data:`NEVER` keeps the first model. A function from evidence to decision will do too.
    start
        First day of service (UTC).
    config
        Hyperparameters of every training.
    window_days
        How far back "recent" reaches where the policy is a function; a :class:`Policy` says it itself.
    recalibrate_days
        If given, the level of the predictions (not their order) is set anew each day, from the labels of flights that
        departed within so many days and have landed. Costs nothing, and follows the weather that no retraining can.

    Raises
    ------
    DataError
        There is nothing to train on before ``start``, or nothing to serve after it.
    """
    import pandas as pd

    begin = data.utc(start)
    judge, days = _judge(policy, window_days)
    frame = frame.loc[:, frame.columns.isin(_PLAYED)]  # each week copies rows: carry no column that nobody reads
    (model, _), trained_at = _fit(frame, begin, config), begin
    served = pd.Series(float("nan"), index=frame.index)
    raw = served.copy()  # before recalibration
    retrainings: list[Retraining] = []
    for moment, until in _weeks(frame, begin):
        decision = judge(_evidence(frame, served, moment, days, (moment - trained_at).total_seconds() / 86_400))
        if decision.retrain:
            (model, rows), trained_at = _fit(frame, moment, config), moment
            retrainings.append(Retraining(moment, decision.reason, rows))
        week = frame[(frame["sched_dep"] >= moment) & (frame["sched_dep"] < until)]
        if not week.empty:
            raw[week.index] = training.predict(model, week)
            for index, guesses in _as_served(frame, raw, week, recalibrate_days):
                served[index] = guesses
    truth = data.labelled(frame.loc[served.notna()])
    return Replay(evaluation.weekly(truth, served[truth.index].to_numpy()), tuple(retrainings), served, model)


def _judge(
    policy: Policy | Callable[[Evidence], Decision], window_days: int
) -> tuple[Callable[[Evidence], Decision], int]:
    """Return the policy as a function, and how many days its evidence reaches back."""
    if isinstance(policy, Policy):
        return partial(decide, policy), policy.window_days
    return policy, window_days


def _fit(frame: pd.DataFrame, moment: pd.Timestamp, config: training.TrainingConfig | None) -> tuple[Pipeline, int]:
    """Return a model trained on every label known at ``moment``, and how many there were."""
    known = data.labelled(frame, as_of=moment)
    return training.train(known, config), len(known)


def _as_served(
    frame: pd.DataFrame, raw: pd.Series, week: pd.DataFrame, days: float | None
) -> Iterator[tuple[pd.Index, np.ndarray]]:
    """Yield a week's flights with the predictions that leave the house: as they are, or recalibrated day by day."""
    import pandas as pd

    from course_lib.monitoring.concept import fit_calibration

    if days is None:
        yield week.index, raw[week.index].to_numpy()
        return
    for day, flights in week.groupby(week["sched_dep"].dt.floor("D")):
        moment = max(pd.Timestamp(str(day)), week["sched_dep"].min())
        since = moment - pd.Timedelta(days=days)
        recent = raw.notna() & (frame["sched_dep"] >= since) & (frame["sched_dep"] < moment)
        known = data.labelled(frame.loc[recent, ["late", "label_known_at"]], as_of=moment)
        guesses = raw[flights.index].to_numpy()
        if len(known) >= _FEWEST:
            guesses = fit_calibration(raw[known.index].to_numpy(), known["late"].to_numpy(), slope=False).apply(guesses)
        yield flights.index, guesses


def _weeks(frame: pd.DataFrame, begin: pd.Timestamp) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """Return the bounds of each week of service; the first runs from ``begin`` to the next Monday."""
    import pandas as pd

    last = frame["sched_dep"].max()
    if not last >= begin:
        raise DataError(
            f"No flight departs on or after {begin:%Y-%m-%d}.",
            expected=f"a start before {last:%Y-%m-%d}",
            next_step="load later months, or start earlier",
        )
    mondays = pd.date_range(begin.normalize() + pd.Timedelta(days=1), last, freq="W-MON")
    bounds = [begin, *mondays, last + pd.Timedelta(seconds=1)]
    return list(pairwise(bounds))


def _evidence(
    frame: pd.DataFrame, served: pd.Series, moment: pd.Timestamp, window_days: int, age_days: float
) -> Evidence:
    """Return what can be known at ``moment``: recently served predictions whose labels have come in."""
    import pandas as pd
    from sklearn.metrics import roc_auc_score

    since = moment - pd.Timedelta(days=window_days)
    scored = served.notna() & (frame["sched_dep"] >= since)
    recent = data.labelled(frame.loc[scored, ["late", "label_known_at"]], as_of=moment)
    guesses = served[recent.index].to_numpy()
    if recent.empty or recent["late"].nunique() < 2:
        return Evidence(age_days=age_days, labels=len(recent), auc=None, gap=None)
    auc = float(roc_auc_score(recent["late"], guesses))
    return Evidence(age_days=age_days, labels=len(recent), auc=auc, gap=float(guesses.mean() - recent["late"].mean()))
