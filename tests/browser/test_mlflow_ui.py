"""The MLflow interface on a real store, in a real browser: the run and the champion are seen, and nothing leaves."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import psutil
import pytest

from course_lib import evaluation, registry, tracking, training
from tests.browser.conftest import SCREENSHOTS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
CONFIG = training.TrainingConfig(max_iter=5, max_leaf_nodes=5, min_samples_leaf=30)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A store with one complete run and a champion, behind the MLflow server."""
    from course_lib import data

    store = tracking.open_store(tmp_path_factory.mktemp("tracking"))
    with tracking.ui_server(store) as server:
        rows = data.labelled(data.flights([1])).head(2000)
        model = training.train(rows, CONFIG)
        curve = training.learning_curve(model, train=rows)
        metrics = {"valid": evaluation.evaluate(model, rows)}
        run_id = tracking.log_training(store, "late-flight-desk", model, rows, CONFIG, metrics=metrics, curve=curve)
        registry.register(store, run_id, alias="champion")
        server.wait_ready()
        yield store, run_id, server
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    assert not any(process.is_running() for process in processes), "the server left a process behind"


@pytest.fixture
def outside(page):
    """Addresses of other machines that the page asked for."""
    asked = []
    page.context.on(
        "request",
        lambda request: (
            asked.append(request.url)
            if urlsplit(request.url).scheme in {"http", "https", "ws", "wss"}
            and urlsplit(request.url).hostname not in {"127.0.0.1", "localhost"}
            else None
        ),
    )
    return asked


def test_the_interface_shows_the_run_with_its_metrics_and_parameters(page, outside, served):
    store, run_id, server = served
    run = store.client().get_run(run_id)

    page.goto(f"{server.url}/#/experiments/{run.info.experiment_id}/runs/{run_id}")
    page.get_by_text(run.info.run_name, exact=True).first.wait_for()
    page.get_by_text("max_leaf_nodes", exact=True).first.wait_for()
    page.get_by_text("valid.auc", exact=True).first.wait_for()
    page.screenshot(path=SCREENSHOTS / "mlflow-run.png")

    assert outside == []


def test_the_interface_lists_the_registered_model_with_its_alias(page, outside, served):
    _, _, server = served

    page.goto(f"{server.url}/#/models/{registry.MODEL_NAME}")
    page.get_by_text(re.compile("champion")).first.wait_for()
    page.get_by_text(re.compile("Version 1")).first.wait_for()
    page.screenshot(path=SCREENSHOTS / "mlflow-model.png")

    assert outside == []
