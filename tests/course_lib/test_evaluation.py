from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from course_lib import evaluation
from course_lib.errors import DataError
from course_lib.evaluation import GateDecision

LATE = np.array([True, False, True, False])


class ByColumn:
    """A model whose risk is a function of the frame: behaviour without training."""

    def __init__(self, risk):
        self.risk = risk

    def predict_proba(self, frame):
        risk = np.clip(np.asarray(self.risk(frame), dtype=float), 0, 1)
        return np.column_stack([1 - risk, risk])


@pytest.fixture
def april(labelled_winter):
    return labelled_winter[labelled_winter["month"] == 4].iloc[::10]


def test_a_perfect_model_scores_perfectly():
    metrics = evaluation.score(LATE, LATE.astype(float))
    assert (metrics.auc, metrics.brier, metrics.calibration_error) == (1.0, 0.0, 0.0)
    assert (metrics.late_rate, metrics.mean_prediction, metrics.rows) == (0.5, 0.5, 4)


def test_a_constant_at_the_base_rate_is_calibrated_and_ranks_like_a_coin():
    metrics = evaluation.score(LATE, np.full(4, 0.5))
    assert metrics.auc == 0.5
    assert metrics.mean_prediction == metrics.late_rate
    assert metrics.brier == 0.25


def test_metrics_go_to_a_tracker_as_floats():
    logged = evaluation.score(LATE, np.full(4, 0.5)).as_dict()
    assert set(map(type, logged.values())) == {float}
    assert {"auc", "brier", "log_loss", "calibration_error", "rows"} <= set(logged)


@pytest.mark.parametrize(
    ("late", "probability"),
    [([], []), ([True, False], [0.5]), ([True, True], [0.5, 0.6]), ([False, False], [0.5, 0.6])],
)
def test_what_cannot_be_scored_is_refused_with_a_reason(late, probability):
    with pytest.raises(DataError, match="cannot score"):
        evaluation.score(np.array(late, dtype=bool), np.array(probability))


def test_calibration_groups_hold_equally_many_flights_in_order_of_risk():
    guesses = np.linspace(0, 1, 100)
    table = evaluation.calibration_table(guesses > 0.5, guesses, bins=5)
    assert table["rows"].tolist() == [20] * 5
    assert table["predicted"].is_monotonic_increasing
    assert table["observed"].tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_the_calibration_error_is_the_distance_between_said_and_seen():
    late = np.array([True] * 3 + [False] * 7)
    assert evaluation.calibration_error(late, np.full(10, 0.5), bins=1) == pytest.approx(0.2)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60), st.integers(1, 20))
def test_a_calibration_table_loses_no_flight_and_its_error_is_a_share(rows, bins):
    late, guesses = (np.array(column) for column in zip(*rows, strict=True))
    table = evaluation.calibration_table(late, guesses, bins=bins)
    assert table["rows"].sum() == len(rows)
    assert (table["predicted"] * table["rows"]).sum() == pytest.approx(guesses.sum())
    assert (table["observed"] * table["rows"]).sum() == pytest.approx(late.sum())
    assert 0 <= evaluation.calibration_error(late, guesses, bins=bins) <= 1


def test_weeks_start_on_monday_and_hold_every_flight(labelled_winter):
    guesses = np.linspace(0, 1, len(labelled_winter))
    table = evaluation.weekly(labelled_winter, guesses)
    assert set(table.index.dayofweek) == {0}
    assert table.index.is_monotonic_increasing
    assert table["rows"].sum() == len(labelled_winter)


def test_slices_score_each_airport_by_itself_and_leave_small_ones_out(january_model, labelled_winter):
    february = labelled_winter[labelled_winter["month"] == 2]
    few = pd.concat([february[february["origin"] != "LGA"], february[february["origin"] == "LGA"].head(50)])
    table = evaluation.slices(january_model, few)
    newark = evaluation.evaluate(january_model, few[few["origin"] == "EWR"])
    assert list(table.index) == ["EWR", "JFK"]
    assert table.loc["EWR", "auc"] == newark.auc


def test_a_gate_without_a_slice_that_is_large_enough_judges_the_whole(january_model, labelled_winter):
    few = labelled_winter[labelled_winter["month"] == 4].head(300)  # fewer than 200 flights an airport
    decision = evaluation.gate(january_model, january_model, few)
    assert not decision.promote
    assert "on 300 flights" in decision.reasons[0]


def test_the_desk_s_model_behaves(january_model, april):
    assert all(result.passed for result in evaluation.behaviours(january_model, april))


@pytest.mark.parametrize(
    ("risk", "broken"),
    [
        (lambda f: 0.5 - f["precip"].fillna(0) + f["dep_minute"] / 5000, "downpour"),
        (lambda f: 0.1 + f["visib"].fillna(10) / 50 + f["dep_minute"] / 5000, "fog"),
        (lambda f: np.arange(len(f)) / len(f) / 9 + f["dep_minute"] / 5000, "order of rows"),
        (lambda f: 1 - f["dep_minute"] / 1440, "evenings"),
    ],
)
def test_each_behavioural_test_catches_the_model_that_breaks_it(risk, broken, april):
    results = evaluation.behaviours(ByColumn(risk), april)
    assert [broken in result.name for result in results if not result.passed] == [True]


def test_the_gate_lets_a_better_challenger_pass_and_says_by_how_much(april):
    champion = ByColumn(lambda f: np.full(len(f), 0.2))
    challenger = ByColumn(lambda f: f["late"] * 0.5 + 0.1)
    decision = evaluation.gate(champion, WithLabels(challenger, april), april)
    assert decision.promote
    assert "0.5000 → 1.0000" in decision.reasons[0]


def test_the_gate_refuses_a_challenger_that_is_no_better(january_model, april):
    decision = evaluation.gate(january_model, january_model, april)
    assert not decision.promote
    assert "0.002 is needed" in decision.reasons[0]


def test_the_gate_refuses_a_gain_that_one_airport_pays_for(april):
    better_but = WithLabels(ByColumn(lambda f: np.where(f["origin"] == "JFK", 0.9 - f["late"] * 0.5, f["late"])), april)
    decision = evaluation.gate(ByColumn(lambda f: f["dep_minute"] / 1440), better_but, april)
    assert not decision.promote
    assert len(decision.reasons) == 2
    assert decision.reasons[1].startswith("worse for origin JFK: AUC -")


@pytest.mark.parametrize(("risk", "promote"), [(lambda f: f["late"], True), (lambda f: 1 - f["late"], False)])
def test_without_a_champion_anything_that_beats_a_coin_may_serve(risk, promote, april):
    decision = evaluation.gate(None, WithLabels(ByColumn(risk), april), april)
    assert isinstance(decision, GateDecision)
    assert decision.promote is promote


class WithLabels:
    """Hands a model the labels that the features hide, so that a test can say how good it is."""

    def __init__(self, model, frame):
        self.model, self.frame = model, frame

    def predict_proba(self, features):
        return self.model.predict_proba(features.assign(late=self.frame.loc[features.index, "late"].astype(int)))
