import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from course_lib.llm.errors import LLMError
from course_lib.llm.inside.scheduler import CostModel, continuous, naive, static
from course_lib.llm.inside.trace import Request, skewed, uniform

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
    found = static([Request(0, 1, 2), Request(0, 1, 9), Request(0, 1, 1)], batch=2, cost=STEP)
    assert [one.finished_s for one in found.served] == [9, 9, 10]
    assert found.occupancy == pytest.approx(12 / 19)


def test_a_continuous_batch_gives_a_free_row_to_the_next_at_once():
    found = continuous([Request(0, 1, 2), Request(0, 1, 9), Request(0, 1, 1)], batch=2, cost=STEP)
    assert [one.finished_s for one in found.served] == [2, 9, 3]
    assert found.occupancy == 1


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests, st.integers(1, 6), st.sampled_from([48, 64, 200]))
def test_every_request_is_served_in_full_whatever_is_preempted(trace, batch, slots):
    found = continuous(trace, batch=batch, cost=STEP, slots=slots, block_size=4)
    for one in found.served:
        assert one.finished_s >= one.request.arrival_s + one.request.output
        assert one.first_token_s <= one.finished_s
    assert found.steps >= max(one.output for one in trace)
    assert 0 <= found.kv_waste < 1


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests, st.integers(1, 6))
def test_continuous_batching_is_never_slower_than_static_batches(trace, batch):
    trace = sorted(trace, key=lambda one: one.arrival_s)
    assert continuous(trace, batch=batch, cost=STEP).seconds <= static(trace, batch=batch, cost=STEP).seconds + 1


def test_on_equal_lengths_continuous_batching_gains_nothing():
    trace = uniform(64)
    assert continuous(trace, batch=32).tokens_per_s == pytest.approx(static(trace, batch=32).tokens_per_s)


def test_on_skewed_lengths_it_gains_several_times(conversations):
    assert continuous(conversations, batch=32).tokens_per_s > 3 * static(conversations, batch=32).tokens_per_s


def test_reservations_waste_most_of_the_memory_and_blocks_hardly_any(conversations):
    reserved = continuous(conversations, batch=32, contiguous=2048)
    paged = continuous(conversations, batch=32)
    assert 0.6 <= reserved.kv_waste <= 0.8
    assert paged.kv_waste < 0.04
    assert reserved.tokens_per_s == pytest.approx(paged.tokens_per_s)  # with memory to spare it changes nothing


def test_where_memory_is_short_paging_serves_more(conversations):
    reserved = continuous(conversations, batch=32, slots=16_384, contiguous=2048)
    paged = continuous(conversations, batch=32, slots=16_384)
    assert paged.tokens_per_s > 1.5 * reserved.tokens_per_s
    assert paged.preemptions > 0 == reserved.preemptions


def test_a_preempted_sequence_keeps_its_tokens_and_waits_in_front():
    trace = [Request(0, 4, 8), Request(0, 4, 8), Request(0, 1, 1)]
    found = continuous(trace, batch=3, cost=STEP, slots=16, block_size=4)
    assert found.preemptions >= 1
    assert found.served[0].finished_s == 8  # the oldest is never disturbed


def test_a_request_that_never_fits_is_refused():
    with pytest.raises(LLMError, match="never fits"):
        continuous([Request(0, 60, 10)], batch=1, slots=64)
    with pytest.raises(LLMError, match="never fits"):
        continuous([Request(0, 60, 10)], batch=1, slots=640, contiguous=64)


@pytest.mark.parametrize("serve", [naive, lambda r: static(r, batch=2), lambda r: continuous(r, batch=0)])
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


@pytest.mark.parametrize("values", [(-1.0, 1, 1), (0.0, 0, 1), (0.0, 1, 0)])
def test_a_request_without_tokens_or_before_the_start_is_refused(values):
    with pytest.raises(LLMError, match="cannot be served"):
        Request(*values)


def test_times_of_a_served_request_count_from_its_arrival():
    (one,) = continuous([Request(10.0, 1, 5)], batch=1, cost=STEP).served
    assert (one.ttft_s, one.tpot_s) == (1, 1)
    (short,) = continuous([Request(0.0, 1, 1)], batch=1, cost=STEP).served
    assert short.tpot_s == 0
