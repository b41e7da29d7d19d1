"""Outputs cost nothing, however many, large or deep; what is parsed is bounded in depth, number and size."""

# ruff: noqa: E501 - a file's text reads best on a line of its own
from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from autograder.grading.notebook import shape
from autograder.grading.notebook.shape import Misshapen, parse, skim

TEXTS = st.text(max_size=12) | st.sampled_from(['"outputs": [', '\\"', "]", "{", '"', "\\", '"outputs"', "outputs"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def emptied(value: object, keys: tuple[str, ...] = ("outputs", "widgets")) -> object:
    if isinstance(value, list):
        return [emptied(item, keys) for item in value]
    if isinstance(value, dict):
        return {k: [] if k in keys and isinstance(v, list | dict) else emptied(v, keys) for k, v in value.items()}
    return value


@given(JSON, st.booleans())
def test_skimming_is_emptying_the_outputs_of_the_parsed_document(value, escaped):
    text = json.dumps({"cells": [value], "outputs": value}, ensure_ascii=escaped, indent=1).encode()
    assert json.loads(skim(text, [])) == emptied({"cells": [value], "outputs": value})


@pytest.mark.parametrize(
    "outputs",
    [b"[]", b"[" * 9_000 + b"]" * 9_000, b"[" + b"{}," * 500_000 + b"{}]", b'["' + b"\\\"[" * 100_000 + b'"]', b'{"a": NaN}',
     b"[" + b"9" * 100_000 + b"]", b'[{"a":' * 4_000 + b"1" + b"}]" * 4_000],
)  # fmt: skip
def test_outputs_of_any_shape_are_left_out_unparsed(outputs):
    assert json.loads(skim(b'{"source": "x", "outputs" : ' + outputs + b', "id": 1}', [])) == {
        "source": "x",
        "outputs": [],
        "id": 1,
    }


@pytest.mark.parametrize("broken", [b'{"outputs": [', b'{"outputs": ["', b'"outputs":', b'\\"outputs": []', b""])
def test_what_does_not_match_is_left_as_it_is_or_is_no_json(broken):
    with pytest.raises(ValueError, match=r"."):
        parse(skim(broken, []).decode(), [])


def test_brackets_without_end_are_not_counted_forever(monkeypatch):
    monkeypatch.setattr(shape, "_MAX_STEPS", 100)
    with pytest.raises(Misshapen, match="lists in lists"):
        skim(b'{"outputs": ' + b"[" * 1000, [])


@pytest.mark.parametrize(
    ("key", "kept"),
    [("attachments", {"source": "x", "attachments": []}), ("metadata", {"source": "x", "metadata": []})],
)
def test_attachments_and_metadata_go_before_a_file_is_refused(monkeypatch, key, kept):
    monkeypatch.setattr(shape, "_MAX_BESIDES", 1000)
    notes: list[str] = []
    assert json.loads(skim(json.dumps({"source": "x", key: {"a": "y" * 2000}}).encode(), notes)) == kept
    assert f"its {key} were left out" in " ".join(notes)


@pytest.mark.parametrize(
    ("text", "limit", "reason"),
    [('{"source": "' + "x" * 2000 + '"}', "_MAX_BESIDES", "MB"), ("[" + "1," * 2000 + "1]", "_MAX_MARKS", "values")],
)
def test_what_is_left_has_a_limit_on_size_and_on_number(monkeypatch, text, limit, reason):
    monkeypatch.setattr(shape, limit, 1000)
    with pytest.raises(Misshapen, match=reason):
        skim(text.encode(), [])


@pytest.mark.parametrize("levels", [2_000, 100_000])
def test_what_is_nested_too_deep_is_nothing_and_the_rest_is_read(levels):
    notes: list[str] = []
    read = parse('{"a": ' + "[" * levels + "]" * levels + ', "b": [1, {"c": "]"}]}', notes)
    assert read["b"] == [1, {"c": "]"}]
    assert notes == ["What was nested more than 50 levels deep was left out."]


@pytest.mark.parametrize(
    ("text", "value", "note"),
    [("[" + "9" * 400 + "]", ["9" * 400], "300 digits"), ("[NaN]", ["NaN"], "NaN"), ("[-Infinity]", ["-Infinity"], "no number"), ("[1, 2.5]", [1, 2.5], "")],
)  # fmt: skip
def test_numbers_that_are_none_are_text(text, value, note):
    notes: list[str] = []
    assert parse(text, notes) == value
    assert note in " ".join(notes)
    assert bool(note) == bool(notes)


def test_the_last_of_two_equal_keys_counts_as_in_jupyter():
    assert parse('{"a": 1, "a": 2}', []) == {"a": 2}
