"""A referee for block allocators: it plays a memory by what an allocator says, and looks whether anybody loses a token.

An allocator is judged by its answers alone. Every token gets a number that is used once; after each operation every
sequence must read back exactly its own tokens through its blocks, and the number of free blocks must be right.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

__all__ = ["FULL", "UNKNOWN", "Referee", "judge", "operations", "replay"]

FULL = "full"  # instead of an answer: there was no free block
UNKNOWN = "unknown"  # instead of an answer: there is no such sequence
Operation = tuple[str, ...]


def operations(count: int, *, seed: int, sequences: int = 6) -> list[Operation]:
    """Return random operations: mostly appends, forks and frees, also of sequences that are not there."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    names = [f"s{k}" for k in range(sequences)]
    live: set[str] = set()
    found: list[Operation] = []
    for _ in range(count):
        kind, name = draw.choices(("append", "fork", "free"), (12, 3, 3))[0], draw.choice(names)
        if kind == "fork":
            absent = [one for one in names if one not in live]
            if name not in live or not absent:
                continue
            child = draw.choice(absent)
            live.add(child)
            found.append((kind, name, child))
            continue
        (live.add if kind == "append" else live.discard)(name)
        found.append((kind, name))
    return found


def replay(
    make: Callable[[int, int], Any], blocks: int, block_size: int, steps: Iterable[Operation]
) -> list[tuple[Any, int]]:
    """Carry operations out on a fresh allocator; return what each one returned, and the free blocks after it."""
    allocator = make(blocks, block_size)
    answers: list[tuple[Any, int]] = []
    for method, *sequences in steps:
        answer: Any
        try:
            answer = getattr(allocator, method)(*sequences)
        except MemoryError:
            answer = FULL
        except KeyError:
            answer = UNKNOWN
        answers.append((answer, allocator.free_blocks()))
    return answers


def judge(blocks: int, block_size: int, steps: Sequence[Operation], answers: Iterable[tuple[Any, int]]) -> str:
    """Return what an allocator did wrong, in one sentence, or an empty text.

    Parameters
    ----------
    steps
        ``("append", sequence)``, ``("fork", parent, child)``, ``("free", sequence)``.
    answers
        For each step: what came back (``(block, slot, copied_from)`` for an append, ``None`` else, :data:`FULL` or
        :data:`UNKNOWN`), and the number of free blocks afterwards.
    """
    referee = Referee(blocks, block_size)
    answers = list(answers)
    if len(answers) != len(steps):
        return f"{len(steps)} operations gave {len(answers)} answers"
    for step, (answer, free) in zip(steps, answers, strict=True):
        if problem := referee.play(step, answer, free):
            return f"{' '.join(step)}: {problem}"
    return ""


class Referee:
    """The memory, and who should read what in it."""

    def __init__(self, blocks: int, block_size: int) -> None:
        self.blocks, self.size = blocks, block_size
        self._memory = [[0] * block_size for _ in range(blocks)]
        self._tables: dict[str, list[int]] = {}
        self._texts: dict[str, list[int]] = {}
        self._token = 0

    def play(self, step: Operation, answer: Any, free: int) -> str:
        """Carry out one operation as the allocator answered it; return what is wrong, or an empty text."""
        plays: dict[str, Callable[..., str]] = {"append": self._append, "fork": self._fork, "free": self._free}
        problem = plays[step[0]](answer, *step[1:])
        if problem:
            return problem
        used = len({block for table in self._tables.values() for block in table})
        if free < self.blocks - used:
            return (
                f"{used} of {self.blocks} blocks are in use and {free} are free: a block leaked; give it back when its "
                "last user has gone"
            )
        if free > self.blocks - used:
            return (
                f"{used} of {self.blocks} blocks are in use and {free} are said to be free: a block that others still "
                "use was given back; count its users"
            )
        return ""

    def _append(self, answer: Any, name: str) -> str:
        table, text = self._tables.setdefault(name, []), self._texts.setdefault(name, [])
        slot, users = len(text) % self.size, Counter(b for t in self._tables.values() for b in t)
        shared = bool(slot) and users[table[-1]] > 1
        if answer == FULL:
            return self._said_full(users, needed=slot == 0 or shared, name=name)
        try:
            block, at, source = answer
        except (TypeError, ValueError):
            return f"it returned {answer!r}, not (block, slot, copied_from)"
        if problem := self._wrong_place(table, users, (block, at, source), slot, shared=shared):
            return problem
        if source is not None:
            self._memory[block][:slot] = self._memory[source][:slot]
        self._token += 1
        self._memory[block][slot] = self._token
        text.append(self._token)
        table[-1:] = [block] if slot else [*table[-1:], block]
        return self._readers()

    def _wrong_place(
        self, table: list[int], users: Counter[int], answer: tuple[Any, Any, Any], slot: int, *, shared: bool
    ) -> str:
        block, at, source = answer
        last = table[-1] if table else None
        faults = (
            (block not in range(self.blocks), f"block {block!r} does not exist: there are 0 to {self.blocks - 1}"),
            (at != slot, f"the token went to slot {at!r}, not {slot}: fill the last block before you take another"),
            (
                slot and not shared and block != last,
                "it took another block although the last one has room and nobody shares it: copy only shared blocks, "
                "and count one user less for a block that was copied",
            ),
            (
                shared and block == last,
                "it wrote into a block that another sequence reads as well: copy a shared block before you write to it",
            ),
            (
                (slot == 0 or shared) and users[block] > 0,
                "it handed out a block that is in use: a freed block may have other users; count them",
            ),
            (
                shared and source != last,
                f"the block was shared, and copied_from is {source!r}: say which block has to be copied",
            ),
            (not shared and source is not None, f"copied_from is {source!r}, and nothing has to be copied here"),
        )
        return next((message for wrong, message in faults if wrong), "")

    def _said_full(self, users: Counter[int], *, needed: bool, name: str) -> str:
        if not self._texts[name]:
            del self._texts[name], self._tables[name]
        if needed and len(users) == self.blocks:
            return ""
        return f"it said that the cache is full with {self.blocks - len(users)} of {self.blocks} blocks free"

    def _fork(self, answer: Any, parent: str, child: str) -> str:
        if parent not in self._tables:
            return "" if answer == UNKNOWN else "the parent does not exist, and there was no KeyError"
        if answer is not None:
            return f"it returned {answer!r}: a fork copies nothing and needs no block"
        self._tables[child], self._texts[child] = list(self._tables[parent]), list(self._texts[parent])
        return ""

    def _free(self, answer: Any, name: str) -> str:
        if name not in self._tables:
            wanted = "it was freed twice or never existed: raise KeyError, or a block soon has two owners"
            return "" if answer == UNKNOWN else wanted
        del self._tables[name], self._texts[name]
        return "" if answer is None else f"it returned {answer!r} instead of None"

    def _readers(self) -> str:
        for name, table in self._tables.items():
            read = [token for block in table for token in self._memory[block]][: len(self._texts[name])]
            if read != self._texts[name]:
                return f"now {name} reads tokens of another sequence: a block was written that it shares"
        return ""
