from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from course_lib import data, evaluation, provenance, registry, tracking, training
from course_lib.errors import EngineError
from course_lib.retraining import challenge, pipeline, steps
from course_lib.retraining.steps import StepFailed

MOMENT = "2013-02-01"
TREES = 5
needs_kfp = pytest.mark.skipif(importlib.util.find_spec("kfp") is None, reason="kfp is not installed")


@pytest.fixture
def files(tmp_path):
    """Every fourth flight of January, where the step `collect` would have put all of them."""
    flights = data.flights([1]).iloc[::4]
    flights.to_parquet(tmp_path / "flights.parquet", index=False)
    return tmp_path


def turn(folder, **options):
    """The six steps, one after the other, as an orchestrator runs them."""
    store, flights, accepted = (str(folder / name) for name in ("store", "flights.parquet", "accepted.parquet"))
    steps.validate(flights, accepted)
    period = {"store": store, "moment": MOMENT, "judge_days": 7.0} | options
    run_id = steps.train(accepted, trees=TREES, **period)
    auc = steps.evaluate(accepted, str(folder / "scores.parquet"), run_id=run_id, **period)
    verdict = steps.gate(str(folder / "scores.parquet"))
    return run_id, auc, verdict, steps.register(store=store, run_id=run_id, verdict=verdict)


def test_the_steps_do_what_the_loop_in_one_process_does(files):
    _, auc, verdict, champion = turn(files)
    assert (verdict, champion) == ("promote", 1)
    scores = pd.read_parquet(files / "scores.parquet")
    assert evaluation.score(scores["late"], scores["challenger"].to_numpy()).auc == auc > 0.5
    assert "champion" not in scores

    other = tracking.open_store(files / "other")
    config = training.TrainingConfig(max_iter=TREES)
    frame = pd.read_parquet(files / "flights.parquet")
    assert challenge(other, frame, moment=MOMENT, config=config).promoted
    made, wanted = (registry.load(store) for store in (tracking.open_store(files / "store"), other))
    assert provenance.model_digest(made) == provenance.model_digest(wanted)


def test_a_challenger_that_is_no_better_is_registered_and_stays_out_of_service(files):
    turn(files)
    _, _, verdict, champion = turn(files)
    assert champion == 1
    assert "0.002 is needed" in verdict
    store = tracking.open_store(files / "store")
    assert registry.resolve(store, registry.CHALLENGER).number == 2


def test_collect_writes_only_flights_that_have_departed(tmp_path):
    rows = steps.collect(str(tmp_path / "deep" / "flights.parquet"), moment="2013-01-05")
    written = pd.read_parquet(tmp_path / "deep" / "flights.parquet")
    assert len(written) == rows > 0
    assert written["sched_dep"].max() < pd.Timestamp("2013-01-05", tz="UTC")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: steps.collect(f"{f}/x", moment="soon"), "step 'collect' failed: 'soon' is no moment"),
        (lambda f: steps.collect(f"{f}/x", moment="2012-06-01"), "step 'collect' failed: No flight departed"),
        (lambda f: steps.validate(f"{f}/none", f"{f}/x"), "step 'validate' failed: There is no file"),
        (lambda f: turn(f, judge_days=0.0), "step 'train' failed: The 0 days before"),
        (lambda f: steps.register(store=f"{f}/s", run_id="x", verdict="promote"), "step 'register' failed"),
    ],
)
def test_a_failure_names_its_step(files, call, message):
    with pytest.raises(StepFailed, match=message):
        call(files)


def test_a_renamed_column_stops_the_second_step(files):
    pd.read_parquet(files / "flights.parquet").rename(columns={"carrier": "airline"}).to_parquet(
        files / "flights.parquet"
    )
    with pytest.raises(StepFailed, match=r"step 'validate' failed: The batch lacks the columns carrier[\s\S]*Next:"):
        turn(files)


@needs_kfp
def test_the_pipeline_compiles_to_the_six_steps_in_their_order(tmp_path):
    text = pipeline.compile_pipeline(tmp_path / "pipeline.yaml").read_text()
    tasks = yaml.safe_load(text)["root"]["dag"]["tasks"]
    assert set(tasks) == {step.__name__ for step in steps.STEPS}
    assert tasks["evaluate"]["dependentTasks"] == ["train", "validate"]
    assert tasks["gate"]["dependentTasks"] == ["evaluate"]
    assert tasks["register"]["dependentTasks"] == ["gate", "train"]
    assert "pip install" not in text  # a step brings everything in its image, and downloads nothing


@needs_kfp
@pytest.mark.timeout(600)
def test_the_pipeline_runs_on_this_machine_and_makes_a_champion(tmp_path):
    done = pipeline.run_pipeline(tmp_path / "store", tmp_path / "runs", moment=MOMENT, trees=TREES)
    assert (done.champion, done.verdict) == (1, "promote")
    assert list(done.outputs) == [step.__name__ for step in steps.STEPS]
    assert done.outputs["collect"] == len(pd.read_parquet(done.folder / "collect" / "flights"))
    assert registry.resolve(tracking.open_store(tmp_path / "store"), registry.CHAMPION).run_id == done.outputs["train"]


@needs_kfp
def test_a_failed_step_of_the_pipeline_is_named_with_its_reason(tmp_path):
    with pytest.raises(
        StepFailed, match=r"step 'collect' failed: No flight departed before 2012[\s\S]*Expected: a moment"
    ):
        pipeline.run_pipeline(tmp_path / "store", tmp_path / "runs", moment="2012-01-01")


def test_a_log_without_a_reason_still_names_the_task():
    error = pipeline._failure(
        "boom\nRuntimeError: Pipeline finished with status FAILURE. Inner task failed: 'train'.\n"
    )
    assert isinstance(error, StepFailed)
    assert "'train' failed before it could say why" in str(error)
    assert isinstance(pipeline._failure("ModuleNotFoundError: No module named 'x'"), EngineError)


def test_without_kfp_the_error_says_what_to_do(tmp_path, monkeypatch):
    from course_lib import engines

    missing = engines.Engine("Kubeflow Pipelines SDK", lambda: None, "pipelines", "the loop runs as one function")
    monkeypatch.setitem(engines.ENGINES, "kfp", missing)
    with pytest.raises(EngineError, match="Kubeflow Pipelines SDK was not found"):
        pipeline.compile_pipeline(tmp_path / "pipeline.yaml")


def test_the_airflow_dag_has_the_same_steps_in_the_same_order(tmp_path):
    if importlib.util.find_spec("airflow") is None:
        pytest.skip("Airflow is not installed: it needs an environment of its own")
    program = (
        "from course_lib.retraining.airflow_dag import DAG\n"
        "print(*(task.task_id for task in DAG.topological_sort()), sep='\\n')"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    home = os.environ | {"AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-6:] == [step.__name__ for step in steps.STEPS]
