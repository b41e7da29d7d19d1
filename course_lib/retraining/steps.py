"""The loop cut into six steps that share nothing but files: what an orchestrator needs to run, repeat and resume them.

:func:`course_lib.retraining.challenge` does the same in one process. Cut into steps, each can run on a machine of its
own, be tried again alone, and leave what it made behind for inspection. So a step takes paths and plain values, and
returns a plain value. :mod:`course_lib.retraining.kubeflow` and :mod:`course_lib.retraining.airflow_dag` order the same
six steps for two orchestrators.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from course_lib import data, evaluation, registry, tracking, training, validation
from course_lib.errors import CourseError, DataError, RegistryError

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

__all__ = ["EXPERIMENT", "STEPS", "StepFailed", "collect", "evaluate", "gate", "register", "train", "validate"]

EXPERIMENT = "orchestrated"
P = ParamSpec("P")
R = TypeVar("R")


class StepFailed(CourseError):
    """A step of the pipeline failed; its name is in the message."""


def _named(step: Callable[P, R]) -> Callable[P, R]:
    """Make every error of a step say which step it was."""

    @wraps(step)
    def run(*args: P.args, **options: P.kwargs) -> R:
        try:
            return step(*args, **options)
        except CourseError as error:
            raise StepFailed(
                f"The step {step.__name__!r} failed: {error.happened}",
                expected=error.expected,
                next_step=error.next_step,
            ) from error
        except Exception as error:
            raise StepFailed(
                f"The step {step.__name__!r} failed: {type(error).__name__}: {error}",
                next_step="read the log of this step",
            ) from error

    return run


@_named
def collect(flights: str, *, moment: str) -> int:
    """Write the flights that departed before ``moment`` (UTC) to the Parquet file ``flights``; return how many."""
    now = data.utc(moment)
    frame = data.flights(range(1, now.month + 1) if now.year == 2013 else range(1, 13))
    seen = frame[frame["sched_dep"] < now]
    if seen.empty:
        raise DataError(f"No flight departed before {now:%Y-%m-%d}.", expected="a moment in 2013, or later")
    return _write(seen, flights)


@_named
def validate(flights: str, accepted: str) -> int:
    """Write the flights that keep every rule to ``accepted``; return how many were quarantined."""
    checked = validation.validate(_read(flights))
    _write(checked.accepted, accepted)
    return len(checked.quarantined)


@_named
def train(accepted: str, *, store: str, moment: str, judge_days: float = 7.0, trees: int = 60) -> str:
    """Train on the labels known ``judge_days`` before ``moment``, log model and all; return the id of the run."""
    learn, _ = _split(_read(accepted), moment, judge_days)
    config = training.TrainingConfig(max_iter=trees)
    model = training.train(learn, config)
    return tracking.log_training(tracking.open_store(store), EXPERIMENT, model, learn, config)


@_named
def evaluate(accepted: str, scores: str, *, store: str, run_id: str, moment: str, judge_days: float = 7.0) -> float:
    """Write what champion and challenger say about the newest flights to ``scores``; return the challenger's AUC."""
    _, judge = _split(_read(accepted), moment, judge_days)
    shelf = tracking.open_store(store)
    models = {"challenger": tracking.load_model(shelf, f"runs:/{run_id}/model"), "champion": _champion(shelf)}
    said = {name: training.predict(model, judge) for name, model in models.items() if model is not None}
    _write(judge[["origin", "late"]].assign(**said), scores)
    return evaluation.score(judge["late"], said["challenger"]).auc


@_named
def gate(scores: str) -> str:
    """Return ``promote``, or why the challenger must not go into service."""
    table = _read(scores)
    champion = table["champion"].to_numpy() if "champion" in table else None
    decision = evaluation.gate_scores(table, champion, table["challenger"].to_numpy())
    return "promote" if decision.promote else "; ".join(decision.reasons)


@_named
def register(*, store: str, run_id: str, verdict: str) -> int:
    """Register the run's model, put it into service if the verdict is ``promote``; return the champion's number."""
    shelf = tracking.open_store(store)
    registry.register(shelf, run_id)
    if verdict == "promote":
        return registry.appoint(shelf).number
    try:
        return registry.resolve(shelf, registry.CHAMPION).number
    except RegistryError:
        return 0  # the gate refused the first model of all


STEPS = (collect, validate, train, evaluate, gate, register)
"""The steps, in their order."""


def _split(frame: pd.DataFrame, moment: str, judge_days: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what may be learnt from, and the newer flights that models are judged on; see ``challenge``."""
    import pandas as pd

    now = data.utc(moment)
    begin = now - pd.Timedelta(days=judge_days)
    known = data.labelled(frame, as_of=now)
    judge = known[known["sched_dep"] >= begin]
    if judge["late"].nunique() < 2:
        raise DataError(
            f"The {judge_days:g} days before {now:%Y-%m-%d} hold {len(judge)} labelled flights.",
            expected="late flights and flights on time to judge the challenger on",
            next_step="choose a later moment, or judge over more days",
        )
    return data.labelled(frame, as_of=begin), judge


def _champion(store: tracking.Store) -> Pipeline | None:
    try:
        return registry.load(store)
    except RegistryError:
        return None


def _write(frame: pd.DataFrame, path: str) -> int:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    frame.reset_index(drop=True).to_parquet(path, index=False)
    return len(frame)


def _read(path: str) -> pd.DataFrame:
    import pandas as pd

    if not Path(path).exists():
        raise DataError(f"There is no file {path}.", expected="what the step before wrote", next_step="run that step")
    return pd.read_parquet(path)
