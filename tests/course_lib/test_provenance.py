"""Identity: equal things have equal digests, and any change shows."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from course_lib import provenance, training

CONFIG = training.TrainingConfig(max_iter=5, min_samples_leaf=30)
TEXT = st.text(max_size=8)
PARAMS = st.dictionaries(TEXT, st.integers() | st.floats(allow_nan=False), max_size=5)


@pytest.fixture(scope="module")
def rows(labelled_winter):
    return labelled_winter.head(2000)


@given(data=TEXT, code=TEXT, params=PARAMS)
def test_the_order_of_parameters_does_not_change_a_fingerprint(data, code, params):
    turned = dict(reversed(list(params.items())))

    one = provenance.fingerprint(data=data, code=code, params=params, environment={"python": "3"})
    two = provenance.fingerprint(data=data, code=code, params=turned, environment={"python": "3"})

    assert one == two
    assert len(one) == 64


@pytest.mark.parametrize(
    "change",
    [{"data": "e"}, {"code": "d"}, {"params": {"seed": 1}}, {"params": {}}, {"environment": {"python": "3.12"}}],
)
def test_any_change_changes_a_fingerprint(change):
    inputs = {"data": "d", "code": "c", "params": {"seed": 0}, "environment": {"python": "3.11"}}

    assert provenance.fingerprint(**inputs) != provenance.fingerprint(**(inputs | change))


def test_a_data_digest_sees_values_rows_and_order_but_not_other_columns(rows):
    digest = provenance.data_digest(rows)
    other_value = rows.assign(distance=rows["distance"].where(rows.index != rows.index[7], 1))

    assert provenance.data_digest(rows.copy()) == digest
    assert provenance.data_digest(rows.assign(tailnum="N1")) == digest
    assert provenance.data_digest(rows.reset_index(drop=True)) == digest
    assert digest not in {provenance.data_digest(other) for other in (other_value, rows.iloc[:-1], rows.iloc[::-1])}
    assert provenance.data_digest(rows.assign(late=~rows["late"])) != digest


def test_the_same_training_gives_the_same_model_digest(rows):
    first = training.train(rows, CONFIG)

    assert provenance.model_digest(first) == provenance.model_digest(training.train(rows.copy(), CONFIG))


def test_a_model_digest_survives_a_round_trip(rows):
    model = training.train(rows, CONFIG)

    assert provenance.model_digest(pickle.loads(pickle.dumps(model))) == provenance.model_digest(model)


@pytest.mark.parametrize("change", [{"seed": 1}, {"max_iter": 6}, {"learning_rate": 0.2}, {"l2_regularization": 1e-9}])
def test_another_setting_changes_the_model_digest(rows, change):
    model = training.train(rows, CONFIG)
    other = training.train(rows, replace(CONFIG, **change))

    assert provenance.model_digest(model) != provenance.model_digest(other)


def test_one_changed_leaf_changes_the_model_digest(rows):
    model = training.train(rows, CONFIG)
    digest = provenance.model_digest(model)

    model[-1]._predictors[2][0].nodes["value"][-1] += 1e-12

    assert provenance.model_digest(model) != digest


def test_the_environment_names_python_the_machine_and_the_libraries_that_compute():
    found = provenance.environment()

    assert {"python", "machine", "scikit-learn", "numpy", "skops"} <= set(found)
    assert all(found.values())
