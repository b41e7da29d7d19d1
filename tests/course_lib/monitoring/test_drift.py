from __future__ import annotations

import doctest
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from course_lib import data, features, monitoring
from course_lib.errors import DataError
from course_lib.monitoring import DriftDetector, drift, statistics, synthetic

values = st.lists(st.integers(-4, 4) | st.floats(-3, 3, allow_subnormal=False), min_size=4, max_size=40)


def frame(array):
    return pd.DataFrame(array, columns=[f"f{k}" for k in range(array.shape[1])])


def ours(before, now):
    return DriftDetector(frame(before)).check(frame(now)).alarm


@settings(max_examples=60, deadline=None)
@given(values, values)
def test_the_quick_tests_agree_with_scipy_also_with_ties(one, other):
    found = statistics.compare(np.array(one, float), np.array(other, float))
    assert found.distance[0] == pytest.approx(stats.ks_2samp(one, other, method="asymp").statistic)
    if len({*one, *other}) > 1:
        ranked = stats.mannwhitneyu(one, other, use_continuity=False, method="asymptotic").pvalue
        assert found.rank_p[0] == pytest.approx(ranked)


@settings(max_examples=60, deadline=None)
@given(values, values)
def test_psi_is_never_negative_and_zero_for_the_same_sample(one, other):
    assert statistics.psi(np.array(one, float), np.array(other, float)) >= 0
    assert statistics.psi(np.array(one, float), np.array(one, float)) == pytest.approx(0)


def test_psi_counts_what_lies_outside_the_reference():
    assert statistics.psi(np.arange(100.0), np.full(100, 1e6)) > 2


def test_rare_codes_are_counted_together_so_that_the_test_stays_honest():
    generator = np.random.default_rng(0)
    shares = 1 / np.arange(1, 201)
    codes = [generator.choice(200, size=1200, p=shares / shares.sum()).astype(str) for _ in range(300)]
    alarms = [statistics.chi_square(sample[:1000], sample[1000:])[1] < 0.05 for sample in codes]
    assert np.mean(alarms) <= 0.09


def test_holm_is_between_no_correction_and_bonferroni():
    p = np.array([0.001, 0.01, 0.02, 0.5])
    assert (drift.holm(p) >= p).all()
    assert (drift.holm(p) <= np.minimum(1, 4 * p)).all()


def test_thirty_quiet_features_rarely_alarm_and_the_naive_detector_mostly_does():
    quiet = {"count": 400, "features": 30, "seed": 1}
    assert synthetic.alarm_rate(ours, **quiet) <= 0.05
    assert synthetic.alarm_rate(monitoring.naive_alarm, **quiet) > 0.6


def test_half_a_standard_deviation_in_one_of_thirty_features_is_found():
    assert synthetic.alarm_rate(ours, 200, features=30, shift=0.5, seed=2) >= 0.95


def test_with_fifty_thousand_rows_a_shift_too_small_to_matter_is_no_alarm_and_one_that_matters_is():
    big = {"count": 2, "features": 10, "reference": 50_000, "window": 50_000, "seed": 3}
    assert synthetic.alarm_rate(monitoring.naive_alarm, shift=0.05, **big) == 1
    assert synthetic.alarm_rate(ours, shift=0.05, **big) == 0
    assert synthetic.alarm_rate(ours, shift=0.5, **big) == 1


@pytest.fixture(scope="module")
def flights():
    return features.select(data.flights([1]))


def test_a_window_of_the_same_month_is_quiet_and_a_change_of_unit_is_not(flights):
    shuffled = flights.sample(frac=1.0, random_state=0)
    detector = DriftDetector(shuffled[:8000])
    window = shuffled[8000:8500]
    assert not detector.check(window).alarm
    celsius = detector.check(window.assign(temp=(window["temp"] - 32) / 1.8))
    assert celsius.drifted == ("temp",)
    assert celsius.reason.startswith("values of temp moved by")


def test_a_feature_that_is_empty_is_an_alarm_that_says_so(flights):
    report = DriftDetector(flights[:5000]).check(flights[5000:6000].assign(humid=np.nan))
    (missing,) = [one for one in report.features if one.name == "humid" and one.what == "missing"]
    assert missing.drifted
    assert missing.note == "every value is missing"


def test_a_feature_that_was_always_empty_breaks_nothing(flights):
    always = flights.assign(humid=np.nan)
    report = DriftDetector(always[:2000]).check(always[2000:2400])
    assert "humid" not in report.drifted


def test_new_codes_are_found_and_named(flights):
    shuffled = flights.sample(frac=1.0, random_state=0)
    window = shuffled[5000:5600].copy()
    window.loc[window.index[:120], "carrier"] = "ZZ"
    report = DriftDetector(shuffled[:5000]).check(window)
    (codes,) = [one for one in report.features if one.name == "carrier" and one.what == "codes"]
    assert codes.drifted
    assert codes.note == "never seen before: ZZ"
    assert report.table().index[0] == "carrier"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.drop(columns="temp"), "lacks the columns temp"),
        (lambda f: f.rename(columns={"temp": "temperature"}), "it has temperature.*renamed"),
        (lambda f: f[:0], "The window is empty"),
        (lambda f: f.assign(temp="warm"), "temp holds text where numbers were"),
    ],
)
def test_a_month_that_is_not_what_was_agreed_is_refused_with_the_reason(flights, spoil, message):
    with pytest.raises(DataError, match=message):
        DriftDetector(flights[:500]).check(spoil(flights[500:900]))


def test_an_empty_reference_is_refused(flights):
    with pytest.raises(DataError, match="reference is empty"):
        DriftDetector(flights[:0])


def test_samples_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="cannot be compared"):
        statistics.compare(np.zeros((5, 2)), np.zeros((5, 3)))
    with pytest.raises(DataError, match="no value now"):
        statistics.psi(np.arange(9.0), np.array([]))


def test_ours_is_at_least_twenty_times_as_fast_as_evidently_and_says_what_its_preset_does_not():
    ((before, now),) = synthetic.pairs(1, features=30, shift=0.8, seed=5)
    then, window = frame(before), frame(now)
    preset = monitoring.evidently_drift.preset(then, window)  # also imports what it needs

    def quickest(call, times):
        took = []
        for _ in range(times):
            start = time.perf_counter()
            call()
            took.append(time.perf_counter() - start)
        return min(took)

    evidently = quickest(lambda: monitoring.evidently_drift.preset(then, window), 1)
    assert evidently > 20 * quickest(lambda: DriftDetector(then).check(window), 5)
    assert "f0" in preset.drifted
    assert not preset.alarm  # its own verdict on the whole: no drift, because fewer than half of the columns drifted


def test_the_examples_in_the_documentation_are_true():
    for module in (drift, statistics):
        assert doctest.testmod(module, extraglobs={"np": np}).failed == 0
