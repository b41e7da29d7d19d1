"""The service refuses nonsense, says when it cannot answer, and counts."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tumours.app import app
from tumours.features import BOUNDS

EXAMPLE = json.loads(Path("examples/request.json").read_text())


@pytest.fixture
def client():
    with TestClient(app) as client:
        yield client


def test_an_answer_has_label_and_probability(client):
    answer = client.post("/predict", json=EXAMPLE)
    assert answer.status_code == 200
    assert answer.json()["label"] == (answer.json()["probability"] >= 0.5)


@pytest.mark.parametrize("name", BOUNDS)
def test_what_no_microscope_gives_is_refused(client, name):
    low, high = BOUNDS[name]
    for value in (low - 1, high + 1, "much", None):
        assert client.post("/predict", json={**EXAMPLE, name: value}).status_code == 422


def test_without_a_model_it_lives_and_is_not_ready(client, monkeypatch):
    monkeypatch.setenv("MODEL_PATH", "nowhere.json")
    assert client.get("/health").status_code == 200
    assert client.get("/ready").status_code == 503
    assert client.post("/predict", json=EXAMPLE).status_code == 503


def test_answers_and_refusals_are_counted(client):
    client.post("/predict", json=EXAMPLE)
    client.post("/predict", json={})
    text = client.get("/metrics").text
    assert 'predict_requests_total{status="200"}' in text
    assert 'predict_requests_total{status="422"}' in text
