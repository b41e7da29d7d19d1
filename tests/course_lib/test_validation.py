from __future__ import annotations

import pandas as pd
import pytest

from course_lib import data, features, validation
from course_lib.errors import ValidationFailed


@pytest.fixture
def batch(winter):
    return winter.head(1000).copy()


@pytest.mark.parametrize("month", [1, 12])
def test_the_desk_s_own_months_pass(month):
    validated = validation.validate(data.flights([month]))
    assert validated.quarantined.empty
    assert validated.counts == {}
    assert validated.bad_share == 0


def test_the_one_impossible_flight_of_the_year_is_caught():
    # 27 July: 17 miles from Newark to LaGuardia, cancelled. It is in the raw data.
    (row,) = validation.validate(data.flights([7])).quarantined.itertuples()
    assert (row.origin, row.dest, row.distance) == ("EWR", "LGA", 17)
    assert row.reasons == "distance between 50 and 6000 miles"


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("wind_speed", 1048.36, "wind_speed between 0 and 120 mph"),  # a real reading of the EWR station, 12 February
        ("origin", "XXX", "origin is one of EWR, JFK, LGA"),
        ("carrier", "UAL", "carrier is a code of 2 characters"),
        ("dest", "LA", "dest is a code of 3 characters"),
        ("distance", None, "distance is not missing"),
        ("dep_minute", 1440, "dep_minute between 0 and 1439 local minute of the day"),
        ("humid", -1.0, "humid between 0 and 100 %"),
    ],
)
def test_a_bad_row_is_kept_apart_with_its_reason(batch, column, value, reason):
    batch[column] = batch[column].astype(object if isinstance(value, str) else float)
    batch.loc[7, column] = value
    validated = validation.validate(batch)
    assert validated.counts == {reason: 1}
    assert list(validated.quarantined["reasons"]) == [reason]
    assert validated.quarantined["flight_id"].iloc[0] == batch.loc[7, "flight_id"]
    assert len(validated.accepted) == 999


def test_every_rule_a_row_breaks_is_listed(batch):
    batch.loc[3, ["wind_speed", "humid"]] = [999.0, 140.0]
    (reasons,) = validation.validate(batch).quarantined["reasons"]
    assert reasons == "humid between 0 and 100 %; wind_speed between 0 and 120 mph"


def test_missing_weather_is_allowed(batch):
    batch.loc[:, list(data.WEATHER_COLUMNS)] = float("nan")
    assert validation.validate(batch).quarantined.empty


def test_a_flight_that_comes_twice_is_quarantined(batch):
    doubled = pd.concat([batch, batch.iloc[[5]]])
    validated = validation.validate(doubled)
    assert len(validated.quarantined) == 2
    assert validated.counts == {"flight_id occurs once": 2}


def test_no_row_is_lost(batch):
    batch.loc[[1, 5, 9], "visib"] = -1
    validated = validation.validate(batch)
    both = set(validated.accepted["flight_id"]) | set(validated.quarantined["flight_id"])
    assert both == set(batch["flight_id"])
    assert validated.bad_share == pytest.approx(0.003)


def test_a_mostly_bad_batch_is_refused(batch):
    with pytest.raises(ValidationFailed, match=r"100.0% of the batch breaks a rule: temp between"):
        validation.validate(batch.assign(temp=500.0))


@pytest.mark.parametrize("column", ["flight_id", *features.NAMES])
def test_a_missing_column_is_named(batch, column):
    with pytest.raises(ValidationFailed, match=f"lacks the columns {column}"):
        validation.validate(batch.drop(columns=column))


def test_an_empty_batch_is_refused(batch):
    with pytest.raises(ValidationFailed, match="The batch is empty"):
        validation.validate(batch.iloc[:0])


def test_text_in_a_number_column_is_a_clear_error(batch):
    with pytest.raises(ValidationFailed, match="column distance"):
        validation.validate(batch.assign(distance="far"))
