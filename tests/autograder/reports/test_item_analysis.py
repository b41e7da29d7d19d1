"""Item statistics against scipy and pandas, a class whose truth is known, and the edges where there is no number."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from autograder.reports.item_analysis import SMALLEST, Bin, Item, analyse, correlation, histogram

MOST = {"a": 1.0, "b": 2.0, "c": 4.0, "d": 0.5, "e": 10.0}


def rows_of(table: pd.DataFrame) -> list[dict[str, float | None]]:
    return [{item: None if math.isnan(v) else v for item, v in row.items()} for row in table.to_dict("records")]


def by_pandas(table: pd.DataFrame, item: str) -> float:
    """The corrected item-total correlation, from the columns in which nothing is missing."""
    others = [column for column in table if column != item and not table[column].isna().any()]
    here = table[item].dropna()
    return here.corr(table.loc[here.index, others].sum(axis=1))


@pytest.mark.parametrize("size", [SMALLEST, 23, 300])
@pytest.mark.parametrize("seed", range(5))
def test_each_number_is_that_of_pandas(size, seed):
    rng = np.random.default_rng([size, seed])
    ability = rng.normal(size=size)
    table = pd.DataFrame(
        {i: np.clip(np.round(4 * (0.5 + 0.3 * ability + 0.3 * rng.normal(size=size))), 0, 4) * most / 4
         for i, most in MOST.items()}
    )  # fmt: skip
    table.loc[rng.random(size) < 0.2, "e"] = np.nan  # answers that wait for a person
    found = analyse(rows_of(table), MOST)
    for item, most in MOST.items():
        assert found[item].n == table[item].count()
        assert found[item].difficulty == pytest.approx(table[item].mean() / most)
        if table[item].count() >= SMALLEST:
            assert found[item].discrimination == pytest.approx(by_pandas(table, item), abs=1e-9)


def test_for_an_item_that_is_right_or_wrong_it_is_the_point_biserial_correlation():
    rng = np.random.default_rng(7)
    right = rng.integers(0, 2, 60)
    rest = right + rng.normal(size=60)
    expected = stats.pointbiserialr(right, rest).statistic
    assert correlation([float(r) for r in right], list(rest)) == pytest.approx(expected, abs=1e-12)


def test_a_class_whose_truth_is_known_gets_its_numbers():
    """Item i is slope·ability + noise: what its correlation with the sum of the others is can be written down."""
    slopes, size = np.array([0.0, 0.5, 1.0, 2.0, -1.0]), 20_000
    rng = np.random.default_rng(11)
    scores = np.outer(rng.normal(size=size), slopes) + rng.normal(size=(size, 5)) + 3
    names = list("abcde")
    found = analyse([dict(zip(names, map(float, row), strict=True)) for row in scores], dict.fromkeys(names, 6.0))
    for i, name in enumerate(names):
        others = np.delete(slopes, i).sum()
        truth = slopes[i] * others / math.sqrt((slopes[i] ** 2 + 1) * (others**2 + 4))
        error = (1 - truth**2) / math.sqrt(size)
        assert abs(found[name].discrimination - truth) < 5 * error
        assert abs(found[name].difficulty - 0.5) < 5 * math.sqrt((slopes[i] ** 2 + 1) / size) / 6
    assert found["a"].discrimination == pytest.approx(0, abs=0.04)
    assert found["e"].discrimination < 0  # the wrong key: the better a learner, the fewer the points


def test_where_nothing_can_be_said_there_is_no_number():
    some = [float(k % 4) for k in range(SMALLEST)]
    assert correlation(some, some) == pytest.approx(1)
    assert correlation(some[:-1], some[:-1]) is None  # one fewer
    assert correlation([], []) is None
    assert correlation(some, [2.0] * SMALLEST) is None
    assert correlation([0.1 + 0.2, *[0.3] * (SMALLEST - 1)], some) is None  # rounding is no spread
    assert analyse([], {"a": 1.0}) == {"a": Item(0, None, None)}
    assert analyse([{"a": 1.0}], {"a": 2.0}) == {"a": Item(1, 0.5, None)}
    alone = analyse([{"a": score} for score in some], {"a": 3.0})
    assert alone["a"].discrimination is None  # there are no others
    assert alone["a"].difficulty == pytest.approx(sum(some) / len(some) / 3)
    assert analyse([{"a": 1.0}], {"a": 0.0})["a"].difficulty is None
    nobody = analyse([{"a": s, "b": None} for s in some], {"a": 3.0, "b": 1.0})
    assert nobody["b"] == Item(0, None, None)
    assert nobody["a"].discrimination is None  # b is not final, so nothing is left to compare with


def test_an_answer_that_is_not_final_for_somebody_is_in_nobodys_total():
    first = [float(k % 5) for k in range(12)]
    second = [float((k * 7) % 4) for k in range(12)]
    late = [100.0 * ((k * 5) % 3) for k in range(12)]
    rows = [{"a": a, "b": b, "c": c} for a, b, c in zip(first, second, late, strict=True)]
    most = {"a": 4.0, "b": 3.0, "c": 200.0}
    whole = analyse(rows, most)
    assert whole["a"].discrimination == pytest.approx(np.corrcoef(first, np.add(second, late))[0, 1])
    rows[3]["c"] = None
    open_ = analyse(rows, most)
    assert open_["a"].discrimination == pytest.approx(np.corrcoef(first, second)[0, 1])
    assert open_["c"].n == 11
    kept = [k for k in range(12) if k != 3]
    rest = np.add(first, second)[kept]
    assert open_["c"].discrimination == pytest.approx(np.corrcoef(np.array(late)[kept], rest)[0, 1])


@pytest.mark.parametrize(("most", "seed"), [(26, 1), (11, 2), (0.3, 3), (100, 4)])
def test_a_histogram_counts_as_numpy_does(most, seed):
    rng = np.random.default_rng(seed)
    totals = [float(t) for t in rng.random(257) * most] + [0.0, float(most)]
    bins = histogram(totals, most)
    counts, edges = np.histogram(totals, bins=10, range=(0, most))
    assert [one.count for one in bins] == list(counts)
    assert [one.low for one in bins] == pytest.approx(list(edges[:-1]))
    assert [one.high for one in bins] == pytest.approx(list(edges[1:]))


def test_a_total_on_an_edge_is_counted_once_and_extra_credit_in_the_last_bin():
    bins = histogram([0, 1, 1, 2.6, 25.999, 26, 31], 26)
    assert sum(one.count for one in bins) == 7
    assert bins[0] == Bin(0, 2.6, 3)
    assert bins[1].count == 1
    assert bins[-1].count == 3
    for k in range(11):  # 0.1 · 3 is not 0.3: an edge must not slip into the bin below
        assert histogram([k * 0.1], 1)[min(k, 9)].count == 1
    assert histogram([], 26) == []
    assert histogram([0.0], 0) == []
