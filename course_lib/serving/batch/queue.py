"""Batch inference by queue: Celery workers take chunks of a month from Redis, until none is left.

Ray is made for computing: its workers share memory, and a job has the cluster for itself. A queue is made for work that
comes in at any time and must not get lost: a task waits until a worker is free, is tried again if it fails, and goes to
another worker if its own dies. What fails every time is *dead*: it is reported with its reason, and blocks nobody.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from course_lib.errors import EngineError
from course_lib.packaging.bundle import MANIFEST
from course_lib.processes import LOOPBACK, Server, free_port
from course_lib.serving.batch import job
from course_lib.serving.errors import ServingError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DeadTask", "QueueRun", "run"]

Broker = Literal["redis", "none"]
_ENDED = {"SUCCESS", "FAILURE", "REVOKED"}


@dataclass(frozen=True, kw_only=True)
class QueueRun:
    """A finished job.

    Attributes
    ----------
    path
        Parquet file as :func:`course_lib.serving.batch.job.run` writes it.
    broker
        ``redis``: tasks went through Redis to workers. ``none``: Celery ran them one by one in this process.
    rows
        Number of flights.
    attempts
        By chunk, how often it was tried; 0 for one that an earlier run had done.
    startup_s
        Seconds until the workers were asked for the first chunk.
    scoring_s
        Seconds from then on.
    note
        Why there was no broker; empty if there was one.
    """

    path: Path
    broker: Broker
    rows: int
    attempts: tuple[int, ...]
    startup_s: float
    scoring_s: float
    note: str = ""

    def read(self) -> pd.DataFrame:
        """Return the written probabilities."""
        import pandas as pd

        return pd.read_parquet(self.path)


@dataclass(frozen=True)
class DeadTask:
    """A chunk that no attempt could score, and why."""

    chunk: int
    reason: str


def run(
    bundle: Path | str,
    months: Sequence[int],
    out: Path | str,
    *,
    workers: int = 2,
    chunk_rows: int = 4_000,
    trouble: Mapping[int, str] | None = None,
    timeout_s: float = 120.0,
    server: str = "redis-server",
) -> QueueRun:
    """Score every flight of ``months`` by queue and write one Parquet file.

    The chunks that are done stay beside ``out`` until all are: a job that failed half-way goes on where it was.

    Parameters
    ----------
    bundle
        Folder of a signed bundle.
    months
        Months of 2013, 1 to 12.
    out
        File to write; replaced only when the job is complete.
    workers
        Processes of the Celery worker.
    chunk_rows
        Flights per task.
    trouble
        For drills, by chunk: ``fail:2`` fails in the first two attempts, ``die`` kills its worker in the first.
    timeout_s
        Seconds to wait for the tasks.
    server
        The program that is Redis; where it is missing, Celery runs the tasks in this process, and the result says so.

    Raises
    ------
    ServingError
        Tasks died: the message names chunks and reasons. Or they were not done in time.
    EngineError
        Celery is not installed, or Redis or the worker did not start.
    """
    begun = time.perf_counter()
    frame = job.flights_of(months)
    starts = range(0, len(frame), chunk_rows)
    parts_folder = Path(out).with_name(f".{Path(out).name}.parts")
    parts_folder.mkdir(parents=True, exist_ok=True)
    key = _key(Path(bundle), months, chunk_rows)
    parts = [parts_folder / f"{key}-{start:07}.npy" for start in starts]
    chunks = {
        number: ([str(bundle), list(months), [start, min(start + chunk_rows, len(frame))], str(part)], part)
        for number, (start, part) in enumerate(zip(starts, parts, strict=True))
        if not part.exists()
    }
    messages = {number: [*given, (trouble or {}).get(number, "")] for number, (given, _) in chunks.items()}
    with _celery(server, workers) as (submit, broker, note):
        ready = time.perf_counter()
        found = submit(messages, timeout_s)
    dead = [DeadTask(number, answer) for number, answer in found.items() if isinstance(answer, str)]
    if dead:
        raise _died(dead, len(starts))
    path = job.write(frame, [_load(part) for part in parts], Path(out))
    _remove(parts_folder)
    attempts = tuple(int(found.get(number, 0)) for number in range(len(starts)))
    seconds = {"startup_s": ready - begun, "scoring_s": time.perf_counter() - ready}
    return QueueRun(path=path, broker=broker, rows=len(frame), attempts=attempts, note=note, **seconds)


@contextmanager
def _celery(server: str, workers: int) -> Iterator[tuple[Any, Broker, str]]:
    """Yield a function that runs tasks, and what carries them."""
    import shutil

    try:
        import celery  # noqa: F401
    except ImportError as error:
        raise EngineError(
            "Celery is not installed.",
            expected="the packages celery and redis",
            next_step="run `make lab` again, or use `serving.batch.run`: the answers are the same",
        ) from error
    if shutil.which(server) is None:
        yield _here, "none", f"{server} was not found: Celery ran the tasks in this process"
        return
    with ExitStack() as stack:
        port = free_port()
        options = ["--port", str(port), "--bind", LOOPBACK, "--save", "", "--appendonly", "no", "--daemonize", "no"]
        redis = Server("Redis", [server, *options], port=port, ready_path=None)
        stack.enter_context(redis).wait_ready()
        address = f"redis://{LOOPBACK}:{port}/0"
        worker = stack.enter_context(_worker(address, workers))
        yield lambda messages, timeout_s: _send(address, worker, messages, timeout_s), "redis", ""


def _worker(address: str, processes: int) -> Server:
    from course_lib.serving.batch.cluster import ENVIRONMENT
    from course_lib.serving.batch.tasks import BROKER

    command = [sys.executable, "-m", "celery", "-A", "course_lib.serving.batch.tasks", "worker"]
    command += ["--concurrency", str(processes), "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
    # It listens nowhere: the port only keeps `Server` company, and nobody waits for it.
    return Server("the Celery worker", command, port=free_port(), env={BROKER: address, **ENVIRONMENT})


def _send(address: str, worker: Server, messages: Mapping[int, list[Any]], timeout_s: float) -> dict[int, int | str]:
    """Send the tasks to Redis and wait; return attempts by chunk, or why it died."""
    with _client(address) as client:
        # Only the names are kept: Celery's result objects would still talk to Redis when it has gone.
        sent = {number: client.send_task("desk.score_chunk", args=given).id for number, given in messages.items()}
        deadline = time.monotonic() + timeout_s
        while waiting := [number for number, name in sent.items() if client.backend.get_state(name) not in _ENDED]:
            if not worker.running:
                raise EngineError("The Celery worker ended.", next_step=f"read the end of its log:\n{worker.log()}")
            if time.monotonic() > deadline:
                raise ServingError(
                    f"The chunks {waiting} were not done in {timeout_s:g} s.",
                    next_step=f"allow more time; the end of the worker's log:\n{worker.log()}",
                )
            time.sleep(0.05)
        return {number: _answer(client.backend.get_result(name)) for number, name in sent.items()}


def _here(messages: Mapping[int, list[Any]], _timeout_s: float) -> dict[int, int | str]:
    """Run the tasks one after the other in this process, retries and all."""
    from course_lib.serving.batch.tasks import score_chunk

    return {number: _answer(score_chunk.apply(args=given).result) for number, given in messages.items()}


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """Yield a Celery app that sends tasks and reads results; its connections are closed afterwards."""
    from celery import Celery

    with Celery("desk-client", broker=address, backend=address) as client:
        client.conf.update(task_serializer="json", result_serializer="json", accept_content=["json"])
        yield client


def _answer(result: Any) -> int | str:
    """Return the attempts of a finished task, or the reason of a dead one."""
    if isinstance(result, BaseException):
        return f"{type(result).__name__}: {str(result).splitlines()[0]}"
    return int(result)


def _died(dead: Sequence[DeadTask], chunks: int) -> ServingError:
    return ServingError(
        f"{len(dead)} of {chunks} chunks could not be scored: "
        + "; ".join(f"chunk {one.chunk} ({one.reason})" for one in dead[:3]),
        expected="every chunk scored within its attempts",
        next_step="correct the cause and run the job again: the chunks that are done are kept",
    )


def _key(bundle: Path, months: Sequence[int], chunk_rows: int) -> str:
    """Return what a part belongs to: a job with another model or other rows must not find it."""
    import hashlib

    manifest = bundle / MANIFEST
    told = manifest.read_bytes() if manifest.exists() else str(bundle.resolve()).encode()
    return hashlib.sha256(told + repr((list(months), chunk_rows)).encode()).hexdigest()[:16]


def _load(part: Path) -> Any:
    import numpy as np

    return np.load(part, allow_pickle=False)


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
