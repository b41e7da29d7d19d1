"""The model tells the two kinds apart, and a larger nucleus never looks more harmless."""

import json
from pathlib import Path

from tumours import train
from tumours.features import NAMES
from tumours.model import predict

HOLDOUT = [json.loads(line) for line in Path("examples/holdout.jsonl").read_text().splitlines()]


def test_patients_set_aside_are_told_apart():
    answers = predict([row["request"] for row in HOLDOUT])
    right = [(chance >= 0.5) == row["label"] for chance, row in zip(answers, HOLDOUT, strict=True)]
    assert sum(right) / len(right) > 0.85


def test_larger_is_not_more_harmless():
    row = HOLDOUT[0]["request"]
    small, large = predict([{**row, "area": row["area"] * 0.5}, {**row, "area": row["area"] * 2}])
    assert small < large


def test_patients_set_aside_are_not_trained_on():
    values, _, aside, _ = train.split(*train.data())
    assert not {tuple(row) for row in values} & {tuple(row) for row in aside}
    assert [tuple(row["request"][name] for name in NAMES) for row in HOLDOUT] == [tuple(row) for row in aside.tolist()]


def test_training_twice_gives_the_same_model():
    values, labels, *_ = train.split(*train.data())
    assert train.fit(values, labels) == train.fit(values, labels)
