"""Stage C, feature engineering: what the desk knows about a flight at its scheduled departure, and nothing else.

One list of features serves the data checks, training, the request schema of the API and the drift monitors, so they
cannot disagree. One scikit-learn transformer turns it into numbers, in training and in serving alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from course_lib.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.compose import ColumnTransformer

__all__ = [
    "CATEGORIES",
    "EXAMPLE",
    "FEATURES",
    "LEAKS",
    "NAMES",
    "NUMBERS",
    "ORIGINS",
    "Feature",
    "build_transformer",
    "select",
]

ORIGINS = ("EWR", "JFK", "LGA")

EXAMPLE: dict[str, str | int | float | None] = {
    "carrier": "UA",
    "origin": "EWR",
    "dest": "ORD",
    "distance": 719,
    "sched_minutes": 152,
    "dep_minute": 1080,
    "weekday": 5,
    "departures_in_hour": 24,
    "temp": 39.92,
    "dewp": 26.06,
    "humid": 57.33,
    "wind_speed": 13.81,
    "precip": 0.0,
    "visib": 10.0,
    "pressure": 1011.4,
}
"""A typical flight, for documentation and load tests."""


@dataclass(frozen=True)
class Feature:
    """One input of the model.

    Attributes
    ----------
    name
        Column name.
    kind
        ``category`` for codes, ``number`` for quantities.
    unit
        Unit of a number, or what the code stands for.
    low, high
        Bounds of a plausible number, inclusive; wider than the data of 2013, and narrow enough to stop a broken sensor.
    nullable
        Whether the value may be missing at prediction time.
    known_from
        Where the value is known from before the flight departs.
    """

    name: str
    kind: Literal["category", "number"]
    unit: str
    known_from: str
    low: float | None = None
    high: float | None = None
    nullable: bool = False


def _weather(name: str, unit: str, low: float, high: float) -> Feature:
    return Feature(name, "number", unit, "last full hour's observation", low, high, nullable=True)


FEATURES: tuple[Feature, ...] = (
    Feature("carrier", "category", "two-character airline code", "timetable"),
    Feature("origin", "category", "airport code: EWR, JFK or LGA", "timetable"),
    Feature("dest", "category", "three-letter airport code", "timetable"),
    Feature("distance", "number", "miles", "timetable", 50, 6000),
    Feature("sched_minutes", "number", "minutes, gate to gate", "timetable", 20, 900),
    Feature("dep_minute", "number", "local minute of the day", "timetable", 0, 1439),
    Feature("weekday", "number", "1 = Monday … 7 = Sunday", "timetable", 1, 7),
    Feature("departures_in_hour", "number", "departures from the airport", "timetable", 1, 120),
    _weather("temp", "°F", -40, 120),
    _weather("dewp", "°F", -60, 100),
    _weather("humid", "%", 0, 100),
    _weather("wind_speed", "mph", 0, 120),
    _weather("precip", "inches in the hour", 0, 6),
    _weather("visib", "miles", 0, 20),
    _weather("pressure", "millibars", 900, 1100),
)
NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
CATEGORIES: tuple[str, ...] = tuple(feature.name for feature in FEATURES if feature.kind == "category")
NUMBERS: tuple[str, ...] = tuple(feature.name for feature in FEATURES if feature.kind == "number")

# Columns that only exist after departure. `tailnum` is among them: it is missing for most cancelled flights only.
LEAKS: tuple[str, ...] = (
    "dep_time",
    "dep_delay",
    "arr_time",
    "arr_delay",
    "air_time",
    "tailnum",
    "late",
    "label_known_at",
)


def select(frame: pd.DataFrame, names: Iterable[str] = NAMES) -> pd.DataFrame:
    """Return the feature columns of ``frame``, in their fixed order.

    Parameters
    ----------
    frame
        Flights, as :func:`course_lib.data.flights` returns them.
    names
        Feature names; by default all.

    Raises
    ------
    DataError
        A feature is missing from ``frame``, or a name is a column that leaks the outcome.
    """
    wanted = list(names)
    if leaking := [name for name in wanted if name in LEAKS]:
        raise DataError(
            f"These columns are not known at the scheduled departure: {', '.join(leaking)}.",
            expected=f"a subset of {', '.join(NAMES)}",
            next_step="leave them out: a model that has seen them cannot be used in production",
        )
    if missing := [name for name in wanted if name not in frame.columns]:
        raise DataError(
            f"The feature columns {', '.join(missing)} are missing.",
            expected=f"all of {', '.join(wanted)}",
            next_step="build the frame with `course_lib.data.flights`, or add the columns",
        )
    return frame[wanted]


def build_transformer(names: Iterable[str] = NAMES) -> ColumnTransformer:
    """Return the unfitted transformer from feature columns to numbers.

    Codes become ordinal numbers (trees need no more), and a code that training has not seen becomes −1. Numbers pass
    through, missing ones as NaN: the model handles them.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OrdinalEncoder

    wanted = list(names)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return ColumnTransformer(
        [
            ("codes", encoder, [name for name in wanted if name in CATEGORIES]),
            ("numbers", "passthrough", [name for name in wanted if name not in CATEGORIES]),
        ],
        verbose_feature_names_out=False,
    )
