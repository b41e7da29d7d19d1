"""Weights & Biases offline, stage E in a second tracker: the same run again. The one seam to W&B.

Offline, a run is a file: nothing is sent, and ``wandb sync`` could send it later. Reading the file back shows which of
the two trackers' words mean the same.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib import engines
from course_lib.errors import TrackingError
from course_lib.tracking_store import Store, guard

if TYPE_CHECKING:
    from mlflow.entities import Run

__all__ = ["OfflineRun", "mirror", "read"]

_HEADER = b":W&B"
_BLOCK = 32 * 1024  # the file is a LevelDB log: records are cut into blocks of this size


@dataclass(frozen=True)
class OfflineRun:
    """What a W&B run file holds.

    Attributes
    ----------
    path
        The file.
    name, project, group
        Names the run goes by.
    config
        Settings; MLflow calls them parameters.
    summary
        One value per metric, the last one unless set by hand.
    history
        One mapping of metrics per step, in order; each holds its ``_step``.
    """

    path: Path
    name: str
    project: str
    group: str
    config: dict[str, Any]
    summary: dict[str, Any]
    history: tuple[dict[str, Any], ...]


def mirror(store: Store, run_id: str, folder: Path, *, project: str = "late-flight-desk") -> OfflineRun:
    """Log what an MLflow run logged to W&B in offline mode, and return what W&B's file then holds.

    Parameters
    ----------
    store, run_id
        The run to copy: its parameters, its metrics with every step, and its name.
    folder
        Where W&B may write; nothing is written elsewhere.
    project
        W&B's word for an experiment.

    Raises
    ------
    EngineError
        W&B is not installed.
    TrackingError
        The run does not exist.
    """
    engines.require("wandb")
    client = store.client()
    with guard(store):
        run = client.get_run(run_id)
        points = [point for name in run.data.metrics for point in client.get_metric_history(run_id, name)]
    steps: dict[int, dict[str, float]] = {}
    for point in points:
        steps.setdefault(point.step, {})[point.key] = point.value
    return read(_write(run, steps, folder, project))


def read(path: Path) -> OfflineRun:
    """Read a run file that W&B wrote offline.

    Raises
    ------
    TrackingError
        The file is not there, or is not a run file.
    """
    from wandb.proto import wandb_internal_pb2

    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    history: list[dict[str, Any]] = []
    names = {"name": "", "project": "", "group": ""}
    for raw in _records(path):
        record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]  # the module's names are made at import
        record.ParseFromString(raw)
        match record.WhichOneof("record_type"):
            case "run":
                config |= _items(record.run.config.update)
                names = {"name": record.run.display_name, "project": record.run.project, "group": record.run.run_group}
            case "summary":
                summary |= _items(record.summary.update)
            case "history":
                history.append(_items(record.history.item))
    public = {key: value for key, value in summary.items() if not key.startswith("_")}
    return OfflineRun(path, **names, config=config, summary=public, history=tuple(history))


def _write(run: Run, steps: Mapping[int, Mapping[str, float]], folder: Path, project: str) -> Path:
    """Write the run with W&B itself, and stop the helper process that it starts."""
    folder.mkdir(parents=True, exist_ok=True)
    homes = ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR")
    os.environ |= {name: str(folder) for name in homes} | {"WANDB_ERROR_REPORTING": "false", "WANDB_MODE": "offline"}
    import wandb

    settings = wandb.Settings(
        silent=True,
        console="off",
        save_code=False,
        disable_git=True,
        x_disable_stats=True,
        x_disable_meta=True,
        x_save_requirements=False,
    )
    try:
        copy = wandb.init(
            project=project,
            dir=str(folder),
            mode="offline",
            name=run.info.run_name,
            group=run.data.tags.get("mlflow.parentRunId"),
            config=dict(run.data.params) | {"mlflow_run_id": run.info.run_id},
            settings=settings,
        )
        path = Path(copy.settings.sync_file)
        for step in sorted(steps):
            copy.log(dict(steps[step]), step=step)
        copy.finish()
    finally:
        wandb.teardown()
    return path


def _items(items: Any) -> dict[str, Any]:
    """Return W&B's key-value records as a dict, without its own book-keeping."""
    pairs = ((item.key or ".".join(item.nested_key), json.loads(item.value_json)) for item in items)
    return {key: value for key, value in pairs if key == "_step" or not key.startswith("_")}


def _records(path: Path) -> Iterator[bytes]:
    """Yield the records of a LevelDB log (github.com/google/leveldb, doc/log_format.md) after W&B's header."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise TrackingError(f"The W&B run file cannot be read: {error}", expected="a file that W&B wrote") from error
    if not raw.startswith(_HEADER):
        raise TrackingError(
            f"{path} is not a W&B run file.",
            expected=f"a file that begins with {_HEADER.decode()}",
            next_step="look for `offline-run-*/run-*.wandb` in the folder given to W&B",
        )
    position, record = 7, b""
    while position + 7 <= len(raw):
        if (left := _BLOCK - position % _BLOCK) < 7:  # too short for a header: the rest of the block is padding
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", raw[position : position + 7])
        record += raw[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield record
            record = b""
