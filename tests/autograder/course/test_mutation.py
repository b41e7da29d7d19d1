"""Mutants differ from their original in one place, are programs, and come from every kind of fault that is promised."""

from __future__ import annotations

import ast

import pytest

from autograder.authoring.sources import SourceError
from autograder.course.mutation import mutants_of, read_equivalents

# A program, and changes that must be among those of its mutants.
CASES = {
    "x = a < b": {"a < b → a <= b", "a < b → a >= b"},
    "x = a >= b": {"a >= b → a > b", "a >= b → a < b"},
    "x = a is None": {"a is None → not a", "a is None → a is not None"},
    "x = a is not None": {"a is not None → a"},
    "x = k in d": {"k in d → k not in d"},
    "x = min(v)": {"min(v) → max(v)"},
    "x = sorted(v)": {"sorted(v) → list(v)", "sorted(v) → v"},
    "x = math.ceil(v)": {"math.ceil(v) → math.floor(v)"},
    "x = round(v)": {"round(v) → int(v)", "round(v) → v"},
    "x = a and b and c": {
        "a and b and c → b and c",
        "a and b and c → a and c",
        "a and b and c → a and b",
        "a and b and c → a or b or c",
    },
    "x = not a": {"not a → a"},
    "x = -a": {"-a → a"},
    "x = a + 7": {"a + 7 → a - 7", "7 → 8", "7 → 6"},
    "x = 0.8": {"0.8 → 0.9", "0.8 → 0.7000000000000001"},
    "x = True": {"True → False"},
    "x = f(a, key=b)": {"f(a, key=b) → f(a)"},
    "x = a if c else b": {"a if c else b → a", "a if c else b → b"},
    "x = [i for i in v if i]": {"for i in v if i → for i in v"},
    "if a:\n    b()\nelse:\n    c()": {"if a: b() else: c() → if False: b() else: c()"},
    "for i in v:\n    f(i)": {"for i in v: f(i) → for i in v: f(i) break", "f(i) → nothing"},
    "def f(a):\n    raise ValueError(a)": {"raise ValueError(a) → nothing"},
    "def f(a):\n    return a": {"return a → return"},
    "x = '''one\ntwo'''": {"'one\\ntwo' → 'two'", "'one\\ntwo' → 'one'"},
    "with a:\n    b()": {"with a: b() → if True: b()"},
}


@pytest.mark.parametrize("source", CASES)
def test_each_kind_of_fault_is_made(source):
    found = {mutant.change for mutant in mutants_of(source)}
    assert CASES[source] <= found, CASES[source] - found


@pytest.mark.parametrize("source", CASES)
def test_mutants_are_programs_unlike_their_original_and_one_another(source):
    sources = [mutant.source for mutant in mutants_of(source)]
    assert len({ast.dump(ast.parse(text)) for text in sources}) == len(sources)
    assert ast.unparse(ast.parse(source)) not in sources


def test_a_docstring_is_no_place_for_a_fault():
    assert not mutants_of('def f():\n    """One.\n\n    Two.\n    """\n')


def test_lines_are_those_of_the_answer_in_order():
    lines = [mutant.line for mutant in mutants_of("a = 1\n\nb = 2 if a else 3\nc = a < b\n")]
    assert lines == sorted(lines)
    assert set(lines) == {1, 3, 4}


def test_of_a_cell_that_is_no_python_lines_are_left_out():
    mutants = mutants_of("%%writefile Dockerfile\nFROM python\n# a comment\n\nRUN true")
    assert [mutant.change for mutant in mutants] == [
        "%%writefile Dockerfile → nothing",
        "FROM python → nothing",
        "RUN true → nothing",
    ]


def test_an_empty_answer_has_none():
    assert mutants_of("") == []


def test_equivalents_need_a_reason(tmp_path):
    path = tmp_path / "equivalent.toml"
    assert read_equivalents(path) == []
    entry = '[[equivalent]]\nexercise = "1.1"\nanswer = "reference"\nmutant = "line 1: a → b"\nreason = "{}"\n'
    path.write_text(entry.format("both are 1"))
    assert [one.reason for one in read_equivalents(path)] == ["both are 1"]
    path.write_text(entry.format(""))
    with pytest.raises(SourceError, match="reason"):
        read_equivalents(path)
