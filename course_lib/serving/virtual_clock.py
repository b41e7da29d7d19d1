"""An event loop with a clock of its own: what would take seconds is over at once, and the same every time.

Code that waits (a micro-batcher with a delay, a deadline) is tested here without waiting: whenever nothing is left to
do, the clock jumps to the next timer. Only timers and tasks work in it, no sockets and no threads.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from course_lib.serving.errors import ServingError

__all__ = ["Arrival", "Outcome", "Submits", "play", "run"]

T = TypeVar("T")
_FOREVER_S = 3600.0  # of virtual time: nothing in a test waits an hour for a good reason


class _Loop(asyncio.SelectorEventLoop):
    """A loop whose clock moves only while it waits."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Return the seconds since the loop was made, on its own clock."""
        return self._now

    def jump(self, seconds: float | None) -> None:
        """Move the clock to the next timer."""
        if seconds is None:
            raise ServingError(
                "Everything waits, and nothing will ever wake it.",
                expected="work that ends",
                next_step="look for a future that nobody resolves",
            )
        self._now += seconds


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: _Loop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            self._loop.jump(timeout)
        return []


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run an async function on a virtual clock, in a thread of its own, and return its result."""
    box: list[T | BaseException] = []

    async def main() -> T:
        return await work()

    def target() -> None:
        loop = _Loop()
        try:
            box.append(loop.run_until_complete(main()))
        except BaseException as error:  # it is raised again below, in the caller's thread
            box.append(error)
        finally:
            _close(loop)

    thread = threading.Thread(target=target, name="virtual-clock")
    thread.start()
    thread.join()
    (result,) = box
    if isinstance(result, BaseException):
        raise result
    return result


def _close(loop: _Loop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


class Submits(Protocol):
    """A micro-batcher: anything with an awaitable ``submit``."""

    def submit(self, row: Any, *, deadline_s: float) -> Awaitable[float]:
        """Return the answer for one row."""
        ...


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One flight that arrives at a batcher.

    Attributes
    ----------
    at_ms
        When, in milliseconds of the virtual clock.
    row
        The flight; here simply a number that tells it apart.
    deadline_ms
        How long its caller waits.
    """

    at_ms: float
    row: float
    deadline_ms: float = 1000.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one flight.

    Attributes
    ----------
    row
        Which flight.
    answer
        Its answer; ``None`` if it got an error.
    error
        Class name of the error, ``never answered``, or ``""``.
    waited_ms
        Virtual milliseconds from arrival to answer or error.
    """

    row: float
    answer: float | None
    error: str
    waited_ms: float


def play(
    make: Callable[[Callable[[Sequence[float]], Sequence[float]]], Submits],
    arrivals: Sequence[Arrival],
    *,
    broken: float | None = None,
) -> tuple[list[Outcome], list[list[float]]]:
    """Send flights to a batcher on a virtual clock and report what became of each.

    Parameters
    ----------
    make
        Makes the batcher from the function that scores a batch. The model answers ``10 * row`` for each row.
    arrivals
        The flights, in any order.
    broken
        A row on which the model fails.

    Returns
    -------
    outcomes, batches
        One outcome per arrival, in their order; and the rows of every call of the model, in order of calls.
    """
    batches: list[list[float]] = []

    def score(rows: Sequence[float]) -> list[float]:
        batches.append(list(rows))
        if broken is not None and broken in rows:
            raise ValueError(f"the model cannot score {broken}")
        return [10.0 * row for row in rows]

    async def one(batcher: Submits, arrival: Arrival) -> Outcome:
        await asyncio.sleep(arrival.at_ms / 1000)
        started = asyncio.get_running_loop().time()
        answer, error = None, ""

        async def ask() -> float:
            return await batcher.submit(arrival.row, deadline_s=arrival.deadline_ms / 1000)

        asked = asyncio.ensure_future(ask())
        done, _ = await asyncio.wait({asked}, timeout=_FOREVER_S)
        if not done:
            error = "never answered"
        elif raised := asked.exception():
            error = type(raised).__name__
        else:
            answer = asked.result()
        waited = 1000 * (asyncio.get_running_loop().time() - started)
        return Outcome(row=arrival.row, answer=answer, error=error, waited_ms=round(waited, 6))

    async def everyone() -> list[Outcome]:
        batcher = make(score)
        return list(await asyncio.gather(*(one(batcher, arrival) for arrival in arrivals)))

    return run(everyone), batches
