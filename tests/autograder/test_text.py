"""Text of strangers can be stored, printed and shown, and says what it was; tables keep numbers and lose formulas."""

from __future__ import annotations

import csv
import io
import json
import sqlite3

import pytest
from hypothesis import given, strategies as st

from autograder.model import Check, CheckResult, Refusal, Result
from autograder.text import Unbounded, bounded_json, plain_output, runnable, table_cell, visible

ANY = st.text(st.characters(exclude_categories=()), max_size=40)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain, Zoë 😀 عمر\n\tindented", "plain, Zoë 😀 عمر\n\tindented"),
        ("bad \ud800 half", r"bad \ud800 half"),
        ("\udcff", r"\udcff"),
        ("\ud83d\ude00", r"\ud83d\ude00"),
        ("nul\x00", r"nul\x00"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\r\nb\rc", "a\nb\\x0dc"),
        ("\x0b\x0c\x1c\x85\u2028", r"\x0b\x0c\x1c\x85\u2028"),
        ("\u202egnp.exe\u2066\u200f", r"\u202egnp.exe\u2066\u200f"),
        ("\ufeff\ufffe\uffff", r"\ufeff\ufffe\uffff"),
        ("family \U0001f468\u200d\U0001f469", "family \U0001f468\u200d\U0001f469"),
    ],
)
def test_what_cannot_be_seen_is_an_escape_and_everything_else_stays(text, shown):
    assert visible(text) == shown


@given(ANY)
def test_every_text_can_be_stored_everywhere_and_doing_it_twice_changes_nothing(text):
    shown = visible(text)
    assert visible(shown) == shown
    assert sqlite3.connect(":memory:").execute("SELECT ?", (shown,)).fetchone() == (shown,)
    assert json.loads(json.dumps(shown).encode()) == shown
    assert runnable(runnable(text)) == runnable(text)
    runnable(text).encode()
    plain_output(text).encode()


@pytest.mark.parametrize(("size", "note"), [(10, ""), (11, " … (1 more characters)"), (50, " … (40 more characters)")])
def test_long_text_is_cut_and_says_by_how_much(size, note):
    assert visible("x" * size, 10) == "x" * 10 + note


@pytest.mark.parametrize(
    "source",
    ["x = 1\r\n", "\x0cx = 1", "x = 'é😀\u200f'", "if 1:\n\tx = 2", "# \u2028", ""],
)  # fmt: skip
def test_source_that_can_run_is_left_alone(source):
    assert runnable(source) == source


@pytest.mark.parametrize("source", ["'\x00'", "'\u202e'", "'\ud800'", "'\x1b[31m'", "'\x7f'"])
def test_an_escape_in_a_string_means_what_it_stands_for(source):
    assert eval(runnable(source)) == source[1:-1]


@pytest.mark.parametrize(
    ("printed", "kept"),
    [
        ("\x1b[32mgreen\x1b[0m", "green"),
        ("10 %\r20 %\r30 %", "30 %"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("line\r", "line"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("bell\x07", r"bell\x07"),
        ("\x1b[", r"\x1b["),
    ],
)
def test_output_is_what_a_terminal_leaves(printed, kept):
    assert plain_output(printed) == kept


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (nested(40), "32 levels"),
        (nested(100_000), "32 levels"),
        (list(range(30_000)), "20,000 values"),
        ({str(i): i for i in range(30_000)}, "20,000 values"),
        (["x" * 600_000] * 2, "characters"),
        (10**5000, "digits"),
        ({1: {2}}, "type set"),
        ([object()], "type object"),
    ],
    ids=["40 levels", "100,000 levels", "list", "object", "text", "number", "set", "instance"],
)
def test_json_beyond_measure_is_refused_by_name(value, reason):
    with pytest.raises(Unbounded, match=reason):
        bounded_json(value)


def test_json_that_notebooks_hold_is_copied_with_its_text_made_visible():
    value = {"a": [1, 2.5, None, True, "\ud800"], "b": {"nan": float("nan"), "c": nested(20)}}
    assert bounded_json(value) == {"a": [1, 2.5, None, True, r"\ud800"], "b": {"nan": "nan", "c": nested(20)}}


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", " =1", "\n=1", "=cmd|' /C calc'!A0", "＝1", "＋1", "－1", "＠x",
     "x;=1", "x; +1", "a|@b", "-", "=", "-x", "+ann", "-1;2", "--1", "1\n=2;=3"],
)  # fmt: skip
def test_no_cell_of_a_table_is_a_formula_in_any_locale(text):
    line = io.StringIO()
    csv.writer(line).writerow([table_cell(text)])
    for delimiter in (",", ";", "|"):
        for row in csv.reader(io.StringIO(line.getvalue()), delimiter=delimiter):
            assert not [c for c in row if c.lstrip().startswith(tuple("=+-@＝＋－＠"))], (delimiter, row)


@pytest.mark.parametrize("number", ["0", "7", "-0.5", "+3", "1e-05", "12.25", "1,5", "-100", "50%", "2026-11-29"])
def test_numbers_and_dates_in_a_table_stay_what_they_are(number):
    assert table_cell(number) == number


def test_names_in_a_table_keep_their_spaces():
    assert table_cell("Ann  Lee ") == "Ann  Lee "


def test_results_let_no_other_text_in_whoever_wrote_it():
    check = Check("check-1-1", "1.1", "visible", 1)
    result = Result("ann", "01", "failed", (CheckResult(check, 0, "a\ud800"),), "b\x00", ("c\u202e",))
    assert (result.checks[0].message, result.reason, result.repairs) == (r"a\ud800", r"b\x00", (r"c\u202e",))
    assert Refusal("half\udcff.txt", "x\x1b").path == r"half\udcff.txt"
