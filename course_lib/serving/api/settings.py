"""Limits of the service. Every queue, body and wait has one: what has no limit fails at the worst moment."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits and timings of one service process.

    Attributes
    ----------
    max_body_bytes
        Larger request bodies are refused with 413.
    max_rows
        Most flights in one bulk request (``/predict/batch``, ``/predict/stream``).
    max_batch
        Most flights that the micro-batcher scores in one call of the model.
    max_delay_s
        Seconds that the first flight of a micro-batch waits for company. With 0, a batch is what arrived in the same
        turn of the event loop: no one waits, and under load batches form by themselves.
    max_queue
        Most flights waiting to be scored; the next one gets 429.
    deadline_s
        Seconds after which a waiting flight is given up with 503.
    bulk_slots
        Bulk requests served at the same time; the next one gets 429. A bulk request runs in a thread, so it does not
        hold up single flights.
    inline
        Score micro-batches on the event loop. Right for a model that takes well under a millisecond: handing the work
        to a thread would cost more than the work. ``False`` for slow models.
    direct_route
        Answer ``POST /predict`` without FastAPI between request and model, see
        :mod:`course_lib.serving.api.fast_route`: the same contract, more requests per second, and more code of our own.
    """

    max_body_bytes: int = 1_048_576
    max_rows: int = 1_000
    max_batch: int = 64
    max_delay_s: float = 0.0
    max_queue: int = 512
    deadline_s: float = 1.0
    bulk_slots: int = 4
    inline: bool = True
    direct_route: bool = False
