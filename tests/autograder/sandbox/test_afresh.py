"""Calls that a test sends to fresh processes work through the judge, and carry nothing over."""

# ruff: noqa: E501 - small programs read best on a line of their own
from __future__ import annotations

import pytest

from autograder.sandbox import Engine, Plan, PlanCell
from tests.autograder.sandbox.walled import LIMITS, plan, story

FRESH = "from course_lib import checks\nfresh = checks.afresh(f)\n"
CASES = {
    "numbers and text": ("def f(x):\n    return {'n': x, 't': 'ä'}", "assert fresh(2) == {'n': 2, 't': 'ä'}"),
    "arrays": ("import numpy as np\ndef f(a):\n    return np.cumsum(a)", "import numpy as np\nnp.testing.assert_array_equal(fresh(np.ones(3)), [1, 2, 3])"),
    "frames": ("def f(d):\n    return d.assign(b=1)", "import pandas as pd\nassert list(fresh(pd.DataFrame({'a': [1]}))) == ['a', 'b']"),
    "errors": ("def f(x):\n    raise ValueError(f'{x} is negative')", "import pytest\nwith pytest.raises(ValueError, match='-1 is negative'):\n    fresh(-1)"),
    "a count of calls": ("n = []\ndef f():\n    n.append(1)\n    return len(n)", "assert [fresh() for _ in range(3)] == [1, 1, 1] and f() == 1"),
    "numbers in the order of arrival": ("seen = {}\ndef f(x):\n    return seen.setdefault(x, len(seen))", "assert [fresh(x) for x in 'abc'] == [0, 0, 0]"),
    "attributes of the function": ("def f(x):\n    f.n = getattr(f, 'n', 0) + 1\n    return f.n", "assert [fresh(0), fresh(0)] == [1, 1]"),
    "what an argument is changed to": ("def f(x):\n    x.append(1)\n    return x", "x = []\nassert fresh(x) == [1] and x == [] and fresh(x) == [1]"),
    "generators": ("state = iter(range(9))\ndef f():\n    return next(state)", "assert [fresh(), fresh()] == [0, 0]"),
    "a built-in": ("f = len", "assert fresh([1, 2]) == 2"),
    "a partial": ("import functools\ndef g(a, b):\n    return a - b\nf = functools.partial(g, 9)", "assert fresh(2) == 7"),
    "an object that can be called": ("class F:\n    n = 0\n    def __call__(self):\n        self.n += 1\n        return self.n\nf = F()", "assert [fresh(), fresh(), f()] == [1, 1, 1]"),
    "a class gives no data": ("class f: pass", "fresh()"),
    "an answer that can't be called": ("f = 3", "import pytest\nwith pytest.raises(TypeError, match='not callable'):\n    fresh()"),
    "a coroutine function": ("async def f():\n    return 1", "import pytest\nwith pytest.raises(TypeError):\n    fresh()"),
    "salted hashes": ("def f(x):\n    return hash(x)", "assert fresh('a') != fresh('a') and f('a') == f('a')"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_call_in_a_fresh_process(case: str, walled_engine: Engine) -> None:
    learner, test = CASES[case]
    done = walled_engine.run(plan(learner, FRESH + test), limits=LIMITS)
    assert done.outcome("t0").ok, story(done)


@pytest.mark.parametrize("learner", ["import time\ndef f():\n    time.sleep(600)", "def f():\n    while True: pass"])
def test_a_call_that_never_ends_is_stopped_and_later_tests_run(learner: str, walled_engine: Engine) -> None:
    from dataclasses import replace

    cells = plan(learner, FRESH + "fresh()").cells
    more = (
        PlanCell("g", "solution", "def g(): ...", "def g():\n    return 1"),
        PlanCell("t1", "test", "assert g() == 1"),
    )
    done = walled_engine.run(Plan(cells=cells + more), limits=replace(LIMITS, cell_seconds=2))
    assert (done.outcome("t0").stopped, done.outcome("t1").ok) == ("time", True), story(done)


def test_an_object_of_the_test_cannot_be_called_from_a_fresh_process_and_nothing_hangs(walled_engine: Engine) -> None:
    test = FRESH + "import pytest\nwith pytest.raises(RuntimeError):\n    fresh(lambda: 1)\nassert f(lambda: 1) == 1"
    done = walled_engine.run(plan("def f(g):\n    return g()", test, "assert f(lambda: 2) == 2"), limits=LIMITS)
    assert done.outcome("t0").ok, story(done)
    assert done.outcome("t1").ok, story(done)
    assert done.restarts == 0


def test_a_learner_cannot_call_what_the_judge_lent_in_a_fork_of_the_judge(walled_engine: Engine) -> None:
    learner = "def f(g):\n    try:\n        return vars(g)['_course_peer']\n    except KeyError:\n        pass\n    cells = dict(zip(g.__code__.co_freevars, g.__closure__))\n    return cells['peer'].cell_contents.ask('afresh', vars(g)['__course_handle__'], (), {})"
    done = walled_engine.run(plan(learner, "f(lambda: 1)"), limits=LIMITS)
    assert "can't be done to an object of a check" in done.outcome("t0").message, story(done)


MANY = "from course_lib import checks\n"
MANY_CASES = {
    "each case has its own answer, whatever the order": (
        "def f(x, y=0):\n    return x * 10 + y",
        "assert checks.asked(f, [(n, n % 7) for n in range(250)]) == [n * 10 + n % 7 for n in range(250)]",
    ),
    "the error of the first case that has one is raised": (
        "def f(n):\n    if n in (40, 90):\n        raise ValueError(f'not {n}')\n    return n",
        "import pytest\nwith pytest.raises(ValueError, match='not 40'):\n    checks.asked(f, [(n,) for n in range(120)])",
    ),
    "an error in every case": (
        "def f(n):\n    raise KeyError(n)",
        "import pytest\nwith pytest.raises(KeyError, match='0'):\n    checks.asked(f, [(n,) for n in range(120)])",
    ),
    "an object that can be called": (
        "class F:\n    def __call__(self, n):\n        return -n\nf = F()",
        "assert checks.asked(f, [(n,) for n in range(9)]) == [-n for n in range(9)]",
    ),
    "a class": ("class f(int): pass", "assert len(checks.asked(f, [(n,) for n in range(9)])) == 9"),
    "frames": (
        "def f(d):\n    return d.assign(b=d['a'] + 1)",
        "import pandas as pd\nfound = checks.asked(f, [(pd.DataFrame({'a': [n]}),) for n in range(8)])\n"
        "assert [list(d['b']) for d in found] == [[n + 1] for n in range(8)]",
    ),
    "a count of calls is no answer": (
        "n = []\ndef f(x):\n    n.append(x)\n    return len(n)",
        "assert checks.asked(f, [(n,) for n in range(60)]) != list(range(1, 61))",
    ),
    "six are asked in one process, five are not": (
        "n = []\ndef f(x):\n    n.append(x)\n    return len(n)",
        "assert checks.asked(f, [(1,)] * 5) == [1] * 5 and sorted(checks.asked(f, [(1,)] * 6)) == [1, 2, 3, 4, 5, 6]",
    ),
    "no case": ("def f(x):\n    return x", "assert checks.asked(f, []) == []"),
}


@pytest.mark.parametrize("case", MANY_CASES)
def test_many_cases_in_one_message_have_the_answers_of_single_calls(case: str, walled_engine: Engine) -> None:
    learner, test = MANY_CASES[case]
    done = walled_engine.run(plan(learner, MANY + test), limits=LIMITS)
    assert done.outcome("t0").ok, story(done)
    names: dict[str, object] = {}
    exec(learner + "\n" + MANY + test, names)


HOSTILE = {
    "an answer too many": "['right'] * 9999",
    "no list": "{'right': 1}",
    "text": "'right' * 40",
    "a list of an object": "[object()] * 40",
}


@pytest.mark.parametrize("lie", HOSTILE)
def test_a_process_that_answers_all_cases_with_something_else_earns_nothing(lie: str, walled_engine: Engine) -> None:
    """It can say what it likes, as before: a lie is an answer, and a wrong one."""
    learner = (
        "from autograder.sandbox.rpc import dispatch\n"
        f"dispatch.SYNCHRONOUS['each'] = lambda *_: {HOSTILE[lie]}\n"
        "def f(x):\n    return 'wrong'"
    )
    test = "assert checks.asked(f, [(n,) for n in range(40)]) == [f'right {n}' for n in range(40)]"
    done = walled_engine.run(plan(learner, MANY + test, "assert f(1) == 'wrong'"), limits=LIMITS)
    assert not done.outcome("t0").ok, story(done)
    assert done.outcome("t1").ok, story(done)
