"""What a test lends to an answer shows what can be done with it, and nothing that tells it from others of its kind."""

# ruff: noqa: E501 - small programs read best on a line of their own
from __future__ import annotations

import pytest

from autograder.sandbox import Engine
from tests.autograder.sandbox.walled import LIMITS, plan, story

LOOKS = """
import inspect
def f(thing):
    kinds = [str(getattr(thing, name, None)) for name in ("__name__", "__qualname__", "__module__", "__doc__", "__defaults__", "__kwdefaults__", "__annotations__", "__wrapped__")]
    try:
        kinds.append(str(inspect.signature(thing)))
    except (TypeError, ValueError) as error:
        kinds.append(type(error).__name__)
    kinds.append([c.__name__ for c in type(thing).__mro__])
    kinds.append(repr(thing).split(" at 0x")[0])
    kinds.append(sorted(key for key in vars(thing) if key != "_course_peer"))
    info = vars(thing).get("_course_info", {})
    kinds.append(str({key: part for key, part in info.items() if key != "id"}))
    return kinds
"""
FUNCTIONS = '''
import functools
def predict(flights):
    """A good model."""
    return flights
def mutant(frame, *, broken: bool = True):
    """A planted bug."""
    return frame
def function(*args):
    return args
class Good:
    def score(self, rows):
        return rows
class Bad:
    def spoil(self, rows, extra=1):
        return rows
def made():
    def inner(a, b, c): return a
    return inner
unnamed = lambda flights: flights
@functools.wraps(predict)
def wrapped(*args): return args
'''
CASES = {
    "functions": "predict, mutant, function, made()",
    "a function and a lambda": "predict, unnamed, lambda: 1, lambda x, y=2: x",
    "bound methods": "Good().score, Bad().spoil, predict",
    "decorated functions": "wrapped, predict, unnamed",
    "one function many times": "predict, predict, mutant, predict",
    "objects of two classes": "Good(), Bad(), Good()",
    "generators": "(x for x in []), (y for y in 'ab'), iter((z for z in [3]))",
}


@pytest.mark.parametrize("case", CASES)
def test_two_of_a_kind_look_alike(case: str, walled_engine: Engine) -> None:
    test = f"things = ({CASES[case]},)\nseen = [f(thing) for thing in things]\nassert all(one == seen[0] for one in seen), seen"
    done = walled_engine.run(plan(LOOKS, FUNCTIONS + test), limits=LIMITS)
    assert done.outcome("t0").ok, story(done)


def test_what_is_lent_can_be_called_all_the_same(walled_engine: Engine) -> None:
    learner = "def f(predict, x):\n    return predict(x), predict(flights=x)"
    done = walled_engine.run(plan(learner, FUNCTIONS + "assert f(predict, [1]) == ([1], [1])"), limits=LIMITS)
    assert done.outcome("t0").ok, story(done)


NUMBERS = "def f(*things):\n    return [vars(thing)['__course_handle__'] for thing in things]"


def test_the_numbers_of_lent_objects_tell_no_order(walled_engine: Engine) -> None:
    """Neither how many were lent before, nor which came first, nor that it is the same one as in an earlier call."""
    test = "made = [lambda n=n: n for n in range(12)]\nnumbers = f(*made)\nassert numbers != sorted(numbers) and min(numbers) > 1000, numbers\nassert not set(numbers) & set(f(*made))"
    done = walled_engine.run(plan(NUMBERS, FUNCTIONS + test), limits=LIMITS)
    assert done.outcome("t0").ok, story(done)


def test_a_class_keeps_its_name_and_its_objects_know_it(walled_engine: Engine) -> None:
    learner = "def f(cls, thing):\n    return cls.__name__, isinstance(thing, cls)"
    test = "assert f(Good, Good()) == ('Good', True)\nassert f(Good, Bad()) == ('Good', False)"
    done = walled_engine.run(plan(learner, FUNCTIONS + test), limits=LIMITS)
    assert done.outcome("t0").ok, story(done)
