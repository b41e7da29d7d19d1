"""The state of one running service: which model it has, whether it takes traffic, and what is waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from course_lib.serving.api.settings import Settings
from course_lib.serving.api.telemetry import LOGGER, Metrics
from course_lib.serving.batching import MicroBatcher
from course_lib.serving.errors import ModelUnavailable, QueueFull, Stopping
from course_lib.serving.model import Model, ModelSource, load_model

__all__ = ["Service"]

State = Literal["loading", "ready", "failed", "stopping"]


class Service:
    """Loads the model, answers flights, and stops without losing any.

    Parameters
    ----------
    source
        Where the model comes from.
    settings
        Limits.

    Attributes
    ----------
    state
        ``loading``, ``ready``, ``failed`` (the model could not be loaded; the log says why) or ``stopping``.
    """

    def __init__(self, source: ModelSource, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.state: State = "loading"
        self._stopped = False
        self._source = source
        self._model: Model | None = None
        self._batcher: MicroBatcher | None = None
        self._bulk: ThreadPoolExecutor | None = None
        self._threads: list[ThreadPoolExecutor] = []
        self._bulk_running = 0

    @property
    def model(self) -> Model:
        """The model in service.

        Raises
        ------
        ModelUnavailable
            There is none: not yet, or it could not be loaded.
        """
        if self._model is None:
            reason = "is being loaded" if self.state == "loading" else "could not be loaded"
            raise ModelUnavailable(f"The model {reason}.", next_step="ask /ready, and try again when it says so")
        return self._model

    async def start(self) -> None:
        """Load the model in a thread: meanwhile the service lives and says that it is not ready."""
        self.state, self._stopped = "loading", False
        try:
            model = await asyncio.to_thread(load_model, self._source)
        except Exception:  # whatever is wrong with a model, the service stays up to say that it is not ready
            self.state = "failed"
            LOGGER.exception("the model could not be loaded")
            return
        if not self._stopped:  # nobody asked to stop while it was loading
            self._put_into_service(model)

    def drain(self) -> None:
        """Say that no new traffic is wanted; what comes anyway is still answered until :meth:`stop`."""
        self.state, self._stopped = "stopping", True
        self.metrics.ready.set(0)
        LOGGER.info("draining")

    async def stop(self) -> None:
        """Answer what was accepted, then stop."""
        self.state, self._stopped = "stopping", True
        self.metrics.ready.set(0)
        if self._batcher is not None:
            await self._batcher.close()
        for pool in self._threads:
            await asyncio.to_thread(pool.shutdown)
        self._threads.clear()
        self._model = self._batcher = self._bulk = None

    def predict(self, row: tuple[Any, ...]) -> asyncio.Future[float]:
        """Queue one flight and return the future of its probability.

        Raises
        ------
        ServingError
            There is no model, too many flights are waiting, or the service has stopped.
        """
        if self._batcher is None:
            _ = self.model
            raise Stopping("The service is stopping.", next_step="send the request to another instance")
        return self._batcher.submit(row, deadline_s=self.settings.deadline_s)

    async def predict_bulk(self, rows: Sequence[tuple[Any, ...]]) -> list[float]:
        """Score many flights in a thread, beside the single ones.

        Raises
        ------
        ServingError
            There is no model, or too many bulk requests are running.
        """
        model = self.model
        if self._bulk_running >= self.settings.bulk_slots:
            raise QueueFull(
                f"{self._bulk_running} bulk requests are running already.",
                next_step="try later, or use the batch job for whole months",
            )
        self._bulk_running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._bulk, model.score, rows)
        finally:
            self._bulk_running -= 1

    def _put_into_service(self, model: Model) -> None:
        settings, metrics = self.settings, self.metrics
        self._bulk = ThreadPoolExecutor(1, "bulk")
        online = None if settings.inline else ThreadPoolExecutor(1, "online")
        self._threads = [pool for pool in (self._bulk, online) if pool is not None]
        self._batcher = MicroBatcher(
            model.score,
            max_batch=settings.max_batch,
            max_delay_s=settings.max_delay_s,
            max_queue=settings.max_queue,
            executor=online,
            observe=metrics.batches.observe,
        )
        metrics.model.info({"version": model.version, "run_id": model.run_id, "sha256": model.sha256})
        metrics.ready.set(1)
        self._model, self.state = model, "ready"
        LOGGER.info("ready", extra={"model_version": model.version})
