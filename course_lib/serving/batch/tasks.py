"""What a Celery worker of the desk runs: one task, that scores one chunk of a batch job. Imported by the worker itself.

``course_lib.serving.batch.queue`` starts the workers and sends the tasks. A message holds no flights, only where they
are: it stays small, and a task that is tried again reads the same rows.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery import Celery

from course_lib.errors import CourseError
from course_lib.serving.batch import job

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BROKER", "RETRIES", "app", "score_chunk"]

BROKER = "DESK_BROKER"  # environment variable with the address of Redis
RETRIES = 3  # after the first attempt

_broker = os.environ.get(BROKER, "memory://")
app: Any = Celery("desk", broker=_broker, backend=_broker if _broker.startswith("redis") else "cache+memory://")
app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],  # never pickle: whoever reaches the broker could run code in the worker
    result_extended=True,
    # A message is taken off the queue when its task is done, not when it begins: a worker that dies loses nothing.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


@app.task(bind=True, name="desk.score_chunk", max_retries=RETRIES)
def score_chunk(  # noqa: PLR0917 - a message holds them by position
    self: Any, bundle: str, months: list[int], rows: list[int], part: str, trouble: str = ""
) -> int:
    """Score the rows ``[begin, end)`` of the months into the file ``part``; return the number of attempts.

    Idempotent: a second run finds the file and leaves it, or writes the same bytes again and moves them in at once.

    Parameters
    ----------
    bundle
        Folder of a signed bundle.
    months
        Months of 2013.
    rows
        First row, and the one after the last.
    part
        File to write, in NumPy's format.
    trouble
        For drills: ``fail:2`` fails in the first two attempts; ``die`` kills the worker in the first.
    """
    attempt = int(self.request.retries)
    try:
        _make_trouble(trouble, attempt, Path(part))
        if not Path(part).exists():
            _save(job.score_rows(bundle, tuple(months), *rows), Path(part))
    except CourseError:
        raise  # a broken bundle stays broken: trying again would only take longer
    except OSError as error:
        raise self.retry(exc=error, countdown=0.1 * 2**attempt) from error  # 0.1, 0.2, 0.4 s
    return attempt + 1


def _save(values: np.ndarray, part: Path) -> None:
    import numpy as np

    partial = part.with_name(f"{part.name}.{os.getpid()}")
    with partial.open("wb") as file:
        np.save(file, values)
    partial.replace(part)


def _make_trouble(trouble: str, attempt: int, part: Path) -> None:
    kind, _, times = trouble.partition(":")
    if kind == "fail" and attempt < int(times):
        raise OSError("the disk was away (a drill)")
    marker = part.with_suffix(".died")
    # Only in a worker that somebody replaces: without a broker the task runs in the caller's own process.
    if kind == "die" and not marker.exists() and _broker.startswith("redis"):
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
