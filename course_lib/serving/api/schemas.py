"""What the API accepts and returns, generated from the feature list: data checks, training and API cannot disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from course_lib.features import EXAMPLE, FEATURES, ORIGINS, Feature

__all__ = [
    "EXAMPLE",
    "BatchPrediction",
    "Flight",
    "Flights",
    "ModelInfo",
    "Prediction",
    "Problem",
    "Status",
    "flights_model",
    "row_of",
    "rows_of",
]

_PATTERNS = {"carrier": "^[A-Z0-9]{2}$", "dest": "^[A-Z]{3}$"}


class _Strict(BaseModel):
    # strict: "7" is not 7 and true is not 1. forbid: a misspelt field is an error, not a missing value.
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


def _field(feature: Feature) -> tuple[Any, Any]:
    """Return the Pydantic type and default of one feature."""
    if feature.name == "origin":
        return Annotated[Literal[ORIGINS], Field(description=feature.unit)], ...
    if feature.kind == "category":
        return Annotated[str, Field(pattern=_PATTERNS[feature.name], description=feature.unit)], ...
    bounds = Field(ge=feature.low, le=feature.high, description=feature.unit)
    if feature.nullable:  # an observation: a station can be down
        return Annotated[float | None, bounds], None
    # The timetable counts in whole miles, minutes and flights. JSON has one kind of number, so 3.0 is a whole one too;
    # `int` would refuse it.
    return Annotated[float, bounds, Field(multiple_of=1, json_schema_extra={"type": "integer"})], ...


_Features: Any = create_model(  # type: ignore[call-overload]
    "_Features", __base__=_Strict, **{feature.name: _field(feature) for feature in FEATURES}
)


class Flight(_Features):  # type: ignore[misc] # its fields are those of the feature list
    """One flight, as known at its scheduled departure. Weather may be null or left out: stations fail."""

    model_config = ConfigDict(json_schema_extra={"example": {**EXAMPLE}})


class Flights(_Strict):
    """Several flights."""

    flights: list[Flight]


def flights_model(max_rows: int) -> type[Flights]:
    """Return the schema of a bulk request with 1 to ``max_rows`` flights."""
    rows = Annotated[list[Flight], Field(min_length=1, max_length=max_rows)]
    return create_model("Flights", __base__=Flights, __doc__=Flights.__doc__, flights=(rows, ...))


class Prediction(BaseModel):
    """The answer for one flight."""

    late_probability: float = Field(ge=0, le=1, description="probability of arriving 15 minutes late or more")
    model_version: str


class BatchPrediction(BaseModel):
    """The answers for several flights, in the order of the request."""

    late_probabilities: list[Annotated[float, Field(ge=0, le=1)]]
    model_version: str


class Status(BaseModel):
    """Whether the service lives, or is ready for traffic."""

    status: str


class ModelInfo(BaseModel):
    """The model in service."""

    version: str
    run_id: str
    sha256: str
    features: list[str]


class FieldProblem(BaseModel):
    """One refused field."""

    field: str
    problem: str


class Problem(BaseModel):
    """An error, as RFC 9457 wants it: the same shape for every status."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldProblem] = []


_NAMES = tuple(feature.name for feature in FEATURES)


def row_of(flight: BaseModel | Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a flight's values in the order of the features.

    Examples
    --------
    >>> row_of(EXAMPLE)[:3]
    ('UA', 'EWR', 'ORD')
    """
    values: Mapping[str, Any] = flight.__dict__ if isinstance(flight, BaseModel) else flight
    return tuple([values.get(name) for name in _NAMES])


def rows_of(flights: Sequence[BaseModel | Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Return :func:`row_of` of every flight."""
    return [row_of(flight) for flight in flights]
