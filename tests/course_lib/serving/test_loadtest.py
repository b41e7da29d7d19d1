from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from course_lib import processes
from course_lib.loadtest import Load, locust_runner, percentile, steps


@given(st.lists(st.floats(0, 1e6), min_size=1), st.integers(1, 10_000))
def test_a_percentile_is_the_smallest_value_that_the_share_does_not_exceed(values, permyriad):
    share = permyriad / 10_000
    found = percentile(values, share)

    below = sum(value <= found for value in values)
    assert found in values
    assert Fraction(below, len(values)) >= Fraction(permyriad, 10_000)
    assert Fraction(sum(value < found for value in values), len(values)) < Fraction(permyriad, 10_000)


def test_the_percentile_of_nothing_is_not_a_number():
    assert percentile([], 0.5) != percentile([], 0.5)


def test_a_load_counts_what_failed():
    load = Load(connections=1, seconds=2.0, statuses={200: 5, 429: 2, 503: 1}, lost=1, latencies_ms=(1.0,) * 8)

    assert (load.requests, load.failed, load.rate) == (9, 2, 4.0)


def test_more_connections_get_at_least_as_much_done(service):
    one, eight = steps(service("--log-level", "WARNING").url, [1, 8], seconds=0.6)

    assert set(one.statuses) == set(eight.statuses) == {200}
    assert one.lost == eight.lost == 0
    assert len(eight.latencies_ms) > 0.5 * len(one.latencies_ms)
    assert one.ms(0.5) <= one.ms(0.99)


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_percentiles_of_a_hundred_values_have_no_rounding_errors(share):
    assert percentile(range(1, 101), share) == round(100 * share)


@pytest.mark.parametrize("engine", ["locust", "asyncio"])
def test_users_ask_at_their_pace_and_every_step_is_measured(service, engine):
    pytest.importorskip("gevent" if engine == "locust" else "asyncio")  # Locust itself must not be imported here
    two, six = locust_runner.curve(service("--log-level", "WARNING").url, [2, 6], pace=10, step_s=1.0, engine=engine)

    assert (two.connections, six.connections) == (2, 6)
    assert two.failed == six.failed == 0
    assert 0 < two.requests < six.requests <= 6 * 10 * 1.5


def test_locust_without_a_service_counts_lost_requests():
    pytest.importorskip("gevent")
    (load,) = locust_runner.curve(f"http://127.0.0.1:{processes.free_port()}", [2], step_s=1.0, engine="locust")

    assert load.lost == load.requests > 0
    assert load.failed == load.lost
