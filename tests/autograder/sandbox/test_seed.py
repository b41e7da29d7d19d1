"""Tests draw from a secret of the grading that the judge alone has; the learner's process has no trace of it."""

# ruff: noqa: E501 - small programs read best on a line of their own
from __future__ import annotations

import pytest

from autograder.sandbox import Engine
from tests.autograder.sandbox.walled import LIMITS, plan, story

SEED = "the-secret-of-this-grading-83a1c7"
ORDER = "from course_lib import checks\nraise RuntimeError(str(checks.shuffled(range(40))))"
RIGHT = "def f(x):\n    return x"


def orders(engine: Engine, learner: str = RIGHT, *tests: str, seed: str = SEED) -> list[str]:
    done = engine.run(plan(learner, *(tests or (ORDER,))), limits=LIMITS, seed=seed)
    return [outcome.message for outcome in done.outcomes if outcome.kind == "test"]


def test_the_same_seed_and_submission_give_the_same_order_again(walled_engine: Engine) -> None:
    assert orders(walled_engine) == orders(walled_engine)


@pytest.mark.parametrize("seed", ["", "another", SEED + " ", SEED.upper()])
def test_another_seed_gives_another_order(seed: str, walled_engine: Engine) -> None:
    assert orders(walled_engine, seed=seed) != orders(walled_engine)


def test_without_a_seed_each_run_draws_anew(walled_engine: Engine) -> None:
    assert orders(walled_engine, seed="") != orders(walled_engine, seed="")


def test_whoever_changes_a_letter_meets_another_order(walled_engine: Engine) -> None:
    assert orders(walled_engine, RIGHT + " ") != orders(walled_engine, RIGHT)


def test_each_test_draws_for_itself(walled_engine: Engine) -> None:
    """What one test draws, or that the learner's process died in between, moves no other test's draws."""
    dies = "import os\ndef f(x):\n    os._exit(1)"
    first, second = orders(walled_engine, dies, ORDER, ORDER + "\n")
    assert first != second
    more = orders(
        walled_engine, dies, "from course_lib import checks\nchecks.random().random()\nf(1)", ORDER, ORDER + "\n"
    )
    assert more[1:] == [first, second]


def test_an_answer_that_seeds_every_generator_changes_no_draw(walled_engine: Engine) -> None:
    """It names the seed of nothing: the order is the one that the same text without effect would have met."""
    calls = "\nimport random, numpy as np\nrandom.seed(0)\nnp.random.seed(0)\nfrom course_lib import draws\ndraws._given.append(random.Random(0))"
    assert orders(walled_engine, RIGHT + calls) == orders(walled_engine, RIGHT + calls)
    assert orders(walled_engine, RIGHT + calls) != orders(walled_engine, RIGHT + calls, seed="another")


SEARCH = """
import os
import sys

def _memory():
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            span, access = line.split()[:2]
            start, end = (int(n, 16) for n in span.split("-"))
            for place in range(start, end if "rw" in access else start, 1 << 22):
                try:
                    memory.seek(place)
                    yield memory.read(min((1 << 22) + 100, end - place))
                except OSError:
                    break

def _files(*folders):
    for folder in folders:
        for place, below, names in os.walk(folder):
            below[:] = [name for name in below if os.path.join(place, name) != sys.prefix]  # the libraries: 3 GB
            for name in names[:300]:
                if folder != "/proc" or name in ("environ", "cmdline", "comm"):
                    try:
                        with open(os.path.join(place, name), "rb") as file:
                            yield file.read(1 << 16)
                    except OSError:
                        continue

def _handles():
    for name in os.listdir("/proc/self/fd"):
        try:
            yield os.readlink("/proc/self/fd/" + name).encode()
        except OSError:
            continue

def f(begins, ends):
    # one half is looked for, the other, which came backwards, is compared: else the search would find its own question
    begins, found = begins.encode(), {}
    for where, texts in {
        "memory": _memory(), "files": _files("/proc", os.getcwd(), "/work", "/tmp", "/dev/shm", "/home"), "handles": _handles(),
        "environment": [(k + "=" + v).encode() for k, v in os.environ.items()],
    }.items():
        for text in texts:
            place = text.find(begins)
            while place >= 0:
                rest = text[place + len(begins) : place + len(begins) + len(ends)]
                if rest[::-1] == ends.encode():
                    found[where] = True
                place = text.find(begins, place + 1)
    return list(found)
"""
HIDES = "\nhere = bytearray(b'in-plain-sight-' + b'%d' % 90125)\nimport os\nos.environ['HERE'] = here.decode()\nopen('note', 'wb').write(here)"


def test_the_learners_process_holds_no_seed(walled_engine: Engine) -> None:
    """A search of its memory, files and environment, and of the handles it inherited; what it hid itself, it finds."""
    begins, ends = SEED[:20], SEED[20:][::-1]
    test = f"found = f('in-plain-sight-', '52109')\nassert set(found) >= {{'memory', 'files', 'environment'}}, found\nfound = f({begins!r}, {ends!r})\nassert found == [], found"
    done = walled_engine.run(plan(SEARCH + HIDES, test), limits=LIMITS, seed=SEED)
    assert done.outcome("t0").ok, story(done)


def test_nor_the_seed_of_a_test_that_it_serves(walled_engine: Engine) -> None:
    """What the judge draws from is a digest of the secret; the test knows it here, and asks the answer to look for it."""
    test = "from course_lib import draws\nkey = draws.random()._key.decode()\nassert len(key) == 64\nfound = f(key[:32], key[32:][::-1])\nassert found == [], found"
    done = walled_engine.run(plan(SEARCH, test), limits=LIMITS, seed=SEED)
    assert done.outcome("t0").ok, story(done)
