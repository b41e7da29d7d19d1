"""The scheduler and the cache together, on random traces: tiny caches, shared prefixes, preemption."""

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, assume, given, settings

from course_lib.llm.errors import LLMError, OutOfBlocks
from course_lib.llm.inside.kv_cache import PagedCache
from course_lib.llm.inside.scheduler import Scheduler
from course_lib.llm.inside.trace import Request

steady = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


class Memory(PagedCache):
    """A cache with a memory that is written only where something was computed.

    As keys and values do, what is written depends on a token and on all before it: here it is simply those tokens.
    """

    def __init__(self, num_blocks, block_size, *, prefix_caching=True):
        super().__init__(num_blocks, block_size, prefix_caching=prefix_caching)
        self.cells, self.hits = {}, {}

    def allocate(self, sequence, token_ids):
        cached = super().allocate(sequence, token_ids)
        self.hits.setdefault(sequence, []).append(cached)
        table = self.block_table(sequence)
        for place in range(cached, len(token_ids)):
            self.cells[table[place // self.block_size], place % self.block_size] = tuple(token_ids[: place + 1])
        return cached

    def append(self, sequence, token_id):
        write = super().append(sequence, token_id)
        self.cells[write.block, write.slot] = tuple(self.token_ids(sequence))
        return write

    def read(self, sequence, length):
        table = self.block_table(sequence)
        cells = [self.cells[table[place // self.block_size], place % self.block_size] for place in range(length)]
        assert all(cells[-1][: len(cell)] == cell for cell in cells)
        return list(cells[-1])


@st.composite
def requests(draw):
    length = draw(st.integers(1, 14))
    return Request(draw(st.integers(0, 12)), length, draw(st.integers(1, 14)), shared=draw(st.integers(0, length)))


traces = st.lists(requests(), min_size=1, max_size=12)
sizes = st.sampled_from([1, 2, 3, 4, 8])
caches = st.builds(Memory, st.integers(1, 24), sizes, prefix_caching=st.booleans())
rows = st.integers(1, 5)


def prompt(number, request):
    """Return a prompt of few different tokens: blocks are often equal, after equal beginnings and after others."""
    own = request.prompt - request.shared
    return [0] * request.shared + [(number >> place) % 2 for place in range(own)]


def next_token(token_ids):
    """Stand for a model: the next token depends on all tokens before."""
    return sum(place * token for place, token in enumerate(token_ids, 1)) % 3


def run(scheduler, trace):
    """Serve a trace of which arrivals count steps; return the sequences as they complete, and who ran in each step."""
    coming = sorted(enumerate(trace), key=lambda pair: pair[1].arrival_s)
    finished, steps = [], []
    while coming or scheduler.waiting or scheduler.running:
        while coming and coming[0][1].arrival_s <= len(steps):
            number, request = coming.pop(0)
            scheduler.add(request, prompt(number, request))
        preempted, prefill = scheduler.preempted, scheduler.schedule()
        assert prefill == 0 or scheduler.preempted == preempted
        look(scheduler)
        steps.append([one.seq_id for one in scheduler.running])
        finished += scheduler.update([next_token(read(scheduler, one)) for one in scheduler.running])
        look(scheduler)
        assert len(steps) < 10_000, "nobody gets on"
    return finished, steps


def output(sequence):
    return sequence.token_ids[sequence.request.prompt :]


def read(scheduler, sequence):
    """Return the tokens whose keys and values the model reads: those in the cache, where there is one."""
    if not scheduler.cache:
        return sequence.token_ids
    found = scheduler.cache.read(sequence.seq_id, len(sequence.token_ids))
    assert found == sequence.token_ids == scheduler.cache.token_ids(sequence.seq_id)
    return found


def look(scheduler):
    assert len(scheduler.running) <= scheduler.max_num_seqs
    order = [one.seq_id for one in (*scheduler.running, *scheduler.waiting)]
    assert order == sorted(order)  # nobody overtakes, and the preempted wait in front
    if scheduler.cache:
        scheduler.cache.check()  # counts the users of every block anew
        tables = [scheduler.cache.block_table(one.seq_id) for one in scheduler.running]
        used = {block for table in tables for block in table}
        assert scheduler.cache.num_free_blocks == scheduler.cache.num_blocks - len(used)
        for sequence in scheduler.waiting:
            with pytest.raises(LLMError, match="not in the cache"):
                scheduler.cache.block_table(sequence.seq_id)


def fits(trace, cache):
    return all(one.prompt + one.output - 1 <= cache.num_blocks * cache.block_size for one in trace)


def counted(trace, *, max_num_seqs, num_blocks, block_size):
    """Return who runs in each step, with how many tokens before it, by counting blocks that nobody shares.

    Those who stay are the longest row of oldest sequences whose blocks fit; nothing is appended, freed or preempted.
    """
    by_arrival = sorted(trace, key=lambda one: one.arrival_s)
    lengths, steps = [one.prompt for one in by_arrival], []
    running, queue, coming = [], [], list(range(len(by_arrival)))

    def fit(who):
        return len(who) <= max_num_seqs and sum(-(-lengths[k] // block_size) for k in who) <= num_blocks

    while coming or queue or running:
        while coming and by_arrival[coming[0]].arrival_s <= len(steps):
            queue.append(coming.pop(0))
        staying = next(running[:count] for count in range(len(running), -1, -1) if fit(running[:count]))
        queue[:0], evicted = running[len(staying) :], len(staying) < len(running)
        running = staying
        while queue and not evicted and fit([*running, queue[0]]):
            running.append(queue.pop(0))
        steps.append({k: lengths[k] for k in running})
        for k in running:
            lengths[k] += 1
        running = [k for k in running if lengths[k] < by_arrival[k].prompt + by_arrival[k].output]
    return steps


@steady
@given(traces, caches, rows)
def test_preempted_or_not_every_sequence_makes_the_tokens_of_an_unlimited_cache(trace, cache, most):
    assume(fits(trace, cache))
    tight, tight_steps = run(Scheduler(max_num_seqs=most, cache=cache), trace)
    free, free_steps = run(Scheduler(max_num_seqs=most), trace)
    assert {one.seq_id: output(one) for one in tight} == {one.seq_id: output(one) for one in free}
    assert len(tight) == len(trace)
    assert all(len(output(one)) == one.request.output for one in tight)
    assert len(tight_steps) >= len(free_steps)
    assert cache.num_free_blocks == cache.num_blocks  # nothing leaked


@steady
@given(traces, st.integers(1, 24), sizes, rows)
def test_without_prefix_caching_the_steps_are_those_of_counting_blocks(trace, num_blocks, block_size, most):
    cache = Memory(num_blocks, block_size, prefix_caching=False)
    assume(fits(trace, cache))
    scheduler = Scheduler(max_num_seqs=most, cache=cache)
    expected = counted(trace, max_num_seqs=most, num_blocks=num_blocks, block_size=block_size)
    assert run(scheduler, trace)[1] == [list(step) for step in expected]
    left = sum(len(before.keys() - after.keys()) for before, after in zip(expected, [*expected[1:], {}], strict=True))
    assert scheduler.preempted == left - len(trace)  # whoever left without being complete


@steady
@given(traces, st.integers(1, 24), sizes, rows)
def test_prefix_caching_changes_no_token(trace, num_blocks, block_size, most):
    made = []
    for prefix_caching in (True, False):
        cache = Memory(num_blocks, block_size, prefix_caching=prefix_caching)
        assume(fits(trace, cache))
        finished, _ = run(Scheduler(max_num_seqs=most, cache=cache), trace)
        made.append({one.seq_id: one.token_ids for one in finished})
    assert made[0] == made[1]


@steady
@given(traces, caches, rows)
def test_every_token_is_computed_once_and_again_only_after_a_preemption(trace, cache, most):
    assume(fits(trace, cache))
    scheduler = Scheduler(max_num_seqs=most, cache=cache)
    for number, request in enumerate(trace):
        scheduler.add(request, prompt(number, request))
    computed = 0
    while scheduler.waiting or scheduler.running:
        admitted = sum(map(len, cache.hits.values()))
        computed += scheduler.schedule()
        admitted = sum(map(len, cache.hits.values())) - admitted
        computed += len(scheduler.running) - admitted  # one token for each that ran before
        scheduler.update([next_token(one.token_ids) for one in scheduler.running])
    needed = sum(one.prompt + one.output - 1 for one in trace)  # the last token of an answer is never read
    found_at_first = sum(hits[0] for hits in cache.hits.values())
    assert computed == needed - found_at_first + scheduler.recomputed


@steady
@given(traces, caches, rows)
def test_the_same_trace_completes_in_the_same_order_with_the_same_preemptions(trace, cache, most):
    assume(fits(trace, cache))
    again = Memory(cache.num_blocks, cache.block_size, prefix_caching=cache.prefix_caching)
    one, other = (Scheduler(max_num_seqs=most, cache=each) for each in (cache, again))
    assert [seq.seq_id for seq in run(one, trace)[0]] == [seq.seq_id for seq in run(other, trace)[0]]
    assert (one.preempted, one.recomputed) == (other.preempted, other.recomputed)


@steady
@given(traces, caches)
def test_a_request_is_refused_by_name_exactly_when_it_can_never_fit(trace, cache):
    scheduler = Scheduler(max_num_seqs=2, cache=cache)
    for number, request in enumerate(trace):
        accepted = len(scheduler.waiting)
        if fits([request], cache):
            scheduler.add(request, prompt(number, request))
            continue
        with pytest.raises(LLMError, match=f"Request {accepted} of {request.prompt + request.output} tokens never"):
            scheduler.add(request, prompt(number, request))
    wanted = [one.request for one in scheduler.waiting]
    finished, _ = run(scheduler, [])
    assert sorted(one.seq_id for one in finished) == list(range(len(wanted)))


@steady
@given(st.integers(1, 6), sizes, st.data())
def test_a_request_of_exactly_the_room_is_served_and_one_token_more_would_find_no_block(num_blocks, block_size, data):
    room = num_blocks * block_size
    length = data.draw(st.integers(1, room))
    request, cache = Request(0, length, room + 1 - length), Memory(num_blocks, block_size)
    (sequence,), steps = run(Scheduler(max_num_seqs=1, cache=cache), [request])
    assert len(steps) == len(output(sequence)) == request.output
    assert sequence.preempted == 0
    cache.allocate("by hand", sequence.token_ids[:-1])
    assert cache.num_free_blocks == 0
    with pytest.raises(OutOfBlocks):
        cache.append("by hand", sequence.token_ids[-1])
    with pytest.raises(LLMError, match=f"Request 0 of {room + 2} tokens never fits"):
        Scheduler(max_num_seqs=1, cache=Memory(num_blocks, block_size)).add(
            Request(0, length, request.output + 1), range(length)
        )


@steady
@given(traces, rows)
def test_with_memory_to_spare_the_cache_changes_no_step(trace, most):
    cached = Scheduler(max_num_seqs=most, cache=Memory(12 * 28, 1))
    assert run(cached, trace)[1] == run(Scheduler(max_num_seqs=most), trace)[1]
    assert cached.preempted == cached.recomputed == 0


@steady
@given(traces, caches, rows)
def test_the_oldest_sequence_is_never_preempted(trace, cache, most):
    assume(fits(trace, cache))
    finished, _ = run(Scheduler(max_num_seqs=most, cache=cache), trace)
    assert min(finished, key=lambda one: one.seq_id).preempted == 0


def test_the_youngest_is_preempted_first_and_comes_back_with_its_tokens():
    scheduler = Scheduler(max_num_seqs=3, cache=PagedCache(6, 4))
    a, b, c = (scheduler.add(one, one.token_ids(k)) for k, one in enumerate(
        [Request(0, 6, 8), Request(0, 7, 6), Request(0, 5, 6)]))  # fmt: skip
    while not c.preempted:
        scheduler.schedule()
        scheduler.update([next_token(one.token_ids) for one in scheduler.running])
    written = output(c)
    assert written
    assert list(scheduler.waiting) == [c]
    assert scheduler.running == [a, b]
    while scheduler.waiting:
        prefill = scheduler.schedule()
        scheduler.update([next_token(one.token_ids) for one in scheduler.running])
    assert prefill == 5 + len(written)
    assert scheduler.recomputed == prefill - 1  # the last word had not been computed yet
    assert output(c)[: len(written)] == written


def test_a_step_that_preempts_admits_nobody():
    trace = [Request(0, 4, 4, shared=4), Request(0, 4, 4, shared=4)]
    scheduler = Scheduler(max_num_seqs=2, cache=PagedCache(4, 2))
    for number, one in enumerate(trace):
        scheduler.add(one, one.token_ids(number))
    scheduler.schedule()
    assert [one.seq_id for one in scheduler.running] == [0, 1]
    scheduler.update([7, 7])
    assert scheduler.schedule() == 0
    assert [one.seq_id for one in scheduler.running] == [0]
    assert [one.seq_id for one in scheduler.waiting] == [1]
    assert scheduler.cache.can_allocate(scheduler.waiting[0].token_ids)  # it could: the other's blocks have its prompt


def test_what_prefix_caching_still_finds_is_not_computed_again():
    trace, kept = [Request(0, 8, 6), Request(0, 8, 6)], {}
    for prefix_caching in (True, False):
        scheduler = Scheduler(max_num_seqs=2, cache=Memory(8, 2, prefix_caching=prefix_caching))
        run(scheduler, trace)
        assert scheduler.preempted
        kept[prefix_caching] = scheduler.recomputed
    assert 0 < kept[True] < kept[False]


def test_with_nothing_to_do_a_step_is_empty():
    scheduler = Scheduler(max_num_seqs=1, cache=PagedCache(2, 2))
    assert run(scheduler, []) == ([], [])
    assert scheduler.schedule() == 0
    assert scheduler.update([]) == []


def test_mistakes_have_clear_errors():
    with pytest.raises(LLMError, match="no sequence"):
        Scheduler(max_num_seqs=0)
    cache = PagedCache(4, 4)
    cache.allocate("somebody", [1])
    with pytest.raises(LLMError, match="uses this cache"):
        Scheduler(max_num_seqs=1, cache=cache)
    scheduler = Scheduler(max_num_seqs=1, max_model_len=8)
    with pytest.raises(LLMError, match="came with 3 tokens"):
        scheduler.add(Request(0, 4, 1), [1, 2, 3])
    with pytest.raises(LLMError, match="never fits"):
        scheduler.add(Request(0, 4, 5), [1, 2, 3, 4])
    assert not scheduler.waiting


def test_another_number_of_tokens_than_sequences_is_refused_and_changes_nothing():
    scheduler = Scheduler(max_num_seqs=2)
    one, other = (scheduler.add(Request(0, 2, 2), [1, 2]) for _ in range(2))
    scheduler.schedule()
    with pytest.raises(LLMError, match="1 tokens came for 2 sequences"):
        scheduler.update([7])
    assert output(one) == output(other) == []
