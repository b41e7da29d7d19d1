"""Micro-batching: flights that arrive together are scored together, each gets its own answer, none waits for ever.

A call of the model costs about as much for one flight as for ten. So the batcher collects what arrives within a short
delay (or, with no delay, in the same turn of the event loop) and makes one call. The queue is bounded: a caller who is
told at once to slow down is better off than one who is answered after he gave up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from course_lib.serving.errors import DeadlineExceeded, QueueFull, Stopping

__all__ = ["MicroBatcher"]


@dataclass(slots=True)
class _Waiting:
    row: Any
    arrived: float  # both on the clock of the event loop
    deadline: float
    future: asyncio.Future[float]


class MicroBatcher:
    """Collects single rows into batches for a model.

    Parameters
    ----------
    score
        Scores a sequence of rows; answers in the same order.
    max_batch
        Most rows in one call.
    max_delay_s
        Seconds that the first row of a batch waits for company; 0 waits for the current turn of the event loop only.
    max_queue
        Most rows waiting; the next one is refused.
    executor
        Where ``score`` runs; by default on the event loop itself, which is right for very quick models only.
    observe
        Called with the size of every batch.
    """

    def __init__(
        self,
        score: Callable[[Sequence[Any]], Sequence[float]],
        *,
        max_batch: int = 64,
        max_delay_s: float = 0.0,
        max_queue: int = 512,
        executor: Executor | None = None,
        observe: Callable[[int], object] | None = None,
    ) -> None:
        self._score = score
        self._max_batch = max_batch
        self._max_delay_s = max_delay_s
        self._max_queue = max_queue
        self._executor = executor
        self._observe = observe
        self._queue: deque[_Waiting] = deque()
        self._timer: asyncio.Handle | None = None
        self._sweep: asyncio.Handle | None = None
        self._running: asyncio.Task[None] | None = None
        self._closing = False

    def __len__(self) -> int:
        """Return the number of rows that wait."""
        return len(self._queue)

    def submit(self, row: Any, *, deadline_s: float = 1.0) -> asyncio.Future[float]:
        """Queue one row and return the future of its answer.

        Parameters
        ----------
        row
            What ``score`` takes.
        deadline_s
            Seconds from now after which the row is not scored any more.

        Raises
        ------
        QueueFull
            ``max_queue`` rows are waiting.
        Stopping
            :meth:`close` was called.
        """
        if self._closing:
            raise Stopping("The service is stopping.", next_step="send the request to another instance")
        if len(self._queue) >= self._max_queue:
            raise QueueFull(f"{self._max_queue} flights are waiting already.", next_step="send fewer, or try later")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[float] = loop.create_future()
        now = loop.time()
        self._queue.append(_Waiting(row, now, now + deadline_s, future))
        self._schedule(loop)
        return future

    async def close(self) -> None:
        """Take nothing new, and return when everything that was accepted has its answer."""
        self._closing = True
        while self._queue or self._running:
            if self._running:
                await asyncio.wait([self._running])
            else:
                self._flush()
        for handle in (self._timer, self._sweep):
            if handle is not None:
                handle.cancel()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make sure that a batch will be formed: at once if it is full, else when the first row has waited enough."""
        if self._running is not None:  # the next batch forms while this one is computed
            if self._sweep is None:
                self._sweep = loop.call_at(self._queue[0].deadline, self._give_up)
            return
        if self._timer is not None and self._max_delay_s > 0 and len(self._queue) == self._max_batch:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            now = len(self._queue) >= self._max_batch or self._closing or self._max_delay_s <= 0
            due = self._queue[0].arrived + self._max_delay_s  # what a full batch left over has waited already
            self._timer = loop.call_soon(self._flush) if now else loop.call_at(due, self._flush)

    def _give_up(self) -> None:
        """Refuse rows whose time is up while a slow call of the model is still running."""
        self._sweep = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for one in self._queue:
            if now >= one.deadline:
                _refuse(one, now)
        self._queue = deque(one for one in self._queue if not one.future.done())
        if self._queue:
            self._sweep = loop.call_at(min(one.deadline for one in self._queue), self._give_up)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        batch = self._take(loop.time())
        if batch and self._executor is not None:
            self._running = loop.create_task(self._in_executor(loop, batch))
            return
        if batch:
            self._answer(batch, self._score_each(batch))
        if self._queue:
            self._schedule(loop)

    def _take(self, now: float) -> list[_Waiting]:
        """Take the oldest rows off the queue; those whose time is up, or whose caller has left, are not scored."""
        batch: list[_Waiting] = []
        while self._queue and len(batch) < self._max_batch:
            one = self._queue.popleft()
            if one.future.done():
                continue
            if now > one.deadline:
                _refuse(one, now)
                continue
            batch.append(one)
        return batch

    async def _in_executor(self, loop: asyncio.AbstractEventLoop, batch: list[_Waiting]) -> None:
        try:
            self._answer(batch, await loop.run_in_executor(self._executor, self._score_each, batch))
        finally:
            self._running = None
            if self._queue:
                self._schedule(loop)

    def _score_each(self, batch: Sequence[_Waiting]) -> list[float | Exception]:
        """Score a batch; if it fails, row by row: one bad row must not take its neighbours with it."""
        try:
            found: list[float | Exception] = list(self._score([one.row for one in batch]))
            if len(found) != len(batch):
                raise ValueError(f"{len(found)} answers for {len(batch)} rows")
        except Exception as error:  # whatever a model raises belongs to the rows that caused it
            if len(batch) == 1:
                return [error]
            return [answer for one in batch for answer in self._score_each([one])]
        return found

    def _answer(self, batch: Sequence[_Waiting], answers: Sequence[float | Exception]) -> None:
        if self._observe is not None:
            self._observe(len(batch))
        for one, answer in zip(batch, answers, strict=True):
            if one.future.done():
                continue
            if isinstance(answer, Exception):
                one.future.set_exception(answer)
            else:
                one.future.set_result(answer)


def _refuse(one: _Waiting, now: float) -> None:
    if not one.future.done():
        late = f"The flight's deadline passed {1000 * (now - one.deadline):.0f} ms before it could be scored."
        one.future.set_exception(DeadlineExceeded(late, next_step="try again, or allow more time"))
