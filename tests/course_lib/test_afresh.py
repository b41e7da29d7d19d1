from __future__ import annotations

import doctest
import os
import sys
from pathlib import Path

import pytest

from course_lib import afresh as module, checks
from course_lib.afresh import afresh

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are forked on Linux only")


def test_the_examples_in_the_documentation_are_true():
    assert doctest.testmod(module).failed == 0
    assert checks.afresh is afresh


@pytest.mark.parametrize(
    "value", [None, 0, 1.5, "ä", b"\0", [1, {"a": (2, None)}], {1, 2}, float("inf"), b"x" * 300_000]
)
def test_what_a_call_returns_comes_back(value: object):
    assert afresh(lambda given: given)(value) == value


@pytest.mark.parametrize(
    ("made", "as_list"),
    [(iter("ab"), ["a", "b"]), ({"k": 1}.keys(), ["k"]), (enumerate("a"), [(0, "a")])],
)
def test_an_iterator_comes_back_as_a_list(made: object, as_list: list[object]):
    assert list(afresh(lambda: made)()) == as_list


def test_what_it_raises_is_raised_here():
    with pytest.raises(ValueError, match="-1 is negative"):
        afresh(lambda x: (_ for _ in ()).throw(ValueError(f"{x} is negative")))(-1)
    with pytest.raises(KeyError):
        afresh({}.__getitem__)("k")
    with pytest.raises(SystemExit):
        afresh(sys.exit)(3)


def test_an_error_shows_the_line_of_the_answer():
    def answer() -> None:
        raise NotImplementedError("not solved yet")

    with pytest.raises(NotImplementedError) as raised:
        afresh(answer)()
    assert raised.traceback[-1].frame.code.name == "answer"


def test_what_is_no_data_is_refused():
    with pytest.raises(TypeError, match="which is no data"):
        afresh(lambda: lambda: 1)()


def test_a_process_that_ends_itself_gives_an_error():
    with pytest.raises(RuntimeError, match="without an answer"):
        module.call_in_fork(os._exit, (0,), {})


calls: list[int] = []
seen: dict[str, int] = {}


def counts() -> int:
    calls.append(1)
    return len(calls)


def numbers(text: str) -> int:
    return seen.setdefault(text, len(seen))


@pytest.mark.parametrize(("forgetful", "first"), [(counts, 1), (lambda: numbers(str(os.getpid())), 0)])
def test_no_call_remembers_another(forgetful: object, first: int):
    assert [afresh(forgetful)() for _ in range(3)] == [first] * 3  # type: ignore[arg-type]
    assert not calls
    assert not seen


def test_hash_differs_from_call_to_call_and_agrees_within_one():
    def hashed(text: str) -> tuple[int, int]:
        return hash(text), hash(text)

    first, second = afresh(hashed)("a"), afresh(hashed)("a")
    assert first[0] == first[1]
    assert first != second
    assert "hash" not in globals()


def test_keywords_files_and_open_descriptors(tmp_path: Path):
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    afresh(lambda *, name: (tmp_path / name).write_text("here"))(name="note")
    assert (tmp_path / "note").read_text() == "here"
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208
