"""Batch inference: score whole months at once, in this process or on a Ray cluster, and write one file.

Nobody waits for a single answer, so throughput is all that counts, and a job may simply be run again: its output is
moved into place when it is complete, and the same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from course_lib.errors import CourseError, EngineError
from course_lib.features import NAMES
from course_lib.serving.batch.cluster import ENVIRONMENT, Cluster
from course_lib.serving.errors import ServingError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from course_lib.serving.model import OnnxModel

__all__ = ["BatchJob", "BatchRun", "flights_of", "flights_to_json", "run", "score_rows", "start", "write"]

Engine = Literal["plain", "ray", "auto"]
Columns = dict[str, "np.ndarray"]
_ATTEMPTS = 3  # of starting Ray, where nothing else will do


@dataclass(frozen=True, kw_only=True)
class BatchRun:
    """A finished batch job.

    Attributes
    ----------
    path
        Parquet file: ``flight_id`` and ``late_probability``, one row a flight, in the order of the data.
    engine
        What scored it: ``plain`` or ``ray``.
    rows
        Number of flights.
    startup_s
        Seconds until the first flight could be scored: reading the data, starting the cluster.
    scoring_s
        Seconds of scoring.
    note
        Why it was not the engine that was asked for; empty if it was.
    """

    path: Path
    engine: Engine
    rows: int
    startup_s: float
    scoring_s: float
    note: str = ""

    def read(self) -> pd.DataFrame:
        """Return the written probabilities."""
        import pandas as pd

        return pd.read_parquet(self.path)


def run(
    bundle: Path | str,
    months: Sequence[int],
    out: Path | str,
    *,
    engine: Engine = "plain",
    workers: int = 2,
    chunk_rows: int = 4_000,
) -> BatchRun:
    """Score every flight of ``months`` in this process and write one Parquet file.

    Parameters
    ----------
    bundle
        Folder of a signed bundle.
    months
        Months of 2013, 1 to 12.
    out
        File to write; replaced only when the job is complete.
    engine
        ``plain``: one chunk after the other. ``ray``: chunks as tasks of a local Ray cluster. ``auto``: Ray where it is
        installed and starts, else plain; the result says which it was, and why.
    workers
        Processes that Ray starts.
    chunk_rows
        Flights per call of the model, and per task.

    Raises
    ------
    EngineError
        ``engine`` is ``ray`` and Ray is not installed.
    """
    started = time.perf_counter()
    frame = flights_of(months)
    chunks = list(_chunks(frame, chunk_rows))
    used, note = engine, ""
    if engine != "plain":
        try:
            parts, ready, done = _on_ray(str(bundle), chunks, workers, attempts=1 if engine == "auto" else _ATTEMPTS)
            used = "ray"
        except EngineError as error:
            if engine == "ray":
                raise
            used, note = "plain", error.happened
    if used == "plain":
        parts, ready, done = _here(str(bundle), chunks)
    path = write(frame, parts, Path(out))
    seconds = {"startup_s": ready - started, "scoring_s": done - ready}
    return BatchRun(path=path, engine=used, rows=len(frame), note=note, **seconds)


def _here(bundle: str, chunks: Sequence[Columns]) -> tuple[list[np.ndarray], float, float]:
    """Score in this process; return the answers, and when it was ready and done."""
    model = _model(bundle)
    ready = time.perf_counter()
    return [model.score_columns(chunk) for chunk in chunks], ready, time.perf_counter()


def _on_ray(
    bundle: str, chunks: Sequence[Columns], workers: int, *, attempts: int
) -> tuple[list[np.ndarray], float, float]:
    with Cluster(workers, attempts=attempts) as cluster:
        ready = time.perf_counter()
        return cluster.map(_score_chunk, [(bundle, chunk) for chunk in chunks]), ready, time.perf_counter()


class BatchJob:
    """A batch job in a process of its own: it can run beside other work, and takes its cluster with it when it ends."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        atexit.register(self.stop)  # a notebook that fails before it asks for the result leaves nothing behind

    def result(self, *, timeout_s: float = 120.0) -> BatchRun:
        """Wait for the job and return what it did.

        Raises
        ------
        ServingError
            It failed, or took too long; the end of its output is in the message.
        """
        try:
            out, err = self._process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            self.stop()
            raise ServingError(
                f"The batch job was not done in {timeout_s:g} s.", next_step="allow more time"
            ) from error
        atexit.unregister(self.stop)
        if self._process.returncode:
            raise ServingError(
                f"The batch job failed: {(err.strip().splitlines() or ['no message'])[-1]}",
                expected="one row per flight",
                next_step="correct the cause and run it again; nothing was written",
            )
        found = json.loads(out.strip().splitlines()[-1])
        return BatchRun(**found | {"path": Path(found["path"])})

    def stop(self) -> None:
        """Stop the job and everything it started."""
        from course_lib.processes import stop_tree

        atexit.unregister(self.stop)
        if self._process.poll() is None:
            stop_tree(self._process.pid)
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    bundle: Path | str, months: Sequence[int], out: Path | str, *, engine: Engine = "plain", workers: int = 2
) -> BatchJob:
    """Start :func:`run` in a process of its own and return at once."""
    command = [sys.executable, "-m", "course_lib.serving.batch.job", str(bundle), str(out), "--engine", engine]
    command += ["--workers", str(workers), "--months", *map(str, months)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return BatchJob(subprocess.Popen(command, start_new_session=True, env=os.environ | ENVIRONMENT, **pipes))


def flights_to_json(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return flights as the JSON objects that the API takes: the numbers of the timetable whole, missing ones ``None``.

    Examples
    --------
    >>> flights_to_json(data.flights([1]).head(1))[0]["carrier"]  # doctest: +SKIP
    'UA'
    """
    from course_lib.features import FEATURES, select

    columns: list[list[Any]] = []
    for feature, (_, column) in zip(FEATURES, select(frame).items(), strict=True):
        whole = feature.kind == "number" and not feature.nullable
        values = column.astype("int64") if whole else column.astype(object).where(column.notna(), None)
        columns.append(values.tolist())
    return [dict(zip(NAMES, row, strict=True)) for row in zip(*columns, strict=True)]


def flights_of(months: Sequence[int]) -> pd.DataFrame:
    """Return the flights of a job, in the order of its output."""
    from course_lib import data

    return data.flights(months, columns=["flight_id", *NAMES])


def score_rows(bundle: str, months: tuple[int, ...], begin: int, end: int) -> np.ndarray:
    """Return the answers for the rows ``[begin, end)`` of a job; a process that is asked again has all at hand."""
    columns = _job_columns(months)
    return _model(bundle).score_columns({name: values[begin:end] for name, values in columns.items()})


@lru_cache(maxsize=1)
def _job_columns(months: tuple[int, ...]) -> Columns:
    return _columns(flights_of(months))


def _columns(frame: pd.DataFrame) -> Columns:
    """Return the features as plain arrays: the workers of Ray need no pandas."""
    from course_lib.features import CATEGORIES

    kinds: dict[str, Any] = {name: object if name in CATEGORIES else "float32" for name in NAMES}
    return {name: frame[name].to_numpy(dtype=kinds[name]) for name in NAMES}


def _chunks(frame: pd.DataFrame, rows: int) -> Iterator[Columns]:
    columns = _columns(frame)
    for begin in range(0, len(frame), rows):
        yield {name: values[begin : begin + rows] for name, values in columns.items()}


@lru_cache(maxsize=1)
def _model(bundle: str) -> OnnxModel:
    """Open the bundle once per process, checks and all."""
    from course_lib.serving.model import OnnxModel, load_model

    model = load_model(bundle)
    assert isinstance(model, OnnxModel)
    return model


def _score_chunk(bundle: str, chunk: Columns) -> np.ndarray:
    """Score one chunk; runs in a worker, which keeps the model for its next chunk."""
    return _model(bundle).score_columns(chunk)


def write(frame: pd.DataFrame, parts: Sequence[np.ndarray], out: Path) -> Path:
    """Write the answers of all chunks as one Parquet file: beside its final place, and moved in at once."""
    import numpy as np

    out.parent.mkdir(parents=True, exist_ok=True)
    result = frame[["flight_id"]].assign(late_probability=np.concatenate(parts))
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".building-") as scratch:
        partial = Path(scratch) / out.name
        result.to_parquet(partial, index=False)
        partial.replace(out)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m course_lib.serving.batch.job")
    parser.add_argument("bundle")
    parser.add_argument("out", type=Path)
    parser.add_argument("--engine", choices=("plain", "ray", "auto"), default="plain")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--months", type=int, nargs="+", required=True)
    options = parser.parse_args()
    try:
        done = run(options.bundle, options.months, options.out, engine=options.engine, workers=options.workers)
    except CourseError as error:
        raise SystemExit(error.happened) from error
    print(json.dumps(asdict(done), default=str))


if __name__ == "__main__":
    # Under its full name, so that Ray's workers import the same module instead of unpickling a copy of it.
    from course_lib.serving.batch.job import main as run_job

    run_job()
