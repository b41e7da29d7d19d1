"""The continuous batching scheduler of vLLM: who computes in the next step, and who gives up blocks when none is free.

A server alternates between this scheduler and the model. In each step (iteration-level scheduling, Yu et al. 2022):

    waiting ──admit: allocate──► running ──all tokens made: free──► finished
       ▲                            │
       └────preempt: free───────────┘   no free block: the youngest goes back to the front of the queue

A preempted sequence keeps the tokens it made; only their keys and values are lost. When it is admitted again they are
computed anew with its prompt (recompute), except for those that prefix caching still finds.

Source: vLLM V1's scheduler (running sequences first, then waiting ones, no admission in a step that preempted), without
chunked prefill. https://docs.vllm.ai/en/latest/configuration/optimization.html tells what preemption costs.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from course_lib.llm.errors import LLMError
from course_lib.llm.inside.kv_cache import PagedCache
from course_lib.llm.inside.trace import Request

__all__ = ["Scheduler", "Sequence"]


@dataclass(eq=False)
class Sequence:
    """A request on its way: its tokens so far, first those of the prompt.

    Attributes
    ----------
    seq_id
        Its number, in the order of arrival.
    token_ids
        The prompt's tokens, then those that were made.
    preempted
        How often it lost its blocks.
    """

    seq_id: int
    request: Request
    token_ids: list[int] = field(repr=False)
    preempted: int = 0

    @property
    def finished(self) -> bool:
        """Whether all tokens of the answer are made."""
        return len(self.token_ids) >= self.request.prompt + self.request.output


class Scheduler:
    """Decide, step by step, which sequences compute.

    Parameters
    ----------
    max_num_seqs
        Most sequences that run at once.
    max_model_len
        Most tokens of one sequence, prompt and answer together.
    cache
        The paged KV cache, an empty one; from now on it is the scheduler's. ``None``: memory never binds.

    Attributes
    ----------
    waiting
        Sequences without blocks, first come, first served; preempted ones in front.
    running
        Sequences that compute in this step, the youngest last.
    preempted
        How often a sequence lost its blocks.
    recomputed
        Tokens that had been computed before and were computed again because of that.

    Examples
    --------
    >>> scheduler = Scheduler(max_num_seqs=2, cache=PagedCache(num_blocks=3, block_size=2))
    >>> for _ in range(2):
    ...     _ = scheduler.add(Request(0.0, prompt=2, output=3), range(2))
    >>> while scheduler.waiting or scheduler.running:
    ...     prefill = scheduler.schedule()  # prompt tokens to compute in this step
    ...     print(prefill, [one.seq_id for one in scheduler.running], [one.seq_id for one in scheduler.waiting])
    ...     finished = scheduler.update([7 for _ in scheduler.running])
    4 [0, 1] []
    0 [0] [1]
    1 [0, 1] []
    0 [1] []
    """

    def __init__(self, *, max_num_seqs: int, max_model_len: int | None = None, cache: PagedCache | None = None) -> None:
        if max_num_seqs < 1:
            raise LLMError("A batch of no sequence computes nothing.", expected="max_num_seqs of at least 1")
        if cache is not None and cache.used_slots:
            raise LLMError("Somebody uses this cache.", expected="an empty one", next_step="make a new PagedCache")
        self.max_num_seqs, self.max_model_len, self.cache = max_num_seqs, max_model_len, cache
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self.preempted = self.recomputed = 0
        self._added = 0

    def add(self, request: Request, token_ids: range | list[int]) -> Sequence:
        """Queue a request with its prompt's tokens.

        Raises
        ------
        LLMError
            It can never fit, however long it waits; or its prompt has another length.
        """
        sequence = Sequence(self._added, request, list(token_ids))
        if len(sequence.token_ids) != request.prompt:
            raise LLMError(
                f"Request {sequence.seq_id} came with {len(sequence.token_ids)} tokens.",
                expected=f"the {request.prompt} of its prompt",
            )
        tokens, most = request.prompt + request.output, self._longest()
        if most is not None and tokens > most:
            raise LLMError(
                f"Request {sequence.seq_id} of {tokens} tokens never fits.",
                expected=f"at most {most} tokens of prompt and answer",
                next_step="enlarge the cache or max_model_len, or refuse such requests with HTTP 400",
            )
        self._added += 1
        self.waiting.append(sequence)
        return sequence

    def schedule(self) -> int:
        """Choose who computes in this step, and make room for it; return the tokens to prefill for those admitted.

        Every running sequence computes the keys and values of its last token, every admitted one those of all its
        tokens; each makes its next token by that.
        """
        return 0 if self._make_room() else self._admit()

    def update(self, token_ids: list[int]) -> list[Sequence]:
        """Take the token that each running sequence made, in order; return those that are complete and have left."""
        if len(token_ids) != len(self.running):
            raise LLMError(
                f"{len(token_ids)} tokens came for {len(self.running)} sequences.", expected="one token each"
            )
        for sequence, token_id in zip(self.running, token_ids, strict=True):
            sequence.token_ids.append(token_id)
        finished = [sequence for sequence in self.running if sequence.finished]
        self.running = [sequence for sequence in self.running if not sequence.finished]
        for sequence in finished:
            self._free(sequence)
        return finished

    def _make_room(self) -> bool:
        """Append a slot for each running sequence, the oldest first; return whether somebody was preempted for it."""
        if self.cache is None:
            return False
        before, position = self.preempted, 0
        while position < len(self.running):
            sequence = self.running[position]
            if self.cache.can_append(sequence.seq_id):
                self.cache.append(sequence.seq_id, sequence.token_ids[-1])
                position += 1
            else:
                self._preempt(self.running.pop())  # the youngest; it may be this one itself
        return self.preempted > before

    def _admit(self) -> int:
        prefill = 0
        while self.waiting and len(self.running) < self.max_num_seqs:
            sequence = self.waiting[0]
            computed = len(sequence.token_ids)
            if self.cache is not None:
                if not self.cache.can_allocate(sequence.token_ids):
                    break  # first come, first served: nobody overtakes
                computed -= self.cache.allocate(sequence.seq_id, sequence.token_ids)
            self.running.append(self.waiting.popleft())
            prefill += computed
            if sequence.preempted:
                self.recomputed += computed - 1  # it lost its blocks before its last token was computed
        return prefill

    def _preempt(self, sequence: Sequence) -> None:
        self._free(sequence)
        self.waiting.appendleft(sequence)
        sequence.preempted += 1
        self.preempted += 1

    def _free(self, sequence: Sequence) -> None:
        if self.cache is not None:
            self.cache.free(sequence.seq_id)

    def _longest(self) -> int | None:
        """Return the most tokens that one sequence can have: the last one made is never read, so it needs no slot."""
        room = None if self.cache is None else self.cache.num_blocks * self.cache.block_size + 1
        limits = [limit for limit in (room, self.max_model_len) if limit is not None]
        return min(limits, default=None)
