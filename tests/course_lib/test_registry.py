"""The registry: versions stay, aliases move, and only through the gate."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from course_lib import evaluation, registry, tracking, tracking_store, training
from course_lib.errors import PromotionError, RegistryError, TrackingError
from course_lib.evaluation import GateDecision

CONFIG = training.TrainingConfig(max_iter=3, max_leaf_nodes=5, min_samples_leaf=30)


@pytest.fixture(scope="module")
def rows(labelled_winter):
    return labelled_winter.head(2000)


@pytest.fixture(scope="module")
def small_model(rows):
    return training.train(rows, CONFIG)


@pytest.fixture
def store(tmp_path):
    return tracking.open_store(tmp_path)


@pytest.fixture
def logged(store, small_model, rows):
    """Log the small model; return its run's id."""
    metrics = {"valid": evaluation.evaluate(small_model, rows)}
    return tracking.log_training(store, "desk", small_model, rows, CONFIG, metrics=metrics)


def accept(_champion, _challenger, _frame):
    return GateDecision(True, ("better",))


def refuse(_champion, _challenger, _frame):
    return GateDecision(False, ("worse for origin JFK",))


def test_a_registered_model_is_the_one_the_run_logged(store, logged, small_model):
    version = registry.register(store, logged)

    assert (version.number, version.run_id, version.aliases) == (1, logged, ("challenger",))
    assert tracking.model_digest(registry.load(store, "challenger")) == tracking.model_digest(small_model)


def test_registering_does_not_depend_on_where_mlflow_points(store, logged, tmp_path):
    tracking.use(tracking.open_store(tmp_path / "elsewhere"), "other")

    assert registry.register(store, logged).number == 1


def test_each_registration_is_a_new_version_and_the_alias_moves(store, logged):
    registry.register(store, logged)
    registry.register(store, logged)

    assert [(v.number, v.aliases) for v in registry.versions(store)] == [(2, ("challenger",)), (1, ())]


def test_an_unknown_alias_is_named_with_what_there_is(store, logged):
    registry.register(store, logged)

    with pytest.raises(RegistryError, match=r"no alias 'champoin'[\s\S]*version 1 \(challenger\)"):
        registry.resolve(store, "champoin")


def test_an_unknown_version_and_an_unknown_model_are_refused(store):
    with pytest.raises(RegistryError, match="no version 7"):
        registry.resolve(store, 7)
    with pytest.raises(RegistryError, match="there is none"):
        registry.load(store, "champion", name="early-flights")


def test_a_locked_store_is_not_mistaken_for_an_unknown_alias(store, logged, monkeypatch):
    registry.register(store, logged)
    monkeypatch.setattr(tracking_store, "LOCK_SECONDS", 0.05)
    with closing(sqlite3.connect(store.database)) as other:
        other.execute("BEGIN EXCLUSIVE")

        with pytest.raises(TrackingError, match="locked"):
            registry.resolve(store, "challenger")


def test_the_first_champion_needs_no_rival(store, logged, rows):
    registry.register(store, logged)

    assert registry.promote(store, rows).promote
    assert registry.resolve(store, "champion").number == 1


def test_a_promotion_moves_aliases_and_remembers_the_way_back(store, logged, rows):
    for _ in range(2):
        registry.register(store, logged)
        registry.promote(store, rows, judge=accept)

    assert [(v.number, v.aliases) for v in registry.versions(store)] == [(2, ("champion",)), (1, ("previous",))]
    assert registry.rollback(store).number == 1
    assert registry.resolve(store, "champion").number == 1


def test_a_refused_challenger_changes_nothing_and_the_reasons_are_given(store, logged, rows):
    registry.register(store, logged, alias="champion")
    registry.register(store, logged)

    with pytest.raises(PromotionError, match=r"worse for origin JFK[\s\S]*version 1 stays"):
        registry.promote(store, rows, judge=refuse)
    assert [v.aliases for v in registry.versions(store)] == [("challenger",), ("champion",)]


def test_a_model_that_is_no_better_is_refused_by_the_default_gate(store, logged, rows):
    registry.register(store, logged, alias="champion")
    registry.register(store, logged)

    with pytest.raises(PromotionError, match="is needed"):
        registry.promote(store, rows)


def test_a_rollback_without_a_previous_champion_is_refused(store, logged):
    registry.register(store, logged, alias="champion")

    with pytest.raises(RegistryError, match="previous"):
        registry.rollback(store)


def test_a_model_card_is_written_from_what_the_run_logged(store, logged):
    registry.register(store, logged, alias="champion")
    run = store.client().get_run(logged)

    card = registry.model_card(store)

    assert "# late-flights, version 1" in card
    assert f"| valid.auc | {run.data.metrics['valid.auc']:.4f} |" in card
    assert f"| max_iter | {CONFIG.max_iter} |" in card
    assert run.data.tags["model_sha256"][:12] in card
    assert logged in card
