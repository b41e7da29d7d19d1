"""Stage K, retraining: when to train again, why, and what the whole year looks like under a policy.

A policy sees only what was known at the moment it decides: predictions as they were served, and labels of flights that
had landed. The replay below plays the year with that rule, so a policy that peeks cannot look good.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from course_lib import data, evaluation, features, training
from course_lib.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

__all__ = ["NEVER", "Decision", "Evidence", "Policy", "Replay", "Retraining", "decide", "replay"]

_PLAYED = (*features.NAMES, "sched_dep", "late", "label_known_at")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """When a model is trained again.

    Attributes
    ----------
    cool_down_days
        Fewest days between two trainings: one bad week must not cause a storm of them.
    max_age_days
        A model older than this is replaced even if it looks healthy; ``None`` switches the rule off.
    min_auc
        Below this AUC on recent flights the model is replaced; ``None`` switches the rule off.
    max_gap
        Largest tolerated distance between mean prediction and late rate on recent flights; ``None`` switches it off.
    min_labels
        Fewest recent labelled flights on which a decision may rest.
    window_days
        How far back "recent" reaches.
    """

    cool_down_days: int = 14
    max_age_days: int | None = 60
    min_auc: float | None = 0.62
    max_gap: float | None = 0.06
    min_labels: int = 2_000
    window_days: int = 14


NEVER = Policy(max_age_days=None, min_auc=None, max_gap=None)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known about the model in service at one moment.

    Attributes
    ----------
    age_days
        Days since it was trained.
    labels
        Recent flights that it scored and whose labels are known.
    auc
        Its AUC on them; ``None`` if it cannot be computed.
    gap
        Mean prediction minus late rate on them; ``None`` if there are none.
    """

    age_days: float
    labels: int
    auc: float | None
    gap: float | None


@dataclass(frozen=True)
class Decision:
    """Whether to train again, and why (or why not)."""

    retrain: bool
    reason: str


def decide(policy: Policy, evidence: Evidence) -> Decision:
    """Apply ``policy`` to ``evidence``.

    Examples
    --------
    >>> decide(Policy(), Evidence(age_days=3, labels=5000, auc=0.55, gap=0.0)).reason
    'cooling down: trained 3 days ago, 14 are needed'
    >>> decide(Policy(), Evidence(age_days=20, labels=5000, auc=0.55, gap=0.0)).reason
    'AUC 0.550 on 5,000 recent flights is below 0.62'
    """
    if evidence.age_days < policy.cool_down_days:
        return Decision(
            False, f"cooling down: trained {evidence.age_days:.0f} days ago, {policy.cool_down_days} are needed"
        )
    if policy.max_age_days is not None and evidence.age_days >= policy.max_age_days:
        return Decision(True, f"age: trained {evidence.age_days:.0f} days ago, the limit is {policy.max_age_days}")
    if evidence.labels < policy.min_labels:
        return Decision(False, f"too little evidence: {evidence.labels:,} labels, {policy.min_labels:,} are needed")
    if policy.min_auc is not None and evidence.auc is not None and evidence.auc < policy.min_auc:
        text = f"AUC {evidence.auc:.3f} on {evidence.labels:,} recent flights is below {policy.min_auc}"
        return Decision(True, text)
    if policy.max_gap is not None and evidence.gap is not None and abs(evidence.gap) > policy.max_gap:
        text = f"calibration: mean prediction is {evidence.gap:+.3f} off the late rate, {policy.max_gap} is tolerated"
        return Decision(True, text)
    return Decision(False, "healthy")


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

    Raises
    ------
    DataError
        There is nothing to train on before ``start``, or nothing to serve after it.
    """
    import pandas as pd

    begin = pd.Timestamp(start)
    begin = begin.tz_localize("UTC") if begin.tzinfo is None else begin
    judge, days = _judge(policy, window_days)
    frame = frame.loc[:, frame.columns.isin(_PLAYED)]  # each week copies rows: carry no column that nobody reads
    (model, _), trained_at = _fit(frame, begin, config), begin
    served = pd.Series(float("nan"), index=frame.index)
    retrainings: list[Retraining] = []
    for moment, until in _weeks(frame, begin):
        decision = judge(_evidence(frame, served, moment, days, (moment - trained_at).total_seconds() / 86_400))
        if decision.retrain:
            (model, rows), trained_at = _fit(frame, moment, config), moment
            retrainings.append(Retraining(moment, decision.reason, rows))
        week = frame[(frame["sched_dep"] >= moment) & (frame["sched_dep"] < until)]
        if not week.empty:
            served[week.index] = training.predict(model, week)
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
