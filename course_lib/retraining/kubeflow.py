"""The six steps as a Kubeflow pipeline: the one module that imports kfp.

kfp reads annotations as objects and a component's source as text: no ``from __future__ import annotations`` here, and
each body imports what it needs. :mod:`course_lib.retraining.pipeline` compiles and runs it.
"""

from functools import partial
from typing import Any

from kfp import compiler, dsl, local
from kfp.dsl import Dataset, Input, Metrics, Output

__all__ = ["IMAGE", "compile_to", "late_flights", "run_here"]

# What the steps run in on a cluster: a Python image with this package in it (notebook 05 builds one).
IMAGE = "registry.example/late-flights-python:1.0.0"

_step: Any = partial(dsl.component, base_image=IMAGE, install_kfp_package=False)


@_step
def collect(moment: str, flights: Output[Dataset]) -> int:
    """Write the flights up to the moment."""
    from course_lib.retraining import steps

    return steps.collect(flights.path, moment=moment)


@_step
def validate(flights: Input[Dataset], accepted: Output[Dataset]) -> int:
    """Keep the flights that keep every rule."""
    from course_lib.retraining import steps

    return steps.validate(flights.path, accepted.path)


@_step
def train(accepted: Input[Dataset], store: str, moment: str, judge_days: float, trees: int) -> str:
    """Train and log a challenger."""
    from course_lib.retraining import steps

    return steps.train(accepted.path, store=store, moment=moment, judge_days=judge_days, trees=trees)


@_step
def evaluate(  # noqa: PLR0917 - kfp calls it by name
    accepted: Input[Dataset],
    scores: Output[Dataset],
    metrics: Output[Metrics],
    store: str,
    run_id: str,
    moment: str,
    judge_days: float,
) -> float:
    """Let challenger and champion score the newest flights."""
    from course_lib.retraining import steps

    auc = steps.evaluate(accepted.path, scores.path, store=store, run_id=run_id, moment=moment, judge_days=judge_days)
    metrics.log_metric("challenger_auc", auc)
    return auc


@_step
def gate(scores: Input[Dataset]) -> str:
    """Decide on the challenger."""
    from course_lib.retraining import steps

    return steps.gate(scores.path)


@_step
def register(store: str, run_id: str, verdict: str) -> int:
    """Register the challenger, and put it into service if it may."""
    from course_lib.retraining import steps

    return steps.register(store=store, run_id=run_id, verdict=verdict)


@dsl.pipeline(name="late-flights", description="Collect, validate, train, evaluate, gate, register.")
def late_flights(store: str, moment: str, judge_days: float = 7.0, trees: int = 60) -> int:
    """Order the steps: who needs whose output runs after it."""
    collected = collect(moment=moment)
    accepted = validate(flights=collected.outputs["flights"]).outputs["accepted"]
    period = {"accepted": accepted, "store": store, "moment": moment, "judge_days": judge_days}
    trained = train(**period, trees=trees)
    evaluated = evaluate(**period, run_id=trained.output)
    verdict = gate(scores=evaluated.outputs["scores"])
    champion: int = register(store=store, run_id=trained.output, verdict=verdict.output).output
    return champion


def compile_to(path: str) -> None:
    """Write the pipeline as YAML, as a Kubeflow server takes it."""
    compiler.Compiler().compile(late_flights, path)


def run_here(folder: str, **parameters: Any) -> int:
    """Run the pipeline on this machine, each step in a process of its own; files go below ``folder``."""
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=folder, raise_on_error=True)
    champion: int = late_flights(**parameters).output
    return champion
