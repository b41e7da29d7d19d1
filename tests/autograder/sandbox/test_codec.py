"""Values cross as they are, and nothing that isn't a value crosses."""

# ruff: noqa: E501 - small programs read best on a line of their own
from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import fractions
import json
import math
import pathlib
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from autograder.sandbox.messages import Malformed
from autograder.sandbox.rpc.codec import Decoder, Encoder, NotData


def across(value: object) -> Any:
    encoder = Encoder()
    tree = json.loads(json.dumps(encoder.encode(value)))
    return Decoder(encoder.blobs).value(tree)


def decode(tree: Any, blobs: list[bytes] | None = None) -> Any:
    return Decoder(blobs or []).value(tree)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | st.datetimes()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
)
hashable = st.integers() | st.text() | st.booleans() | st.tuples(st.integers(), st.text())
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(hashable, inner) | st.sets(hashable),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(values)
def test_plain_values_come_back_equal_and_of_the_same_type(value: object) -> None:
    back = across(value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        pathlib.Path("/a/b"), dt.date(2013, 1, 1), dt.time(1, 2), dt.datetime(2013, 1, 1, tzinfo=dt.UTC), range(3), slice(1, None),
        2**4000, decimal.Decimal("NaN").copy_abs().is_nan(), fractions.Fraction(1, 3), uuid.uuid4(), frozenset({1}), ...,
    ],
)  # fmt: skip
def test_other_plain_values_come_back(value: object) -> None:
    assert across(value) == value


def test_not_a_number_and_infinity_come_back() -> None:
    assert math.isnan(across(math.nan))
    assert across([math.inf, -math.inf]) == [math.inf, -math.inf]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3), np.array([], dtype="f4"), np.zeros((0, 3)), np.array(["a", "bcd"]), np.array([True]),
        np.array(["2013-01-01"], dtype="M8[D]"), np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array([1, None, "x"], dtype=object), np.asfortranarray(np.arange(6).reshape(2, 3)), np.array(3.5),
    ],
)  # fmt: skip
def test_arrays_come_back(array: np.ndarray) -> None:
    back = across(array)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    "number", [np.float32(1.5), np.int8(-3), np.bool_(True), np.datetime64("2013-01-01"), np.str_("x")]
)
def test_numpy_scalars_keep_their_type(number: np.generic) -> None:
    assert across(number) == number
    assert type(across(number)) is type(number)


def frames() -> list[pd.DataFrame]:
    mixed = pd.DataFrame(
        {
            "number": [1, 2], "text": ["x", None], "kind": pd.Categorical(["u", "v"], ordered=True),
            "day": pd.to_datetime(["2013-01-01", None]), "moment": pd.to_datetime(["2013", "2014"], utc=True),
            "count": pd.array([1, None], dtype="Int64"), "flag": pd.array([True, None], dtype="boolean"),
            "anything": [[1], {"a": 1}], "wait": pd.to_timedelta([1, 2], unit="h"),
        },
        index=pd.Index([5, 6], name="row"),
    )  # fmt: skip
    cut = pd.cut(pd.Series([1, 2, 3], name="bin"), 2).to_frame()
    return [
        mixed,
        mixed.set_index(["number", "text"]),
        mixed.describe(include="all"),
        cut,
        pd.DataFrame(),
        mixed[["number", "number"]],
    ]


@pytest.mark.parametrize("frame", frames())
def test_frames_come_back_with_every_dtype(frame: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(across(frame), frame)


def test_series_and_timestamps_come_back() -> None:
    series = pd.Series([1.0, None], index=pd.RangeIndex(2), name="s")
    pd.testing.assert_series_equal(across(series), series)
    moment = pd.Timestamp("2013-03-10 01:30", tz="America/New_York")
    assert across(moment) == moment
    assert across(pd.NaT) is pd.NaT


def test_frozen_dataclasses_of_the_course_come_back() -> None:
    from course_lib.training import TrainingConfig

    assert across(TrainingConfig()) == TrainingConfig()


def test_what_is_no_data_is_refused() -> None:
    for value in (object(), len, lambda: 1, Exception("x")):
        with pytest.raises(NotData):
            across(value)


@pytest.mark.parametrize(
    "tree",
    [
        ["dc", "os:system", ["d", "command", "true"]], ["dc", "course_lib.errors:CourseError", ["d"]], ["en", "builtins:print", "x"],
        ["dc", "course_lib.../evil:X", ["d"]], ["a", "|O", [1], 0], ["a", "<f8", [1000000000], 0], ["a", [["a", "|O"]], [1], 0],
        ["n", "<f8", "00"], ["i", "not a number"], ["y", 7], ["y", "0"], ["d", 1], ["zi", "../../etc/passwd"], ["d", ["l"], 1],
        ["ri", 0, 10**12, 1, None], ["str", "object", ["x"]], ["na", "object", ["l"], ["l"]], ["nothing"], {"a": 1}, [], [1],
        ["rt", "X", ["a", "a"], [1, 2]], ["iv", 1, 2, "nonsense"], ["cat", ["l", 99], ["ix", None, ["l", 1]], True],
    ],
)  # fmt: skip
def test_hostile_trees_are_malformed_and_nothing_else(tree: Any) -> None:
    with pytest.raises(Malformed):
        decode(tree, [b"12345678"])


json_trees = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3)
    | st.sampled_from(["l", "d", "a", "ao", "n", "df", "se", "ix", "ri", "mi", "cat", "na", "str", "sp", "dc", "nt", "rt", "ns", "y", "<f8"]),
    lambda inner: st.lists(inner, max_size=5), max_leaves=15,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(json_trees)
def test_any_tree_is_a_value_or_malformed(tree: Any) -> None:
    with contextlib.suppress(Malformed):
        decode(tree, [b"\0" * 8])


def test_too_deep_and_too_long_are_refused_on_both_sides() -> None:
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]
    with pytest.raises(NotData):
        across(deep)
    tree: list[Any] = ["l"]
    for _ in range(500):
        tree = ["l", tree]
    with pytest.raises(Malformed):
        decode(tree)
