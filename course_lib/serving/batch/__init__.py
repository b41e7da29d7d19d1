"""Batch inference: a job in one process or on a Ray cluster, or by queue with Celery workers.

``serving.batch.run`` scores months and waits, ``serving.batch.start`` does it in the background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib import lazy

if TYPE_CHECKING:
    from course_lib.serving.batch import cluster as cluster, job as job, queue as queue, tasks as tasks
    from course_lib.serving.batch.job import flights_to_json as flights_to_json, run as run, start as start
else:
    __getattr__, __dir__, __all__ = lazy.attach(__name__)
