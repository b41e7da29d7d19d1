"""Runs: logged completely, found by query, made again bit for bit."""

from __future__ import annotations

import pytest

from course_lib import evaluation, features, registry, tracking, training
from course_lib.errors import RegistryError, TrackingError

CONFIG = training.TrainingConfig(max_iter=6, max_leaf_nodes=7, min_samples_leaf=30)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tracking.open_store(tmp_path_factory.mktemp("tracking"))


@pytest.fixture(scope="module")
def january(labelled_winter):
    return labelled_winter[labelled_winter["month"] == 1]


@pytest.fixture(scope="module")
def model(january):
    return training.train(january, CONFIG)


@pytest.fixture(scope="module")
def run_id(store, model, january):
    curve = training.learning_curve(model, train=january.head(500))
    metrics = {"train": evaluation.evaluate(model, january)}
    return tracking.log_training(store, "desk", model, january, CONFIG, metrics=metrics, curve=curve, tags={"by": "me"})


def test_a_run_holds_parameters_metrics_tags_and_environment(store, run_id, model, january):
    run = store.client().get_run(run_id)

    assert run.info.status == "FINISHED"
    assert run.data.params == {name: str(value) for name, value in CONFIG.as_params().items()} | {"months": "1"}
    assert run.data.metrics["train.auc"] == evaluation.evaluate(model, january).auc
    assert run.data.tags["by"] == "me"
    assert {"environment.json"} == {file.path for file in store.client().list_artifacts(run_id)}


def test_a_curve_is_logged_step_by_step(store, run_id, model, january):
    curve = training.learning_curve(model, train=january.head(500))["train"]

    assert tracking.history(store, run_id, "train.curve_log_loss").to_dict() == curve.to_dict()


def test_a_curve_longer_than_one_request_is_logged_whole(store):
    import pandas as pd

    run_id = store.client().create_run(tracking.use(store, "long")).info.run_id
    curve = pd.DataFrame({"a": range(700), "b": range(700)}, index=range(1, 701))

    tracking.log_curve(store, run_id, curve.astype(float))

    assert tracking.history(store, run_id, "a.curve_log_loss").index.tolist() == list(range(1, 701))
    assert len(tracking.history(store, run_id, "b.curve_log_loss")) == 700


def test_a_metric_that_was_never_logged_is_named_with_those_that_were(store, run_id):
    with pytest.raises(TrackingError, match=r"no metric 'accuracy'[\s\S]*train\.auc"):
        tracking.history(store, run_id, "accuracy")


def test_a_run_logged_inside_another_becomes_its_child(store, model, january):
    import mlflow

    tracking.use(store, "nested")
    with mlflow.start_run() as parent:
        child = tracking.log_training(store, "nested", model, january.head(50), CONFIG)

    assert store.client().get_run(child).data.tags["mlflow.parentRunId"] == parent.info.run_id


def test_a_loaded_model_is_the_one_that_was_logged(store, run_id, model, january):
    loaded = tracking.load_model(store, f"runs:/{run_id}/model")

    assert tracking.model_digest(loaded) == tracking.model_digest(model)
    assert (training.predict(loaded, january) == training.predict(model, january)).all()


def test_a_logged_model_says_what_goes_in_and_lets_numbers_be_missing(store, run_id, january):
    import mlflow

    loaded = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    batch = features.select(january).head(2).astype(dict.fromkeys(features.NUMBERS, "float64"))
    batch.loc[batch.index[0], "weekday"] = float("nan")

    assert loaded.metadata.signature.inputs.input_names() == list(features.NAMES)
    assert loaded.predict(batch).shape == (2, 2)


def test_runs_are_filtered_and_ordered_by_the_store(store, run_id):
    found = tracking.runs(
        store, "desk", "metrics.`train.auc` > 0.5 AND tags.by = 'me'", order_by="metrics.`train.auc` DESC"
    )

    assert found["run_id"].tolist() == [run_id]
    assert tracking.runs(store, "desk", "metrics.`train.auc` > 0.999").empty


def test_asking_for_an_unknown_experiment_lists_the_known_ones_and_makes_none(store, run_id):
    with pytest.raises(TrackingError, match=r"no experiment called 'desc'[\s\S]*'desk'"):
        tracking.runs(store, "desc")
    assert store.client().get_experiment_by_name("desc") is None


def test_a_query_that_cannot_be_read_is_refused(store, run_id):
    with pytest.raises(TrackingError, match="The tracking store refused"):
        tracking.runs(store, "desk", "valid.auc is good")


def test_an_unknown_run_is_refused(store):
    with pytest.raises(TrackingError, match="no-such-run"):
        tracking.reproduce(store, "no-such-run")


def test_an_unknown_model_uri_is_refused(store):
    with pytest.raises(TrackingError, match="The tracking store refused"):
        tracking.load_model(store, "models:/late-flights@nobody")


def test_a_failing_training_leaves_a_failed_run(store, january):
    with pytest.raises(AttributeError):
        tracking.log_training(store, "failing", "not a model", january.head(50), CONFIG)

    assert tracking.runs(store, "failing")["status"].tolist() == ["FAILED"]


def test_a_run_can_be_made_again_bit_for_bit(store, run_id):
    again = tracking.reproduce(store, run_id)

    assert again.same
    assert again.differences == ()


def test_a_run_whose_data_changed_is_not_called_the_same(store, model, january):
    run_id = tracking.log_training(store, "changed", model, january, CONFIG)
    store.client().set_tag(run_id, "data_sha256", "0" * 64)

    assert any(difference.startswith("data_sha256") for difference in tracking.reproduce(store, run_id).differences)


def test_a_run_that_logged_too_little_cannot_be_made_again(store):
    run_id = store.client().create_run(tracking.use(store, "bare")).info.run_id

    with pytest.raises(TrackingError, match="did not log the parameter 'months'"):
        tracking.reproduce(store, run_id)


def test_a_run_without_a_model_cannot_be_registered(store):
    run_id = store.client().create_run(tracking.use(store, "bare")).info.run_id

    with pytest.raises(RegistryError, match="logged no model"):
        registry.register(store, run_id)


def test_a_run_tells_how_good_its_model_is_at_each_airport(store, january):
    from course_lib import evaluation

    model = training.train(january, CONFIG)
    table = evaluation.slices(model, january, min_rows=50)
    run_id = tracking.log_training(store, "airports", model, january, CONFIG, slices={"valid": table})
    logged = store.client().get_run(run_id).data.metrics

    assert logged == {f"valid.auc.{origin}": pytest.approx(auc) for origin, auc in table["auc"].items()}
    assert len(logged) >= 1
