"""The watch stays silent without drift, speaks once with it, and promotes only what is better."""

from pathlib import Path

import numpy as np
import pytest

from pumpwatch.model import fit, save
from pumpwatch.train import read
from pumpwatch.watch import Watch

VALUES, LABELS = read(Path("data/reference.csv"))


@pytest.fixture
def watch(tmp_path):
    save(fit(VALUES, LABELS, 1), tmp_path)
    return Watch(tmp_path)


def draw(seed, turned=False, shift=0.0):
    random = np.random.default_rng(seed)
    values = VALUES[random.integers(len(VALUES), size=200)]
    labels = fit(VALUES, LABELS, 1).predict(values)
    values = values + np.array([0, 0, 0, shift * VALUES[:, 3].std()])
    return values, 1 - labels if turned else labels


def feed(watch, batch, values, labels):
    ids = [str(n) for n in range(len(values))]
    watch.readings(batch, ids, values)
    watch.labels(batch, dict(zip(ids, labels.tolist(), strict=True)))


def test_without_drift_nothing_is_said(watch):
    for batch in range(20):
        feed(watch, batch, *draw(batch))
    assert watch.events() == []


def test_a_shift_is_told_once_with_its_reading(watch):
    for batch in range(5):
        feed(watch, batch, *draw(batch, shift=1.0))
    told = [event for event in watch.events() if event.get("kind") == "data"]
    assert [event["feature"] for event in told] == ["flow"]


def test_a_turned_rule_gives_one_retraining_and_a_better_model(watch):
    for batch in range(12):
        feed(watch, batch, *draw(batch, turned=batch >= 3))
    assert [event["event"] for event in watch.events()] == ["alert", "retraining", "promoted"]
    assert watch.model.version == 2
    assert Watch(watch.folder).model == watch.model


def test_a_challenger_that_is_no_better_is_refused(watch):
    watch._gathered = [draw(n) for n in range(3)]
    watch.retrain(3)
    assert watch.events()[-1]["event"] == "refused"  # nothing is better than the champion on what the champion says
    assert watch.model.version == 1
