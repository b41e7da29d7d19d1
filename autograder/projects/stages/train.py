"""Stage train: the model is made again from what was handed in, twice, and the run says how."""

from __future__ import annotations

import contextlib
import hashlib
import platform
from collections.abc import Mapping
from importlib import metadata

from autograder.projects.harness import NOT_CODE, Harness, post
from autograder.projects.measure.holdout import holdout
from autograder.projects.measure.mlflow_store import TrackedRun, runs
from autograder.projects.model import Requirement, Unmet, Untried
from autograder.projects.stage import Stage

__all__ = ["PLAIN_STAGE", "STAGE"]

_CURVE, _PARAMS = 5, 3

REQUIREMENTS = (
    Requirement(
        "train.runs",
        "`train` makes the model from a fresh checkout",
        3,
        "Run it in a fresh clone. It may read files of the project and data that installed packages bring; there is no"
        " network. It must write the file that `model` names.",
    ),
    Requirement(
        "train.reproducible",
        "training twice gives the same model: the same file, or the same answers to the rows set aside",
        8,
        "Pass every seed on, sort what comes from a set, and store no time and no path in the model's file.",
    ),
    Requirement(
        "train.params",
        f"each run logs its parameters to MLflow (at least {_PARAMS})",
        3,
        "`mlflow.log_params({...})`: all that must be known to train the same model again.",
    ),
    Requirement(
        "train.curve",
        f"a metric is logged over steps (at least {_CURVE}), so that learning can be seen",
        3,
        "`mlflow.log_metric(name, value, step=epoch)` inside the loop, not the last value alone.",
    ),
    Requirement(
        "train.artifacts",
        "the run holds the model that is served",
        3,
        "`mlflow.log_artifact(path)` of the very file that `model` names.",
    ),
    Requirement(
        "train.environment",
        "the run says with which Python and which package versions it was made",
        3,
        "Log a file with the Python version and the version of each package that training uses.",
    ),
)


def _run(harness: Harness) -> None:
    _check_run(harness, _check_training(harness))


def _check_training(harness: Harness) -> dict[str, bytes]:
    """Look at two trainings, and return what the second left."""
    done = [training.done for training in harness.trained(times=2)]
    path = harness.setting("model")
    seconds = ", ".join(f"{one.seconds:.1f} s" for one in done)
    if not done[-1].ok:
        tail = done[-1].output_tail(1)
        harness.record("train.runs", False, f"training number {len(done)}: {done[-1].description()}: {tail}", seconds)
        raise Untried("training failed (see train.runs)")
    first, second = harness.trained_files(0), harness.trained_files(1)
    size = len(first.get(path, b""))
    if not harness.record(
        "train.runs",
        size > 0,
        f"`{path}` {'was made' if size else 'is not there after training, or is empty'}",
        seconds,
    ):
        raise Untried(f"training made no `{path}` (see train.runs)")
    same = hashlib.sha256(first[path]).digest() == hashlib.sha256(second.get(path, b"")).digest()
    evidence = (
        f"trained twice, with different hash seeds: `{path}` came out as {'the same' if same else 'another'} file"
    )
    if not same and "holdout" in harness.project.settings:
        answers = [_answers(harness, made) for made in (first, second)]
        same = bool(answers[0]) and answers[0] == answers[1]
        evidence += f", with {'the same' if same else 'other'} answers to the rows set aside"
    harness.record("train.reproducible", same, evidence)
    return second


def _answers(harness: Harness, made: Mapping[str, bytes]) -> list[str]:
    """Return what the service answers to the rows set aside, with the model that one training left."""
    place = harness.fresh(overlay=made)
    rows = holdout(harness.project.text(harness.setting("holdout")) or "")
    with harness.serve(place, "/ready", statuses=[200]) as server:
        requests = [post("/predict", row["request"]) for row in rows]
        return [answer["text"] for answer in server.ask(*requests)] if server.first["status"] == 200 else []


def _check_run(harness: Harness, made: Mapping[str, bytes]) -> None:
    found = runs(made.get(harness.setting("tracking")))
    if len(found) < len(harness.trained()):
        raise Unmet(f"{len(found)} finished runs in the store after training twice")
    run = found[-1]
    params = [name for name in sorted(run.params) if not name.startswith("mlflow.")]
    harness.record("train.params", len(params) >= _PARAMS, f"parameters of the last run: {', '.join(params) or 'none'}")
    curves = run.curves(_CURVE)
    harness.record(
        "train.curve",
        bool(curves),
        f"over at least {_CURVE} steps: {', '.join(curves) or 'nothing'}; metrics: {', '.join(sorted(run.metrics))}",
    )
    kept = _artifacts(run, made)
    same = [path for path, data in kept.items() if data == made[harness.setting("model")]]
    evidence = f"artifacts: {', '.join(sorted(kept)) or 'none'}; the model's file is {'' if same else 'not '}among them"
    harness.record("train.artifacts", bool(same), evidence)
    _check_environment(harness, run, kept)


def _artifacts(run: TrackedRun, made: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the artifacts of a run by their path in it: files below a folder with the run's id."""
    mark = f"/{run.id}/artifacts/"
    return {path.partition(mark)[2]: data for path, data in made.items() if mark in f"/{path}"}


def _check_environment(harness: Harness, run: TrackedRun, kept: Mapping[str, bytes]) -> None:
    texts = [data.decode(errors="replace") for data in kept.values() if len(data) < 1 << 20]
    text = "\n".join([*texts, *run.tags.values(), *(f"{k}={v}" for k, v in run.params.items())])
    names = sorted(harness.project.declared())
    logged_text = _plain_name(text)
    logged = [name for name in names if _plain_name(name) in logged_text and (_version(name) or "?") in text]
    python = platform.python_version() in text
    evidence = (
        f"Python's version {'is' if python else 'is not'} logged; versions of: {', '.join(logged) or 'no package'}"
    )
    harness.record("train.environment", python and bool(logged), evidence)


def _plain_name(text: str) -> str:
    return text.lower().replace("_", "-")


def _version(name: str) -> str | None:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    return None


PLAIN_STAGE = Stage("train", REQUIREMENTS[:2], _check_training, excluded=NOT_CODE)
STAGE = Stage("train", REQUIREMENTS, _run, excluded=NOT_CODE)
