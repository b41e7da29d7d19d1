"""Random draws for checks: an order and cases that no answer can know beforehand.

In a learner's JupyterLab every draw is fresh. The grader's judge draws from a seed instead (:func:`drawing_from`), one
for each test: so an instructor can repeat a grading to the last case. The learner's process never has that seed.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Iterable, Iterator
from random import Random
from typing import TypeVar

__all__ = ["drawing_from", "random", "shuffled"]

T = TypeVar("T")


class _Stream(Random):
    """Random numbers from SHA-256: whoever has seen many of them still cannot say which one is next."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key, self._drawn = key.encode(), 0

    def random(self) -> float:
        return self.getrandbits(53) / (1 << 53)

    def getrandbits(self, k: int, /) -> int:
        size = (k + 7) // 8
        self._drawn += 1
        block = hashlib.shake_256(b"%b:%d" % (self._key, self._drawn)).digest(size)
        return int.from_bytes(block, "big") >> (8 * size - k)


_given: list[Random] = []


def random() -> Random:
    """Return the random numbers of this check: those of the grading, or fresh ones where there is no grader.

    Examples
    --------
    >>> 2 <= random().randint(2, 5) <= 5
    True
    """
    return _given[-1] if _given else _Stream(secrets.token_hex())


def shuffled(cases: Iterable[T]) -> list[T]:
    """Return ``cases`` in a random order, so that neither a place nor a count of calls gives an answer away.

    Examples
    --------
    >>> sorted(shuffled("cab"))
    ['a', 'b', 'c']
    """
    order = list(cases)
    random().shuffle(order)
    return order


@contextlib.contextmanager
def drawing_from(seed: str) -> Iterator[None]:
    """Draw from ``seed`` for the length of the block: the same seed gives the same draws in the same order."""
    _given.append(_Stream(seed))
    try:
        yield
    finally:
        _given.pop()
