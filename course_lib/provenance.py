"""Provenance of a model: digests, environment and one fingerprint over them; and how to make it again."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib import data as flights_data, features, training
from course_lib.errors import TrackingError
from course_lib.tracking_store import MLFLOW, Store, guard

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Reproduction",
    "code_digest",
    "data_digest",
    "environment",
    "fingerprint",
    "identity",
    "model_digest",
    "reproduce",
]

_LIBRARIES = {name: name for name in ("scikit-learn", "numpy", "scipy", "pandas", "pyarrow")}
_LIBRARIES |= {"mlflow": MLFLOW, "skops": "skops"}  # the name in the record, the name as installed


def environment() -> dict[str, str]:
    """Return the versions that decide what a training produces: Python, machine architecture, libraries."""
    return {"python": platform.python_version(), "machine": platform.machine()} | {
        name: version(package) for name, package in _LIBRARIES.items()
    }


def fingerprint(*, data: str, code: str, params: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """Return one id for data, code, parameters and environment together: 64 hexadecimal digits.

    The same four give the same id, whatever the order of the mappings' keys.

    Examples
    --------
    >>> one = fingerprint(data="d", code="c", params={"seed": 0, "max_iter": 9}, environment={})
    >>> one == fingerprint(data="d", code="c", params={"max_iter": 9, "seed": 0}, environment={})
    True
    """
    parts = {"data": data, "code": code, "params": dict(params), "environment": dict(environment)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def data_digest(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of the features and labels in ``frame``: the rows, their order and their values."""
    import pandas as pd

    columns = [name for name in (*features.NAMES, "late") if name in frame.columns]
    hashed = pd.util.hash_pandas_object(frame[columns], index=False).to_numpy()
    return hashlib.sha256(",".join(columns).encode() + hashed.tobytes()).hexdigest()


def code_digest() -> str:
    """Return the SHA-256 of the modules that turn raw data into a model."""
    digest = hashlib.sha256()
    for name in ("data", "features", "training"):
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return digest.hexdigest()


def model_digest(model: Any) -> str:
    """Return the SHA-256 of everything a fitted model has learnt and was told.

    It is taken over the values and not over a file, because files of equal models differ: zip archives hold a time, and
    a pickle depends on which strings happen to be one object. A model read back from the store has the digest of the
    model that was written.
    """
    digest = hashlib.sha256()
    for part in _values(model):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def identity(frame: pd.DataFrame, config: training.TrainingConfig, model: Any) -> dict[str, str]:
    """Return the tags that identify a run: digests of its data, code and model, and the fingerprint of its inputs."""
    inputs = {"data": data_digest(frame), "code": code_digest()}
    return {
        "data_sha256": inputs["data"],
        "code_sha256": inputs["code"],
        "model_sha256": model_digest(model),
        "fingerprint": fingerprint(**inputs, params=config.as_params(), environment=environment()),
    }


@dataclass(frozen=True)
class Reproduction:
    """The outcome of making an old run again.

    Attributes
    ----------
    run_id
        The old run.
    same
        Whether the new model is the old one, bit for bit.
    differences
        Each part of the run's identity that changed, then and now.
    """

    run_id: str
    same: bool
    differences: tuple[str, ...]


def reproduce(store: Store, run_id: str) -> Reproduction:
    """Train again from what ``run_id`` logged, and compare the model bit for bit.

    Raises
    ------
    TrackingError
        The run does not exist, or did not log what is needed.
    """
    with guard(store):
        run = store.client().get_run(run_id)
    params, tags = run.data.params, run.data.tags
    months = _logged(params, "months", run_id)
    defaults = training.TrainingConfig().as_params()
    settings: dict[str, Any] = {
        name: type(default)(float(_logged(params, name, run_id))) for name, default in defaults.items()
    }
    config = training.TrainingConfig(**settings)
    frame = flights_data.labelled(flights_data.flights([int(month) for month in months.split(",")]))
    now = identity(frame, config, training.train(frame, config))
    differences = [f"{name}: {tags.get(name)} then, {now[name]} now" for name in now if tags.get(name) != now[name]]
    return Reproduction(run_id, tags.get("model_sha256") == now["model_sha256"], tuple(differences))


def _logged(params: Mapping[str, str], name: str, run_id: str) -> str:
    if name not in params:
        raise TrackingError(
            f"Run {run_id} did not log the parameter {name!r}.",
            expected="a run logged with `tracking.log_training`",
            next_step="choose another run; this one cannot be made again from what it logged",
        )
    return params[name]


def _values(value: Any) -> Iterator[bytes]:
    """Yield the bytes of every value inside ``value``, in an order that does not depend on identity or insertion."""
    import numpy as np

    if isinstance(value, np.ndarray) and value.dtype != object:
        yield f"{value.dtype.descr}{value.shape}".encode() + value.tobytes()
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield str(key).encode()
            yield from _values(value[key])
    elif isinstance(value, (list, tuple, np.ndarray)):
        yield f"sequence of {len(value)}".encode()
        for item in value:
            yield from _values(item)
    elif value is None or isinstance(value, (str, bytes, int, float, slice, type, np.generic)):
        yield repr(value).encode()
    else:
        yield type(value).__qualname__.encode()
        yield from _values(_state(value))


def _state(value: Any) -> Any:
    state = value.__getstate__()
    return value.__reduce__()[1:] if state is None else state
