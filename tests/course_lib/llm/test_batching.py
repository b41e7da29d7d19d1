import heapq

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from course_lib.llm.errors import LLMError
from course_lib.llm.inside.batching import CostModel, continuous, naive, static
from course_lib.llm.inside.kv_cache import PagedCache
from course_lib.llm.inside.trace import Request, skewed, uniform
from tests.course_lib.llm.test_scheduler import counted

STEP = CostModel(weights_s=1.0, sequence_s=0.0, prefill_s=0.0)  # a step takes a second
requests = st.lists(
    st.builds(Request, st.integers(0, 30).map(float), st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=20
)


@pytest.fixture(scope="module")
def conversations():
    return skewed(300, seed=9)


def test_one_at_a_time_takes_one_step_a_token():
    found = naive([Request(0, 5, 3), Request(0, 5, 2)], cost=STEP)
    assert [one.finished_s for one in found.served] == [3, 5]


def test_a_static_batch_waits_for_its_longest_answer():
    found = static([Request(0, 1, 2), Request(0, 1, 9), Request(0, 1, 1)], max_num_seqs=2, cost=STEP)
    assert [one.finished_s for one in found.served] == [9, 9, 10]
    assert found.occupancy == pytest.approx(12 / 19)


def test_a_continuous_batch_gives_a_free_row_to_the_next_at_once():
    found = continuous([Request(0, 1, 2), Request(0, 1, 9), Request(0, 1, 1)], max_num_seqs=2, cost=STEP)
    assert [one.finished_s for one in found.served] == [2, 9, 3]
    assert found.occupancy == 1


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests, st.integers(1, 6), st.sampled_from([10, 16, 50]))
def test_every_request_is_served_in_full_whatever_is_preempted(trace, batch, blocks):
    found = continuous(trace, max_num_seqs=batch, cost=STEP, cache=PagedCache(blocks, 4))
    for one in found.served:
        assert one.finished_s >= one.request.arrival_s + one.request.output
        assert one.first_token_s <= one.finished_s
    assert found.steps >= max(one.output for one in trace)
    assert 0 <= found.kv_waste < 1


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests, st.integers(1, 6))
def test_continuous_batching_is_never_slower_than_static_batches(trace, batch):
    trace = sorted(trace, key=lambda one: one.arrival_s)
    assert continuous(trace, max_num_seqs=batch, cost=STEP).seconds <= (
        static(trace, max_num_seqs=batch, cost=STEP).seconds + 1
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests, st.integers(1, 6))
def test_without_a_cache_each_request_takes_the_row_that_is_free_first(trace, batch):
    free_at, finished = [0.0] * batch, [0.0] * len(trace)
    for place in sorted(range(len(trace)), key=lambda k: trace[k].arrival_s):
        finished[place] = max(heapq.heappop(free_at), trace[place].arrival_s) + trace[place].output
        heapq.heappush(free_at, finished[place])
    assert [one.finished_s for one in continuous(trace, max_num_seqs=batch, cost=STEP).served] == finished


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests, st.integers(1, 6), st.integers(10, 30))
def test_waste_is_what_counting_blocks_and_tokens_gives(trace, batch, blocks):
    steps = counted(trace, max_num_seqs=batch, num_blocks=blocks, block_size=4)
    held = sum(sum(step.values()) for step in steps)
    reserved = sum(sum(-(-length // 4) * 4 for length in step.values()) for step in steps)
    found = continuous(trace, max_num_seqs=batch, cost=STEP, cache=PagedCache(blocks, 4, prefix_caching=False))
    assert found.kv_waste == pytest.approx(1 - held / reserved)
    assert found.seconds == len(steps)


def test_on_equal_lengths_continuous_batching_gains_nothing():
    trace = uniform(64)
    assert continuous(trace, max_num_seqs=32).tokens_per_s == pytest.approx(static(trace, max_num_seqs=32).tokens_per_s)


def test_on_skewed_lengths_it_gains_several_times(conversations):
    assert (
        continuous(conversations, max_num_seqs=32).tokens_per_s
        > 3 * static(conversations, max_num_seqs=32).tokens_per_s
    )


def test_reservations_waste_most_of_the_memory_and_blocks_hardly_any(conversations):
    reserved = continuous(conversations, max_num_seqs=32, cache=PagedCache(32, 2048))
    paged = continuous(conversations, max_num_seqs=32, cache=PagedCache(4096, 16))
    assert 0.6 <= reserved.kv_waste <= 0.8
    assert paged.kv_waste < 0.04
    assert reserved.tokens_per_s == pytest.approx(paged.tokens_per_s)  # with memory to spare it changes nothing


def test_where_memory_is_short_paging_serves_more(conversations):
    reserved = continuous(conversations, max_num_seqs=32, cache=PagedCache(8, 2048))
    paged = continuous(conversations, max_num_seqs=32, cache=PagedCache(1024, 16))
    assert paged.tokens_per_s > 1.5 * reserved.tokens_per_s
    assert paged.preempted > 0 == reserved.preempted
    assert paged.recomputed > 0 == reserved.recomputed


def test_a_preempted_sequence_keeps_its_tokens_and_waits_in_front():
    trace = [Request(0, 4, 8), Request(0, 4, 8), Request(0, 1, 1)]
    found = continuous(trace, max_num_seqs=3, cost=STEP, cache=PagedCache(4, 4))
    assert found.preempted >= 1
    assert found.served[0].finished_s == 8  # the oldest is never disturbed


def test_a_request_that_never_fits_is_refused():
    with pytest.raises(LLMError, match="never fits"):
        continuous([Request(0, 60, 10)], max_num_seqs=1, cache=PagedCache(4, 16))
    with pytest.raises(LLMError, match="at most 64 tokens"):
        continuous([Request(0, 60, 10)], max_num_seqs=1, cache=PagedCache(10, 64), max_model_len=64)


def test_a_cache_that_somebody_uses_is_refused():
    cache = PagedCache(4, 4)
    cache.allocate("somebody", [1])
    with pytest.raises(LLMError, match="uses this cache"):
        continuous([Request(0, 4, 4)], max_num_seqs=1, cache=cache)


def test_without_a_cache_memory_never_binds(conversations):
    found = continuous(conversations, max_num_seqs=32)
    plenty = continuous(conversations, max_num_seqs=32, cache=PagedCache(4096, 16))
    assert [one.finished_s for one in found.served] == [one.finished_s for one in plenty.served]
    assert found.preempted == found.kv_waste == 0


def test_a_shared_system_prompt_is_computed_once():
    slow = CostModel(prefill_s=0.01)
    apart, shared = (
        continuous([Request(0, 64, 8, shared=n) for _ in range(8)], max_num_seqs=8, cost=slow, cache=PagedCache(64, 16))
        for n in (0, 48)
    )
    assert apart.seconds - shared.seconds == pytest.approx(7 * 48 * 0.01)


def test_short_memory_costs_steps_and_computes_tokens_again():
    trace = [Request(0, 6, 8), Request(0, 7, 6), Request(0, 5, 6)]
    plenty = continuous(trace, max_num_seqs=3, cost=STEP, cache=PagedCache(32, 4))
    tight = continuous(trace, max_num_seqs=3, cost=STEP, cache=PagedCache(6, 4))
    assert (plenty.preempted, plenty.recomputed, plenty.steps) == (0, 0, 8)
    assert (tight.preempted, tight.recomputed, tight.steps) == (1, 6, 10)
    assert tight.served[0].finished_s == plenty.served[0].finished_s


@pytest.mark.parametrize("serve", [naive, lambda r: static(r, max_num_seqs=2), lambda r: continuous(r, max_num_seqs=0)])
def test_nothing_to_schedule_is_an_error(serve):
    with pytest.raises(LLMError, match="nothing to schedule"):
        serve([])


def test_the_cost_model_goes_through_two_measurements():
    fitted = CostModel.fitted(0.032, 0.094, 32)
    assert fitted.step_s(1) == pytest.approx(0.032)
    assert fitted.step_s(32) == pytest.approx(0.094)
    with pytest.raises(LLMError, match="Two different loads"):
        CostModel.fitted(0.03, 0.03, 1)


def test_a_trace_is_drawn_again_by_its_seed_and_keeps_its_limit():
    once, again = skewed(200, seed=4, rate=2.0), skewed(200, seed=4, rate=2.0)
    assert once == again != skewed(200, seed=5, rate=2.0)
    assert max(one.prompt + one.output for one in once) <= 2048
    assert [one.arrival_s for one in once] == sorted(one.arrival_s for one in once)


@pytest.mark.parametrize("values", [(-1.0, 1, 1), (0.0, 0, 1), (0.0, 1, 0), (0.0, 4, 1, 5)])
def test_a_request_without_tokens_or_before_the_start_is_refused(values):
    with pytest.raises(LLMError, match="cannot be served"):
        Request(*values)


def test_times_of_a_served_request_count_from_its_arrival():
    (one,) = continuous([Request(10.0, 1, 5)], max_num_seqs=1, cost=STEP).served
    assert (one.ttft_s, one.tpot_s) == (1, 1)
    (short,) = continuous([Request(0.0, 1, 1)], max_num_seqs=1, cost=STEP).served
    assert short.tpot_s == 0
