from __future__ import annotations

import doctest
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from course_lib import data, training
from course_lib.errors import DataError
from course_lib.retraining import (
    NEVER,
    Decision,
    Evidence,
    Policy,
    Trigger,
    close_the_loop,
    decide,
    replay,
    retraining_policy,
    trigger,
)

SMALL = training.TrainingConfig(max_iter=5)
START = pd.Timestamp("2013-02-01", tz="UTC")


@pytest.fixture(scope="module")
def weeks_of_flights(winter):
    """Every tenth flight of January to March: enough to rank, quick to train on."""
    return winter[winter["month"] <= 3].iloc[::10].reset_index(drop=True)


def evidence(age_days=20, labels=5000, auc=0.70, gap=0.0):
    return Evidence(age_days=age_days, labels=labels, auc=auc, gap=gap)


@pytest.mark.parametrize(
    ("seen", "retrain", "reason"),
    [
        (evidence(), False, "healthy"),
        (evidence(age_days=13.9, auc=0.5, gap=0.3), False, "cooling down"),
        (evidence(age_days=14, auc=0.5), True, "AUC 0.500 on 5,000 recent flights"),
        (evidence(age_days=60, labels=0, auc=None, gap=None), True, "age: trained 60 days ago"),
        (evidence(labels=1999, auc=0.5, gap=0.3), False, "too little evidence: 1,999 labels"),
        (evidence(auc=0.62), False, "healthy"),
        (evidence(gap=0.061), True, "calibration: mean prediction is +0.061 off"),
        (evidence(gap=-0.061), True, "calibration: mean prediction is -0.061 off"),
        (evidence(gap=0.06), False, "healthy"),
        (evidence(auc=None, gap=None), False, "healthy"),
    ],
)
def test_a_decision_follows_the_rules_and_says_which_one_decided(seen, retrain, reason):
    decision = decide(Policy(), seen)
    assert decision.retrain is retrain
    assert decision.reason.startswith(reason)


def test_a_policy_without_rules_never_retrains():
    assert not decide(NEVER, evidence(age_days=1000, auc=0.1, gap=0.9)).retrain


def test_the_examples_in_the_documentation_are_true():
    for module in (retraining_policy, trigger):
        assert doctest.testmod(module).failed == 0


def test_a_frozen_replay_serves_the_first_model_to_every_later_flight(weeks_of_flights):
    played = replay(weeks_of_flights, NEVER, start=START, config=SMALL)
    first = training.train(data.labelled(weeks_of_flights, as_of=START), SMALL)
    later = weeks_of_flights[weeks_of_flights["sched_dep"] >= START]

    assert played.retrainings == ()
    assert np.array_equal(played.predictions[later.index], training.predict(first, later))
    assert played.predictions.drop(later.index).isna().all()
    assert played.weeks["rows"].sum() == len(data.labelled(later))


def test_a_policy_sees_only_labels_of_flights_that_have_landed(weeks_of_flights):
    seen = []

    def watch(evidence):
        seen.append(evidence)
        return Decision(False, "watching")

    replay(weeks_of_flights, watch, start=START, config=SMALL, window_days=7)
    mondays = pd.date_range("2013-02-04", periods=len(seen) - 1, freq="W-MON", tz="UTC")
    for monday, known in zip(mondays, seen[1:], strict=True):
        since = max(START, monday - pd.Timedelta(days=7))
        scheduled = weeks_of_flights[weeks_of_flights["sched_dep"].between(since, monday, inclusive="left")]
        assert known.labels == (scheduled["label_known_at"] <= monday).sum()
        assert known.age_days == (monday - START).days


def test_labels_that_come_later_change_no_prediction_that_was_served_before(weeks_of_flights):
    moment = pd.Timestamp("2013-03-04", tz="UTC")
    always = Policy(cool_down_days=7, max_age_days=7)
    unknown = weeks_of_flights["label_known_at"] > moment
    flipped = weeks_of_flights.assign(late=weeks_of_flights["late"].where(~unknown, ~weeks_of_flights["late"]))

    one, other = (replay(f, always, start=START, config=SMALL).predictions for f in (weeks_of_flights, flipped))
    week_after = weeks_of_flights["sched_dep"] < moment + pd.Timedelta(days=7)
    assert one[week_after].equals(other[week_after])
    assert not one.equals(other)


def test_a_retraining_learns_every_label_known_that_day_and_serves_from_then_on(weeks_of_flights):
    played = replay(weeks_of_flights, Policy(max_age_days=28, min_auc=None, max_gap=None), start=START, config=SMALL)
    made = played.retrainings[0]
    known = data.labelled(weeks_of_flights, as_of=made.moment)
    second = training.train(known, SMALL)
    end = played.retrainings[1].moment if len(played.retrainings) > 1 else weeks_of_flights["sched_dep"].max()
    served = weeks_of_flights[weeks_of_flights["sched_dep"].between(made.moment, end, inclusive="left")]

    assert made.rows == len(known)
    assert made.reason.startswith("age: trained 31 days ago")
    assert np.array_equal(played.predictions[served.index], training.predict(second, served))


def test_a_function_is_as_good_a_policy_as_a_policy(weeks_of_flights):
    policy = Policy(max_age_days=28, min_labels=200)
    by_policy = replay(weeks_of_flights, policy, start=START, config=SMALL)
    by_function = replay(weeks_of_flights, lambda seen: decide(policy, seen), start=START, config=SMALL)

    assert by_function.retrainings == by_policy.retrainings != ()
    assert by_function.weeks.equals(by_policy.weeks)


def test_the_last_model_comes_back_with_the_replay(weeks_of_flights):
    played = replay(weeks_of_flights, Policy(max_age_days=28), start=START, config=SMALL)
    last_week = weeks_of_flights[weeks_of_flights["sched_dep"] >= played.weeks.index[-1].tz_localize("UTC")]
    assert np.array_equal(played.predictions[last_week.index], training.predict(played.model, last_week))


def test_a_start_without_time_zone_is_utc(weeks_of_flights):
    january = weeks_of_flights[weeks_of_flights["month"] == 1]
    named, plain = (
        replay(january, NEVER, start=s, config=SMALL).weeks for s in ("2013-01-20", START.replace(month=1, day=20))
    )
    assert named.equals(plain)


@pytest.mark.parametrize(
    ("start", "message"), [("2014-01-01", "No flight departs on or after"), ("2013-01-01", "no flight to train on")]
)
def test_a_replay_needs_flights_before_and_after_its_start(weeks_of_flights, start, message):
    with pytest.raises(DataError, match=message):
        replay(weeks_of_flights, NEVER, start=start, config=SMALL)


DAY = datetime(2013, 6, 3)


@pytest.mark.parametrize(
    ("alert", "status", "days_ago", "retrain", "reason"),
    [
        ("DeskRankingDecayed", "firing", [], True, "DeskRankingDecayed; never trained before"),
        ("DeskRankingDecayed", "firing", [6.9], False, "cooling down: trained 6.9 days ago"),
        ("DeskRankingDecayed", "firing", [7], True, "DeskRankingDecayed; trained 7.0 days ago"),
        ("DeskRankingDecayed", "firing", [29, 20, 10], False, "budget spent: 3 trainings in 30 days"),
        ("DeskRankingDecayed", "firing", [31, 20, 10], True, "DeskRankingDecayed; trained 10.0 days ago"),
        ("DeskRankingDecayed", "resolved", [], False, "DeskRankingDecayed is over"),
        ("DeskInputsDrifted", "firing", [], False, "DeskInputsDrifted is nothing that a training can cure"),
    ],
)
def test_a_trigger_says_whether_an_alert_starts_a_training_and_why(alert, status, days_ago, retrain, reason):
    history = [DAY - timedelta(days=days) for days in days_ago]
    decision = Trigger().decide(alert, status, now=DAY, history=history)
    assert decision.retrain is retrain
    assert decision.reason.startswith(reason)


def test_a_trigger_whose_clock_ran_backwards_says_so():
    with pytest.raises(DataError, match="a training is noted for 2013-06-04"):
        Trigger().decide("DeskRankingDecayed", "firing", now=DAY, history=[DAY + timedelta(days=1)])


def test_the_closed_loop_over_the_year_beats_the_frozen_model_in_ranking_and_calibration():
    year = data.flights(range(1, 13)).iloc[::6].reset_index(drop=True)
    frozen = replay(year, NEVER, start=START).weeks
    closed = close_the_loop(year, start=START)
    assert closed.weeks["auc"].mean() > frozen["auc"].mean() + 0.005
    assert closed.weeks["calibration_error"].mean() < 0.9 * frozen["calibration_error"].mean()
    assert len(closed.retrainings) > 5
    assert all(made.reason for made in closed.retrainings)


def test_the_daily_level_uses_only_labels_of_flights_that_have_landed(weeks_of_flights):
    moment = pd.Timestamp("2013-03-06", tz="UTC")
    unknown = weeks_of_flights["label_known_at"] > moment
    flipped = weeks_of_flights.assign(late=weeks_of_flights["late"].where(~unknown, ~weeks_of_flights["late"]))
    one, other = (
        replay(f, NEVER, start=START, config=SMALL, recalibrate_days=2.0).predictions
        for f in (weeks_of_flights, flipped)
    )
    until = weeks_of_flights["sched_dep"] < moment + pd.Timedelta(days=1)
    assert one[until].equals(other[until])
    assert not one.equals(other)
