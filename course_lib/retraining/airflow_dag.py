"""The six steps as an Airflow DAG: link this file into Airflow's ``dags`` folder, where this package is installed too.

Airflow is not among the course's dependencies: its own pins would move half of the others. It needs an environment of
its own with this package in it, and the same steps then run under its scheduler, every Monday. Files go below
``LATE_FLIGHTS_HOME``, one folder a run; on more than one worker that must be a shared volume.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

from course_lib.retraining import steps

__all__ = ["DAG", "late_flights"]

_HOME = os.environ.get("LATE_FLIGHTS_HOME", "late-flights")


@dag(
    dag_id="late_flights",
    schedule="0 4 * * 1",
    start_date=datetime(2013, 1, 7, tzinfo=UTC),
    catchup=False,  # a loop that slept for a month trains once, not four times
    max_active_runs=1,  # two runs would race for the alias of the champion
    default_args={"retries": 1, "retry_delay": timedelta(minutes=5)},
    params={
        "moment": Param("2013-06-01", type="string"),
        "judge_days": Param(7.0, type="number"),
        "trees": Param(60, type="integer"),
    },
    tags=["late-flights"],
)
def late_flights() -> None:
    """Collect, validate, train, evaluate, gate, register."""

    def folder() -> str:
        run: str = get_current_context()["run_id"]
        return os.path.join(_HOME, "runs", run.replace(":", "-"))  # noqa: PTH118 - a path of the worker

    def period() -> dict[str, Any]:
        given = get_current_context()["params"]
        return {"store": os.path.join(_HOME, "store"), "moment": given["moment"], "judge_days": given["judge_days"]}  # noqa: PTH118

    @task
    def collect() -> str:
        path = f"{folder()}/flights.parquet"
        steps.collect(path, moment=period()["moment"])
        return path

    @task
    def validate(flights: str) -> str:
        path = f"{folder()}/accepted.parquet"
        steps.validate(flights, path)
        return path

    @task
    def train(accepted: str) -> str:
        return steps.train(accepted, trees=get_current_context()["params"]["trees"], **period())

    @task
    def evaluate(accepted: str, trained: str) -> str:  # `run_id` is a word of Airflow's own: the run of the DAG
        path = f"{folder()}/scores.parquet"
        steps.evaluate(accepted, path, run_id=trained, **period())
        return path

    @task
    def gate(scores: str) -> str:
        return steps.gate(scores)

    @task
    def register(trained: str, verdict: str) -> int:
        return steps.register(store=period()["store"], run_id=trained, verdict=verdict)

    accepted = validate(collect())
    trained = train(accepted)
    register(trained, gate(evaluate(accepted, trained)))


DAG = late_flights()
