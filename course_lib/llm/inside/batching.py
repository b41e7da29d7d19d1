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
from collections.abc import Sequence
from dataclasses import dataclass, field

from course_lib.llm.errors import LLMError
from course_lib.llm.inside.kv_cache import PagedCache
from course_lib.llm.inside.scheduler import Scheduler
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
        Share of the reserved KV slots that held no token, averaged over time (0 to 1; 0 without a cache).
    preempted
        How often a sequence lost its blocks and had to be computed again.
    recomputed
        Tokens that were computed again because of that.
    """

    served: tuple[Served, ...] = field(repr=False)
    steps: int
    occupancy: float
    kv_waste: float
    preempted: int = 0
    recomputed: int = 0

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
            "preempted": self.preempted,
            "tokens recomputed": self.recomputed,
        }


class _Ledger:
    """The clock, and sums over the steps."""

    def __init__(self, cost: CostModel) -> None:
        self.cost, self.now, self.steps = cost, 0.0, 0
        self._useful = self._rows = self._held = self._reserved = 0.0

    def step(self, rows: int, useful: int, prompt_tokens: int, held: float, reserved: float) -> None:
        took = self.cost.step_s(rows, prompt_tokens)
        self.now += took
        self.steps += 1
        self._useful, self._rows = self._useful + useful, self._rows + rows
        self._held, self._reserved = self._held + held * took, self._reserved + reserved * took

    def schedule(self, served: Sequence[Served], preempted: int = 0, recomputed: int = 0) -> Schedule:
        return Schedule(
            served=tuple(served),
            steps=self.steps,
            occupancy=self._useful / self._rows,
            kv_waste=1 - self._held / self._reserved if self._reserved else 0.0,
            preempted=preempted,
            recomputed=recomputed,
        )


def naive(requests: Sequence[Request], *, cost: CostModel | None = None, max_len: int = 2048) -> Schedule:
    """Serve one request after the other, each with a cache for ``max_len`` tokens."""
    return static(requests, max_num_seqs=1, cost=cost, max_len=max_len)


def static(
    requests: Sequence[Request], *, max_num_seqs: int, cost: CostModel | None = None, max_len: int = 2048
) -> Schedule:
    """Serve batches that start together and end with their longest answer.

    Shorter prompts and answers are padded, and every row keeps its slot and its cache of ``max_len`` tokens to the end.
    """
    _require(requests, max_num_seqs)
    ledger, served = _Ledger(cost or CostModel()), []
    for start in range(0, len(requests), max_num_seqs):
        group = requests[start : start + max_num_seqs]
        ledger.now = max(ledger.now, *(one.arrival_s for one in group))
        padded = max(one.prompt for one in group) * len(group)  # prompts are padded to the longest
        longest = max(one.output for one in group)
        first = 0.0
        for made in range(1, longest + 1):
            useful = sum(made <= one.output for one in group)
            held = sum(one.prompt + min(made, one.output) for one in group)
            ledger.step(len(group), useful, padded if made == 1 else 0, held, max_len * len(group))
            first = first or ledger.now
        served += [Served(one, first, ledger.now) for one in group]  # the call returns when all are done
    return ledger.schedule(served)


def continuous(
    requests: Sequence[Request],
    *,
    max_num_seqs: int,
    cost: CostModel | None = None,
    cache: PagedCache | None = None,
    max_model_len: int | None = None,
) -> Schedule:
    """Serve with iteration-level scheduling: after every step whoever is done leaves, and whoever waits may join.

    Parameters
    ----------
    max_num_seqs
        Most sequences at once.
    cache
        The KV cache, an empty one. When it has no free block, the :class:`~course_lib.llm.inside.scheduler.Scheduler`
        preempts. A cache whose blocks hold ``max_model_len`` tokens reserves them from the start, as servers did before
        paging. ``None``: memory never binds.
    max_model_len
        Most tokens of one sequence, prompt and answer together.

    Raises
    ------
    LLMError
        A request can never fit, or there is none.
    """
    _require(requests, max_num_seqs)
    ledger = _Ledger(cost or CostModel())
    scheduler = Scheduler(max_num_seqs=max_num_seqs, max_model_len=max_model_len, cache=cache)
    coming = deque(sorted(range(len(requests)), key=lambda k: requests[k].arrival_s))
    numbers: list[int] = []  # by seq_id: the place in the trace
    first: dict[int, float] = {}
    finished: dict[int, float] = {}
    while coming or scheduler.waiting or scheduler.running:
        if not scheduler.waiting and not scheduler.running:  # nothing to do: wait for the next arrival
            ledger.now = max(ledger.now, requests[coming[0]].arrival_s)
        while coming and requests[coming[0]].arrival_s <= ledger.now:
            numbers.append(coming.popleft())
            scheduler.add(requests[numbers[-1]], requests[numbers[-1]].token_ids(numbers[-1]))
        prefill = scheduler.schedule()
        rows, reserved = len(scheduler.running), cache.used_slots if cache else 0
        ledger.step(rows, rows, prefill, reserved * (1 - cache.waste) if cache else 0, reserved)
        for sequence in scheduler.running:
            first.setdefault(sequence.seq_id, ledger.now)
        made = [-len(one.token_ids) for one in scheduler.running]  # there is no model: a token is its place, negative
        for sequence in scheduler.update(made):
            finished[sequence.seq_id] = ledger.now
    places = sorted(range(len(requests)), key=numbers.__getitem__)
    served = [Served(requests[numbers[seq_id]], first[seq_id], finished[seq_id]) for seq_id in places]
    return ledger.schedule(served, scheduler.preempted, scheduler.recomputed)


def _require(requests: Sequence[Request], max_num_seqs: int) -> None:
    if not requests or max_num_seqs < 1:
        raise LLMError(
            "There is nothing to schedule.", expected="at least one request, and a batch of at least 1 sequence"
        )
