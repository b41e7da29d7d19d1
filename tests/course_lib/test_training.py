from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from course_lib import data, features, tracking, training
from course_lib.errors import DataError

IN_A_NEW_PROCESS = """
from course_lib import data, tracking, training
january = data.labelled(data.flights([1]))
print(tracking.model_digest(training.train(january)))
"""


def test_the_same_seed_gives_the_same_bytes_in_another_process(january_model):
    done = subprocess.run(
        [sys.executable, "-c", IN_A_NEW_PROCESS], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == tracking.model_digest(january_model)


def test_another_setting_gives_another_model(labelled_winter, january_model):
    january = labelled_winter[labelled_winter["month"] == 1]
    other = training.train(january, training.TrainingConfig(max_iter=59))
    assert tracking.model_digest(other) != tracking.model_digest(january_model)


def test_the_model_sees_features_only(labelled_winter, january_model):
    april = labelled_winter[labelled_winter["month"] == 4]
    stripped = april[list(features.NAMES)]
    assert np.array_equal(training.predict(january_model, april), training.predict(january_model, stripped))


def test_probabilities_are_probabilities(labelled_winter, january_model):
    guesses = training.predict(january_model, labelled_winter)
    assert guesses.shape == (len(labelled_winter),)
    assert guesses.min() >= 0
    assert guesses.max() <= 1


def test_the_model_ranks_better_than_a_coin_on_later_flights(labelled_winter, january_model):
    from sklearn.metrics import roc_auc_score

    february = labelled_winter[labelled_winter["month"] == 2]
    assert roc_auc_score(february["late"], training.predict(january_model, february)) > 0.58


def test_the_learning_curve_ends_at_the_model_s_own_loss(labelled_winter, january_model):
    from sklearn.metrics import log_loss

    february = labelled_winter[labelled_winter["month"] == 2]
    curve = training.learning_curve(january_model, valid=february)
    assert curve.index[0] == 1
    assert len(curve) == training.TrainingConfig().max_iter
    expected = log_loss(february["late"], training.predict(january_model, february))
    assert curve["valid"].iloc[-1] == pytest.approx(expected, abs=1e-12)


def test_no_flights_is_a_clear_error(labelled_winter):
    with pytest.raises(DataError, match="no flight to train on"):
        training.train(labelled_winter.iloc[:0])


def test_flights_without_label_are_refused(winter):
    with pytest.raises(DataError, match=r"have no label[\s\S]*data\.labelled"):
        training.train(winter)


def test_one_class_is_refused(labelled_winter):
    with pytest.raises(DataError, match="same label"):
        training.train(labelled_winter[labelled_winter["late"]])


def test_the_configuration_is_flat_and_complete():
    config = training.TrainingConfig(seed=3)
    assert config.as_params()["seed"] == 3
    assert training.TrainingConfig(**config.as_params()) == config


def test_training_does_not_change_its_input(labelled_winter):
    before = tracking.data_digest(labelled_winter.head(3000))
    training.train(labelled_winter.head(3000))
    assert tracking.data_digest(labelled_winter.head(3000)) == before
    assert data.labelled(labelled_winter).shape == labelled_winter.shape
