import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, strategies as st

from course_lib.serving.batching import MicroBatcher
from course_lib.serving.errors import DeadlineExceeded, QueueFull, ServingError, Stopping
from course_lib.serving.virtual_clock import Arrival, play, run


def arrivals(*times, deadline_ms=1000.0):
    return [Arrival(at_ms=at, row=float(number), deadline_ms=deadline_ms) for number, at in enumerate(times)]


def test_flights_that_arrive_together_are_scored_in_one_call():
    outcomes, batches = play(lambda score: MicroBatcher(score, max_delay_s=0.005), arrivals(0, 1, 4, 20))

    assert batches == [[0, 1, 2], [3]]
    assert [outcome.waited_ms for outcome in outcomes] == [5, 4, 1, 5]


def test_without_a_delay_nobody_waits():
    outcomes, batches = play(MicroBatcher, arrivals(0, 0, 3))

    assert batches == [[0, 1], [2]]
    assert {outcome.waited_ms for outcome in outcomes} == {0}


def test_a_full_batch_does_not_wait():
    outcomes, batches = play(lambda score: MicroBatcher(score, max_batch=2, max_delay_s=0.1), arrivals(0, 1, 2))

    assert batches == [[0, 1], [2]]
    assert [outcome.waited_ms for outcome in outcomes] == [1, 0, 100]


def test_a_flight_past_its_deadline_is_not_scored():
    late = Arrival(at_ms=0, row=7.0, deadline_ms=10)
    outcomes, batches = play(lambda score: MicroBatcher(score, max_delay_s=0.05), [late, *arrivals(1)])

    assert outcomes[0].error == DeadlineExceeded.__name__
    assert batches == [[0]]


def test_a_row_that_breaks_the_model_fails_alone():
    outcomes, _ = play(lambda score: MicroBatcher(score, max_delay_s=0.01), arrivals(0, 0, 0), broken=1.0)

    assert [outcome.error for outcome in outcomes] == ["", "ValueError", ""]
    assert [outcome.answer for outcome in outcomes] == [0, None, 20]


def test_the_queue_is_bounded():
    outcomes, _ = play(lambda score: MicroBatcher(score, max_delay_s=0.01, max_queue=2), arrivals(0, 0, 0, 20))

    assert [outcome.error for outcome in outcomes] == ["", "", QueueFull.__name__, ""]


def test_a_model_that_answers_too_few_rows_is_an_error_and_nobody_waits_for_ever():
    def broken(score):
        return MicroBatcher(lambda rows: score(rows)[:-1], max_delay_s=0.01)

    outcomes, _ = play(broken, arrivals(0, 0))

    assert {outcome.error for outcome in outcomes} == {"ValueError"}


@given(
    times=st.lists(st.floats(0, 50).map(lambda ms: round(ms, 1)), min_size=1, max_size=30),
    max_batch=st.integers(1, 8),
    delay=st.sampled_from([0.0, 0.001, 0.01]),
)
def test_everyone_gets_their_own_answer_once_and_in_bounded_time(times, max_batch, delay):
    outcomes, batches = play(
        lambda score: MicroBatcher(score, max_batch=max_batch, max_delay_s=delay), arrivals(*times)
    )

    assert [outcome.answer for outcome in outcomes] == [10.0 * number for number in range(len(times))]
    assert sorted(row for batch in batches for row in batch) == list(range(len(times)))
    assert max(map(len, batches)) <= max_batch
    assert max(outcome.waited_ms for outcome in outcomes) <= 1000 * delay + 1e-6


def test_closing_answers_what_waits_and_takes_nothing_new():
    async def work():
        batcher = MicroBatcher(lambda rows: [2.0 * row for row in rows], max_delay_s=60)
        waiting = [batcher.submit(row) for row in (1.0, 2.0)]
        await batcher.close()
        with pytest.raises(Stopping):
            batcher.submit(3.0)
        return [await future for future in waiting]

    assert run(work) == [2.0, 4.0]


def test_a_caller_who_has_left_is_not_scored():
    scored = []

    async def work():
        batcher = MicroBatcher(lambda rows: scored.extend(rows) or [0.0] * len(rows), max_delay_s=0.01)
        gone, stays = batcher.submit(1.0), batcher.submit(2.0)
        gone.cancel()
        return await stays

    assert run(work) == 0.0
    assert scored == [2.0]


def test_in_a_thread_the_next_batch_forms_while_the_last_is_computed():
    import threading

    first, sizes = threading.Event(), []

    def score(rows):
        sizes.append(len(rows))
        assert first.wait(10)
        return [0.0] * len(rows)

    async def work():
        with ThreadPoolExecutor(1) as pool:
            batcher = MicroBatcher(score, executor=pool)
            one = batcher.submit(1.0)
            while not sizes:
                await asyncio.sleep(0.001)
            rest = [batcher.submit(row) for row in (2.0, 3.0, 4.0)]
            first.set()
            await asyncio.gather(one, *rest)
            await batcher.close()

    asyncio.run(work())
    assert sizes == [1, 3]


def test_a_stuck_model_does_not_keep_waiting_flights_beyond_their_deadline():
    import threading

    release = threading.Event()

    def score(rows):
        assert release.wait(10)
        return [0.0] * len(rows)

    async def work():
        with ThreadPoolExecutor(1) as pool:
            batcher = MicroBatcher(score, executor=pool)
            running = batcher.submit(1.0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            waiting = batcher.submit(2.0, deadline_s=0.01)
            with pytest.raises(DeadlineExceeded):
                await waiting
            assert not running.done()
            release.set()
            assert await running == 0.0
            await batcher.close()

    asyncio.run(work())


def test_a_batcher_that_forgets_a_flight_is_caught():
    class Forgetful:
        def __init__(self, score):
            pass

        async def submit(self, row, *, deadline_s):
            return await asyncio.get_running_loop().create_future()

    outcomes, batches = play(Forgetful, arrivals(0))

    assert (outcomes[0].error, batches) == ("never answered", [])


def test_work_that_nobody_will_ever_wake_is_an_error_and_no_hanging_test():
    async def forever():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(ServingError, match="nothing will ever wake it"):
        run(forever)
