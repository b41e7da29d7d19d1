"""Where MLflow's server is missing, notebook 02 asks this small server: it must answer as MLflow's own would."""

from __future__ import annotations

import pytest

from course_lib import engines, processes, tracking, tracking_rest


@pytest.fixture
def store(tmp_path):
    """A store with one run and a version that an alias points to."""
    store = tracking.open_store(tmp_path / "tracking")
    client = store.client()
    run = client.create_run(tracking.use(store, "desk"))
    client.log_metric(run.info.run_id, "valid.auc", 0.7, step=3)
    client.log_param(run.info.run_id, "max_iter", 100)
    client.create_registered_model("late-flights")
    version = client.create_model_version(
        "late-flights", source=(store.artifacts / "model").as_uri(), run_id=run.info.run_id
    )
    client.set_registered_model_alias("late-flights", "champion", version.version)
    return store


@pytest.fixture
def api(store):
    from fastapi.testclient import TestClient

    return TestClient(tracking_rest.create_app(store))


def test_an_alias_and_the_run_behind_it_are_answered_in_mlflows_own_format(api, store):
    asked = {"name": "late-flights", "alias": "champion"}
    version = api.get("/api/2.0/mlflow/registered-models/alias", params=asked).json()["model_version"]
    assert (version["name"], version["version"], version["current_stage"]) == ("late-flights", "1", "None")
    run = api.get("/api/2.0/mlflow/runs/get", params={"run_id": version["run_id"]}).json()["run"]
    (metric,) = run["data"]["metrics"]
    assert (metric["key"], metric["value"], metric["step"]) == ("valid.auc", 0.7, 3)
    assert run["data"]["params"] == [{"key": "max_iter", "value": "100"}]


def test_what_is_not_there_is_mlflows_own_error(api):
    answer = api.get("/api/2.0/mlflow/registered-models/alias", params={"name": "late-flights", "alias": "nobody"})
    assert answer.status_code == 400
    assert "nobody" in answer.json()["message"]
    answer = api.get("/api/2.0/mlflow/runs/get", params={"run_id": "0" * 32})
    assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_the_page_says_that_there_is_no_interface(api):
    assert "No MLflow interface here" in api.get("/").text


def test_it_takes_the_servers_place_where_only_the_small_part_of_mlflow_is_installed(store, monkeypatch):
    missing = engines.Engine("MLflow server", lambda: None, "", "")
    monkeypatch.setitem(engines.ENGINES, "mlflow", missing)
    with tracking.ui_server(store) as server:
        assert "course_lib.tracking_rest" in server.command
        server.wait_ready()
        port = server.port
    processes.require_free(port)  # it has stopped
