from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings, strategies as st

from course_lib.cloud import costs, figures, prices
from course_lib.cloud.decide.costs import HOURS, Function, Machine, break_even, cheapest
from course_lib.cloud.errors import CloudError

EURO = prices.Price(
    what="an hour",
    amount=1.0,
    unit="instance-hour",
    currency="EUR",
    seen=date(2026, 1, 1),
    source="https://example.org",
)
DOLLAR_HOUR = prices.Price(
    what="an hour", amount=1.0, unit="instance-hour", seen=date(2026, 1, 1), source="https://example.org"
)

functions = st.builds(Function, seconds=st.floats(0.001, 5), gigabytes=st.floats(0.125, 10), batch=st.integers(1, 100))
machines = st.builds(
    Machine,
    per_second=st.floats(0.5, 5000),
    least=st.integers(1, 3),
    peak=st.floats(1, 20),
    hourly=st.just(DOLLAR_HOUR),
)


@pytest.mark.parametrize("name", prices.EXAMPLES)
def test_every_price_has_a_day_a_currency_and_the_providers_own_page(name):
    one = prices.price(name)
    assert one.seen.year >= 2026
    assert one.currency == "USD"
    assert one.source.startswith("https://aws.amazon.com/")


def test_a_function_costs_its_calls_and_its_memory_for_their_time():
    function = Function(seconds=0.1, gigabytes=0.5)
    assert function.monthly(1_000_000) == pytest.approx(0.20 + 1_000_000 * 0.05 * 0.0000166667)
    assert function.monthly(0) == 0


def test_a_batch_shares_one_call():
    one, ten = Function(seconds=0.1, gigabytes=0.5), Function(seconds=0.1, gigabytes=0.5, batch=10)
    assert ten.per_million(1e6) == pytest.approx(one.per_million(1e6) / 10)


def test_a_machine_costs_the_same_idle_and_busy():
    machine = Machine(per_second=100, hourly=DOLLAR_HOUR)
    assert machine.monthly(0) == machine.monthly(1e8) == HOURS


def test_the_busiest_hour_decides_how_many_machines_run():
    month = 100 * HOURS * 3600  # as many as one machine can answer, day and night
    assert Machine(per_second=100).count(month) == 1
    assert Machine(per_second=100, peak=3).count(month) == 3
    assert Machine(per_second=100, least=2).count(0) == 2


@settings(deadline=None)
@given(one=functions | machines, other=functions | machines)
def test_a_break_even_is_where_the_second_stops_being_dearer(one, other):
    found = break_even(one, other, most=1e9)
    if found is None:
        assert all(other.monthly(x) >= one.monthly(x) for x in (1, 1e3, 1e6, 1e9))
        return
    if found > 0:
        assert other.monthly(found * 0.999) > one.monthly(found * 0.999)
    just_behind = found * (1 + 1e-9) + 1e-6
    assert other.monthly(just_behind) <= one.monthly(just_behind) * (1 + 1e-6) + 1e-6


def test_use_is_cheaper_when_little_is_asked_and_hours_when_much_is():
    function, machine = Function(seconds=0.1, gigabytes=0.5), Machine(per_second=50)
    crossing = break_even(function, machine)
    options = {"function": function, "machine": machine}
    assert cheapest(options, crossing / 2) == "function"
    assert cheapest(options, crossing * 2) == "machine"


def test_an_option_that_is_never_cheaper_has_no_break_even():
    machine = Machine(per_second=50, hourly=DOLLAR_HOUR)
    assert break_even(machine, Machine(per_second=50, hourly=DOLLAR_HOUR, least=2), most=1e6) is None


def test_currencies_are_not_mixed():
    with pytest.raises(CloudError, match="EUR"):
        break_even(Function(seconds=1, gigabytes=1), Machine(per_second=1, hourly=EURO))
    with pytest.raises(CloudError, match="EUR and USD"):
        cheapest({"a": Machine(per_second=1), "b": Machine(per_second=1, hourly=EURO)}, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Function(seconds=0, gigabytes=1),
        lambda: Function(seconds=1, gigabytes=float("nan")),
        lambda: Machine(per_second=-1),
        lambda: Machine(per_second=1, peak=0.5),
        lambda: Machine(per_second=1).monthly(-1),
        lambda: Machine(per_second=1).monthly(float("nan")),
        lambda: Machine(per_second=1).per_million(0),
        lambda: prices.price("moon-hour"),
        lambda: cheapest({}, 1),
        lambda: break_even(Function(seconds=1, gigabytes=1), Machine(per_second=1e-6)),
        lambda: figures.cost_figure({"m": Machine(per_second=1)}, [0, 1]),
    ],
)
def test_numbers_that_make_no_sense_are_refused(call):
    with pytest.raises(CloudError):
        call()


def test_the_figure_has_a_line_an_option_and_names_the_currency():
    options = {"function": Function(seconds=0.1, gigabytes=0.5), "machine": Machine(per_second=50)}
    (axes,) = figures.cost_figure(options, [1e4, 1e6, 1e8]).axes
    assert len(axes.lines) == 2
    assert axes.get_ylabel() == "USD per million predictions"


def test_the_examples_are_offered_where_the_costs_are():
    assert costs.price("gpu-hour") is prices.EXAMPLES["gpu-hour"]
