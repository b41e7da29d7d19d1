"""Three ways to serve a trace of requests: one at a time, in static batches, and with continuous batching.

The time of one forward step is modelled, everything else is counted. A step reads all weights once, whatever the batch,
and then does some work per sequence and per prompt token:

    step time = weights_s + sequence_s · sequences + prefill_s · prompt tokens

At small batches the first term rules, which is why a second sequence is nearly free (Yu et al. 2022, Orca; Pope et al.
2022). The defaults are rounded from vLLM's CPU build with a 135M model on two cores; `CostModel.fitted` takes yours.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from course_lib.llm.errors import LLMError
from course_lib.llm.inside.trace import Request

__all__ = ["CostModel", "Schedule", "Served", "continuous", "naive", "static"]


@dataclass(frozen=True, kw_only=True)
class CostModel:
    """Seconds of a step: for reading the weights, per running sequence, per prompt token."""

    weights_s: float = 0.030
    sequence_s: float = 0.0017
    prefill_s: float = 0.0005

    def step_s(self, sequences: int, prompt_tokens: int = 0) -> float:
        """Return the seconds of one step."""
        return self.weights_s + self.sequence_s * sequences + self.prefill_s * prompt_tokens

    @classmethod
    def fitted(cls, one_s: float, many_s: float, sequences: int, *, prefill_s: float = 0.0005) -> CostModel:
        """Return the model through two measured times per output token: of one sequence, and of ``sequences`` at once.

        Raises
        ------
        LLMError
            There are not two points.
        """
        if sequences < 2 or one_s <= 0:
            raise LLMError("Two different loads are needed for a line.", expected="2 sequences or more, times above 0")
        each = max(many_s - one_s, 0.0) / (sequences - 1)
        return cls(weights_s=max(one_s - each, 0.0), sequence_s=each, prefill_s=prefill_s)


@dataclass(frozen=True)
class Served:
    """What became of a request; times in seconds since the start of the trace."""

    request: Request
    first_token_s: float
    finished_s: float

    @property
    def ttft_s(self) -> float:
        """Time to first token."""
        return self.first_token_s - self.request.arrival_s

    @property
    def tpot_s(self) -> float:
        """Time per output token after the first (0 for an answer of one token)."""
        later = self.request.output - 1
        return (self.finished_s - self.first_token_s) / later if later else 0.0


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """What a way to serve made of a trace.

    Attributes
    ----------
    served
        One entry a request, in the order of the trace.
    steps
        Forward steps.
    occupancy
        Mean share of the rows of a step that made a token somebody had asked for (0 to 1).
    kv_waste
        Share of the reserved KV slots that held no token, averaged over time (0 to 1).
    preemptions
        How often a sequence lost its blocks and had to be computed again.
    """

    served: tuple[Served, ...] = field(repr=False)
    steps: int
    occupancy: float
    kv_waste: float
    preemptions: int = 0

    @property
    def seconds(self) -> float:
        """When the last answer was complete."""
        return max(one.finished_s for one in self.served)

    @property
    def tokens_per_s(self) -> float:
        """Tokens that somebody had asked for, a second."""
        return sum(one.request.output for one in self.served) / self.seconds

    def row(self) -> dict[str, float]:
        """Return the numbers for a table."""
        return {
            "tokens/s": round(self.tokens_per_s, 1),
            "median TTFT (s)": round(statistics.median(one.ttft_s for one in self.served), 2),
            "median TPOT (ms)": round(1000 * statistics.median(one.tpot_s for one in self.served), 1),
            "rows in use (0-1)": round(self.occupancy, 2),
            "KV waste (0-1)": round(self.kv_waste, 3),
            "preemptions": self.preemptions,
        }


class _Books:
    """Adds up what the steps did."""

    def __init__(self, cost: CostModel) -> None:
        self.cost, self.now, self.steps = cost, 0.0, 0
        self._useful = self._rows = self._held = self._reserved = 0.0

    def step(self, rows: int, useful: int, prompt_tokens: int, held: int, reserved: int) -> None:
        took = self.cost.step_s(rows, prompt_tokens)
        self.now += took
        self.steps += 1
        self._useful, self._rows = self._useful + useful, self._rows + rows
        self._held, self._reserved = self._held + held * took, self._reserved + reserved * took

    def schedule(self, served: Sequence[Served], preemptions: int = 0) -> Schedule:
        return Schedule(
            served=tuple(served),
            steps=self.steps,
            occupancy=self._useful / self._rows,
            kv_waste=1 - self._held / self._reserved,
            preemptions=preemptions,
        )


def naive(requests: Sequence[Request], *, cost: CostModel | None = None, max_len: int = 2048) -> Schedule:
    """Serve one request after the other, each with a cache for ``max_len`` tokens."""
    return static(requests, batch=1, cost=cost, max_len=max_len)


def static(requests: Sequence[Request], *, batch: int, cost: CostModel | None = None, max_len: int = 2048) -> Schedule:
    """Serve batches that start together and end with their longest answer.

    Shorter prompts and answers are padded, and every row keeps its slot and its cache of ``max_len`` tokens to the end.
    """
    _require(requests, batch)
    books, served = _Books(cost or CostModel()), []
    for start in range(0, len(requests), batch):
        group = requests[start : start + batch]
        books.now = max(books.now, *(one.arrival_s for one in group))
        padded = max(one.prompt for one in group) * len(group)  # prompts are padded to the longest
        longest = max(one.output for one in group)
        first = 0.0
        for made in range(1, longest + 1):
            useful = sum(made <= one.output for one in group)
            held = sum(one.prompt + min(made, one.output) for one in group)
            books.step(len(group), useful, padded if made == 1 else 0, held, max_len * len(group))
            first = first or books.now
        served += [Served(one, first, books.now) for one in group]  # the call returns when all are done
    return books.schedule(served)


def continuous(
    requests: Sequence[Request],
    *,
    batch: int,
    cost: CostModel | None = None,
    slots: int = 65_536,
    block_size: int = 16,
    contiguous: int | None = None,
) -> Schedule:
    """Serve with iteration-level scheduling: after every step whoever is done leaves, and whoever waits may join.

    Parameters
    ----------
    batch
        Most sequences at once.
    slots
        Tokens the KV cache holds.
    block_size
        Tokens a block holds. Blocks are handed out as sequences grow. If none is free, the youngest sequence is
        preempted: it loses its blocks, waits in front of the queue, and is computed again from its prompt.
    contiguous
        Reserve this many slots per sequence from the start instead, as servers did before paging.

    Raises
    ------
    LLMError
        A request can never fit, or there is none.
    """
    _require(requests, batch)
    longest = max(one.prompt + one.output for one in requests)
    most = min(slots // block_size * block_size, contiguous or slots)
    if longest > most or (contiguous or 0) > slots:
        raise LLMError(
            f"A request of {longest} tokens never fits into a cache of {slots} slots.",
            expected=f"at most {most} tokens, and a reservation that fits into the cache",
            next_step="enlarge the cache, or refuse such requests with HTTP 400",
        )
    room = (lambda _: contiguous) if contiguous else (lambda tokens: -(-tokens // block_size) * block_size)
    server = _Continuous(requests, batch, slots, room, _Books(cost or CostModel()))
    while server.queue or server.running:
        server.step()
    return server.books.schedule(server.served(), server.preemptions)


@dataclass
class _Running:
    """A sequence that has a row in the batch."""

    index: int  # in the trace
    reserved: int  # KV slots


class _Continuous:
    """The loop of vLLM's scheduler without its refinements: join, grow (or preempt), compute, leave."""

    def __init__(
        self, requests: Sequence[Request], batch: int, slots: int, room: Callable[[int], int], books: _Books
    ) -> None:
        self.requests, self.batch, self.free, self.room, self.books = requests, batch, slots, room, books
        self.queue = deque(sorted(range(len(requests)), key=lambda k: requests[k].arrival_s))
        self.running: list[_Running] = []  # the youngest last
        self.made = [0] * len(requests)  # a preempted sequence keeps its tokens: only their keys and values are lost
        self.first: dict[int, float] = {}
        self.finished: dict[int, float] = {}
        self.preemptions = 0

    def step(self) -> None:
        if not self.running:  # nothing to do: wait for the next arrival
            self.books.now = max(self.books.now, self.requests[self.queue[0]].arrival_s)
        prompt_tokens = self._join()
        self._grow()
        for sequence in self.running:
            self.made[sequence.index] += 1
        held = sum(self._length(sequence.index) for sequence in self.running)
        reserved = sum(sequence.reserved for sequence in self.running)
        self.books.step(len(self.running), len(self.running), prompt_tokens, held, reserved)
        self._leave()

    def served(self) -> list[Served]:
        return [Served(one, self.first[k], self.finished[k]) for k, one in enumerate(self.requests)]

    def _length(self, index: int) -> int:
        return self.requests[index].prompt + self.made[index]

    def _join(self) -> int:
        """Let in who has arrived and fits, first come, first served; return the tokens to compute for them."""
        prompt_tokens = 0
        while self.queue and len(self.running) < self.batch:
            index = self.queue[0]
            wanted = self.room(self._length(index) + 1)
            if self.requests[index].arrival_s > self.books.now or wanted > self.free:
                break
            self.free -= wanted
            prompt_tokens += self._length(index)
            self.running.append(_Running(self.queue.popleft(), wanted))
        return prompt_tokens

    def _grow(self) -> None:
        """Make room for the token that each sequence is about to get; the oldest are served first."""
        position = 0
        while position < len(self.running):
            sequence = self.running[position]
            missing = self.room(self._length(sequence.index) + 1) - sequence.reserved
            while missing > self.free and len(self.running) > position:
                self._preempt()
            if len(self.running) > position:  # it was not itself the youngest
                self.free -= missing
                sequence.reserved += missing
                position += 1

    def _preempt(self) -> None:
        youngest = self.running.pop()
        self.free += youngest.reserved
        self.queue.appendleft(youngest.index)
        self.preemptions += 1

    def _leave(self) -> None:
        for sequence in self.running:
            self.first.setdefault(sequence.index, self.books.now)
            if self.made[sequence.index] == self.requests[sequence.index].output:
                self.finished[sequence.index] = self.books.now
                self.free += sequence.reserved
        self.running = [sequence for sequence in self.running if sequence.index not in self.finished]


def _require(requests: Sequence[Request], batch: int) -> None:
    if not requests or batch < 1:
        raise LLMError("There is nothing to schedule.", expected="at least one request, and a batch of at least 1")
