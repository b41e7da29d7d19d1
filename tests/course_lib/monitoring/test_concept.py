from __future__ import annotations

import doctest

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import roc_auc_score

from course_lib import data, training
from course_lib.errors import DataError
from course_lib.monitoring import ConceptMonitor, ErrorBudget, as_known, concept, estimate, fit_calibration, synthetic
from course_lib.monitoring.quality import performance


@pytest.fixture(scope="module")
def worlds():
    return [synthetic.World(seed) for seed in range(20)]


def alarm(world, change, rows):
    _, guess, late = world.draw(3000, seed=7)
    monitor = ConceptMonitor(fit_calibration(guess, late))
    return monitor.update(*world.draw(rows, change=change, seed=8)[1:])


def test_flipped_labels_are_found_within_500_rows(worlds):
    delays = [alarm(world, "concept drift", 500) for world in worlds]
    assert all(delays)
    assert max(found.row for found in delays) <= 500


def test_inputs_that_merely_shift_are_no_concept_drift(worlds):
    assert not any(alarm(world, "covariate shift", 2000) for world in worlds)
    assert not any(alarm(world, "nothing", 2000) for world in worlds)


def test_the_alarm_says_what_has_changed(worlds):
    found = [alarm(world, "concept drift", 500).what for world in worlds]
    assert sum("reversed" in what for what in found) > len(found) / 2


def test_flipped_labels_of_real_flights_are_found(january_model, labelled_winter):
    february = labelled_winter[labelled_winter["month"] == 2].sort_values("label_known_at")
    guess, late = training.predict(january_model, february), february["late"].to_numpy()
    calibration = fit_calibration(guess, late)
    found = ConceptMonitor(calibration).update(guess[:500], ~late[:500])
    assert found is not None
    assert found.row <= 500


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 399))
def test_evidence_is_the_same_whether_rows_come_at_once_or_in_parts(cut):
    generator = np.random.default_rng(3)
    guess = generator.uniform(0.05, 0.6, 400)
    late = generator.random(400) < 0.8 * guess
    whole, parts = ConceptMonitor(), ConceptMonitor()
    parts._centre = whole._centre = 0.0
    whole.update(guess, late)
    parts.update(guess[:cut], late[:cut])
    parts.update(guess[cut:], late[cut:])
    assert parts.evidence == pytest.approx(whole.evidence)
    assert (parts.alarm and parts.alarm.row) == (whole.alarm and whole.alarm.row)


def test_nothing_new_changes_nothing():
    assert ConceptMonitor().update(np.array([]), np.array([])) is None


@pytest.mark.parametrize(("guess", "late"), [([0.5], []), ([1.5], [True]), ([float("nan")], [True]), ([0.5], [pd.NA])])
def test_what_is_no_labelled_prediction_is_refused(guess, late):
    with pytest.raises(DataError, match="cannot be judged"):
        ConceptMonitor().update(np.array(guess), np.array(late, dtype=object))


def test_a_calibration_mends_a_level_that_is_off_and_keeps_the_order():
    generator = np.random.default_rng(0)
    guess = generator.uniform(0.05, 0.5, 4000)
    late = generator.random(4000) < guess * 1.5
    mended = fit_calibration(guess, late, slope=False).apply(guess)
    assert mended.mean() == pytest.approx(late.mean(), abs=0.005)
    assert (np.argsort(mended, kind="stable") == np.argsort(guess, kind="stable")).all()


def test_the_estimate_without_labels_is_right_for_calibrated_predictions_with_ties():
    generator = np.random.default_rng(1)
    guess = np.clip(generator.beta(2, 6, 20_000).round(2), 0.01, 0.99)
    late = generator.random(20_000) < guess
    assert estimate(guess).auc == pytest.approx(roc_auc_score(late, guess), abs=0.015)
    assert estimate(guess).late_rate == pytest.approx(late.mean(), abs=0.01)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0.1, 0.25, 0.5, 0.9]), min_size=2, max_size=8))
def test_the_estimate_is_the_expectation_over_all_pairs(probabilities):
    p = np.array(probabilities)
    won = pairs = 0.0
    for i in range(len(p)):
        for j in range(len(p)):
            if i != j:
                weight = p[i] * (1 - p[j])
                pairs += weight
                won += weight * (1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0)
    assert estimate(p).auc == pytest.approx(won / pairs)


def test_the_estimate_cannot_see_concept_drift_and_needs_probabilities():
    _, guess, late = synthetic.World(0).draw(5000, change="concept drift")
    assert estimate(guess).auc > 0.55 > roc_auc_score(late, guess)
    with pytest.raises(DataError, match="cannot be judged as probabilities"):
        estimate(np.array([0.2, 2.0]))


@pytest.fixture(scope="module")
def served(winter, january_model):
    february = winter[(winter["month"] == 2)].iloc[::5]
    return february.assign(probability=training.predict(january_model, february))


NOW = pd.Timestamp("2013-02-18 22:00", tz="UTC")


def test_a_label_that_is_not_known_yet_changes_nothing(served):
    future = served["label_known_at"] > NOW
    planted = served.assign(late=served["late"].where(~future, ~served["late"]))
    assert future.any()
    assert performance(planted, NOW) == performance(served, NOW)
    assert as_known(planted, NOW).equals(as_known(served, NOW))


def test_known_and_waiting_labels_are_counted(served):
    seen = performance(served, NOW, days=2)
    window = served[served["sched_dep"].between(NOW - pd.Timedelta(days=2), NOW, inclusive="right")]
    assert seen.labels == len(data.labelled(window, as_of=NOW))
    assert seen.labels + seen.waiting == len(window)
    assert seen.auc is not None


def test_an_empty_window_is_no_number_and_no_error(served):
    assert performance(served, "2013-01-02").auc is None
    assert performance(served, "2013-01-02").labels == 0


def test_a_clock_that_runs_backwards_is_an_error(served):
    wrong = served.assign(label_known_at=served["label_known_at"] - pd.Timedelta(days=1))
    with pytest.raises(DataError, match="clock ran backwards"):
        performance(wrong, NOW)


def test_a_renamed_column_is_an_error(served):
    with pytest.raises(DataError, match="lack the columns probability"):
        performance(served.rename(columns={"probability": "score"}), NOW)


def test_an_error_budget_is_spent_in_proportion():
    budget = ErrorBudget(objective=0.99, total=10_000, bad=50, elapsed=0.5)
    assert budget.allowed == pytest.approx(100)
    assert budget.burn_rate == pytest.approx(0.5)
    assert budget.left == pytest.approx(0.75)
    assert ErrorBudget(objective=0.99, total=0, bad=0).left == 1
    with pytest.raises(DataError, match="make no budget"):
        ErrorBudget(objective=1.0, total=10, bad=0)


def test_the_examples_in_the_documentation_are_true():
    assert doctest.testmod(concept).failed == 0
