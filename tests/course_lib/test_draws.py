from __future__ import annotations

import doctest
import math
from collections import Counter
from itertools import permutations

import pytest

from course_lib import checks, draws


def drawn(seed: str) -> list[object]:
    with draws.drawing_from(seed):
        return [draws.shuffled(range(20)), draws.random().random(), draws.random().getrandbits(64)]


def test_the_examples_in_the_documentation_are_true():
    assert doctest.testmod(draws).failed == 0


def test_checks_offer_the_draws_under_their_own_name():
    assert checks.shuffled is draws.shuffled
    assert checks.random is draws.random


@pytest.mark.parametrize("seed", ["", "a", "ä½", "0" * 64, "\n"])
def test_the_same_seed_gives_the_same_draws(seed: str):
    assert drawn(seed) == drawn(seed)


def test_different_seeds_give_different_draws():
    assert len({repr(drawn(f"{n}")) for n in range(200)}) == 200


def test_every_order_is_equally_likely():
    """The statistic of the chi-squared test for 24 orders: above 49.7 once in a thousand seeds."""
    count, cases = 4800, list(permutations("abcd"))
    with draws.drawing_from("the orders of four things"):
        seen = Counter(tuple(draws.shuffled("abcd")) for _ in range(count))
    expected = count / len(cases)
    assert sum((seen[order] - expected) ** 2 / expected for order in cases) < 49.7


def test_numbers_are_spread_evenly_from_0_to_1():
    with draws.drawing_from("the unit interval"):
        numbers = sorted(draws.random().random() for _ in range(2000))
    farthest = max(max((i + 1) / 2000 - x, x - i / 2000) for i, x in enumerate(numbers))
    assert farthest < 1.95 / math.sqrt(2000)  # Kolmogorov-Smirnov: exceeded once in a thousand
    assert numbers[0] >= 0
    assert numbers[-1] < 1


@pytest.mark.parametrize("bits", [0, 1, 7, 8, 9, 53, 64, 1000])
def test_as_many_bits_are_drawn_as_were_asked_for(bits: int):
    with draws.drawing_from("bits"):
        numbers = [draws.random().getrandbits(bits) for _ in range(64)]
    assert max(number.bit_length() for number in numbers) <= bits
    assert bits < 8 or max(number.bit_length() for number in numbers) == bits


def test_one_draw_moves_the_next_on():
    with draws.drawing_from("a"):
        assert draws.shuffled(range(20)) != draws.shuffled(range(20))


def test_without_a_grader_every_draw_is_fresh():
    assert draws.shuffled(range(30)) != draws.shuffled(range(30))
    assert draws.random().random() != draws.random().random()


def test_draws_are_fresh_again_after_a_seed_and_after_an_error():
    with pytest.raises(ZeroDivisionError), draws.drawing_from("a"):
        raise ZeroDivisionError
    assert draws.shuffled(range(30)) != draws.shuffled(range(30))


@pytest.mark.parametrize("cases", [[], [1], "", {}, iter([])])
def test_what_has_no_order_stays_what_it_is(cases: object):
    assert len(draws.shuffled(cases)) <= 1  # type: ignore[call-overload]


def test_what_is_shuffled_is_not_changed():
    cases = list(range(30))
    draws.shuffled(cases)
    assert cases == list(range(30))


def test_a_seed_of_python_itself_changes_nothing():
    import random

    random.seed(5)
    first = draws.shuffled(range(30))
    random.seed(5)
    assert draws.shuffled(range(30)) != first
