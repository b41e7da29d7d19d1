from __future__ import annotations

import numpy as np
import pytest

from course_lib import data, features
from course_lib.errors import DataError


def test_no_feature_is_an_outcome():
    assert not set(features.NAMES) & set(features.LEAKS)
    assert not set(features.NAMES) & set(data.OUTCOME_COLUMNS)


def test_every_number_has_bounds_and_a_unit():
    for feature in features.FEATURES:
        assert feature.unit
        assert (feature.low is not None and feature.high is not None) == (feature.kind == "number")


def test_the_bounds_hold_the_desk_s_data(winter):
    for feature in features.FEATURES:
        if feature.kind == "number":
            values = winter[feature.name].dropna()
            assert values.between(feature.low, feature.high).all(), feature.name


@pytest.mark.parametrize("leak", features.LEAKS)
def test_a_leaking_column_is_refused(winter, leak):
    with pytest.raises(DataError, match=rf"not known at the scheduled departure: {leak}"):
        features.select(winter, ["carrier", leak])


def test_a_missing_column_is_named(winter):
    with pytest.raises(DataError, match="feature columns visib are missing"):
        features.select(winter.drop(columns="visib"))


def test_columns_come_in_their_fixed_order(winter):
    shuffled = winter[sorted(winter.columns, reverse=True)]
    assert tuple(features.select(shuffled).columns) == features.NAMES


def test_an_unseen_code_becomes_minus_one(winter):
    transformer = features.build_transformer().fit(features.select(winter.head(500)))
    strange = features.select(winter.head(1)).assign(dest="ZZZ")
    names = list(transformer.get_feature_names_out())
    assert transformer.transform(strange)[0, names.index("dest")] == -1


def test_missing_weather_stays_missing(winter):
    transformer = features.build_transformer().fit(features.select(winter.head(500)))
    calm = features.select(winter.head(1)).assign(pressure=np.nan)
    names = list(transformer.get_feature_names_out())
    assert np.isnan(transformer.transform(calm)[0, names.index("pressure")])
