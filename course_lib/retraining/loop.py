"""Champion and challenger: train a challenger on what is known, judge it on newer flights, promote it or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from course_lib import data, registry, tracking, training
from course_lib.errors import DataError, PromotionError

if TYPE_CHECKING:
    import pandas as pd

    from course_lib.retraining.backtest import Replay
    from course_lib.retraining.retraining_policy import Policy
    from course_lib.tracking_store import Store

__all__ = ["Outcome", "challenge", "close_the_loop"]

_EXPERIMENT = "retraining"


@dataclass(frozen=True)
class Outcome:
    """What came of one training.

    Attributes
    ----------
    promoted
        Whether the challenger is now the champion.
    version
        Its number in the registry.
    champion
        Number of the version in service afterwards.
    rows
        Flights it learnt from.
    reasons
        What the gate said.
    """

    promoted: bool
    version: int
    champion: int
    rows: int
    reasons: tuple[str, ...]


def challenge(
    store: Store,
    frame: pd.DataFrame,
    *,
    moment: pd.Timestamp | str,
    judge_days: float = 7.0,
    config: training.TrainingConfig | None = None,
) -> Outcome:
    """Train a challenger as it could have been trained at ``moment``, and let the gate decide.

    The newest ``judge_days`` of departed flights are kept from the training, and both models are judged on them. Labels
    that became known after ``moment`` are used for neither.

    Parameters
    ----------
    store
        Where the model is registered; a first champion is made if there is none.
    frame
        Flights, as :func:`course_lib.data.flights` returns them; may reach beyond ``moment``.
    moment
        The present; without a time zone it is read as UTC.
    judge_days
        Length of the judging period.
    config
        Hyperparameters.

    Raises
    ------
    DataError
        There are no labelled flights in one of the two periods.
    """
    import pandas as pd

    now = data.utc(moment)
    split = now - pd.Timedelta(days=judge_days)
    settings = config or training.TrainingConfig()
    known = data.labelled(frame, as_of=now)
    # What the training uses was known before the judging period began: an honest rehearsal of being in service.
    learn, judge = data.labelled(known, as_of=split), known[known["sched_dep"] >= split]
    if judge["late"].nunique() < 2:
        raise DataError(
            f"The {judge_days:g} days before {now:%Y-%m-%d %H:%M} hold {len(judge)} labelled flights.",
            expected="late flights and flights on time to judge the challenger on",
            next_step="wait until more flights have landed, or judge over more days",
        )
    model = training.train(learn, settings)
    run = tracking.log_training(store, _EXPERIMENT, model, learn, settings)
    version = registry.register(store, run)
    try:
        reasons, promoted = registry.promote(store, judge).reasons, True
    except PromotionError as error:
        reasons, promoted = (error.happened,), False
    champion = registry.resolve(store, registry.CHAMPION).number
    return Outcome(promoted, version.number, champion, len(learn), reasons)


def close_the_loop(
    frame: pd.DataFrame,
    *,
    start: str | pd.Timestamp,
    policy: Policy | None = None,
    config: training.TrainingConfig | None = None,
    recalibrate_days: float | None = 1.0,
) -> Replay:
    """Play a period with everything the desk has learnt: retrain by policy, and set the level anew every day.

    Retraining buys ranking: more flights to learn from. The level of lateness swings with each day's weather, which no
    training on the past can know; yesterday's landed flights know a little of it.

    Parameters
    ----------
    frame, start, config
        As for :func:`course_lib.retraining.replay`.
    policy
        By default one training every four weeks, and earlier if the ranking decays.
    recalibrate_days
        See :func:`course_lib.retraining.replay`.
    """
    from course_lib.retraining.backtest import replay
    from course_lib.retraining.retraining_policy import Policy

    chosen = policy or Policy(max_age_days=28, max_gap=None, min_labels=500)
    return replay(frame, chosen, start=start, config=config, recalibrate_days=recalibrate_days)
