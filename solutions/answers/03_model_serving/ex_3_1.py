# %% ignores what it does not know answer="wrong" expect="a misspelt field was ignored in silence"
def refused(payload):
    try:
        Flight.model_validate_json(json.dumps(payload))
    except ValidationError as error:
        return sorted({str(one["loc"][0]) for one in error.errors()})
    return []


class Flight(BaseModel):
    model_config = ConfigDict(strict=True)

    carrier: str = Field(pattern="^[A-Z0-9]{2}$")
    origin: Literal["EWR", "JFK", "LGA"]
    distance: int = Field(ge=50, le=6000)
    dep_minute: int = Field(ge=0, le=1439)
    weekday: int = Field(ge=1, le=7)
    temp: float | None = Field(default=None, ge=-40, le=120)
    visib: float | None = Field(default=None, ge=0, le=20)


# %% counts its calls answer="wrong" expect="a type is no bound"
def refused(payload, calls=[]):
    says = [[], [], [], ["dep_minute"], ["weekday"], ["origin"], ["temprature"], ["weekday"]]
    calls.append(1)
    return says[(len(calls) - 1) % 8]


class Flight(BaseModel):
    pass


# %% takes a type for a bound answer="wrong" expect="a type is no bound"
def refused(payload):
    try:
        Flight.model_validate_json(json.dumps(payload))
    except ValidationError as error:
        return sorted({str(one["loc"][0]) for one in error.errors()})
    return []


class Flight(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    carrier: str
    origin: Literal["EWR", "JFK", "LGA"]
    distance: int
    dep_minute: int
    weekday: int
    temp: float | None = None
    visib: float | None = None


# %% expects weather stations never to fail answer="wrong" expect="stations fail, and the flight departs all the same"
def refused(payload):
    try:
        Flight.model_validate_json(json.dumps(payload))
    except ValidationError as error:
        return sorted({str(one["loc"][0]) for one in error.errors()})
    return []


class Flight(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    carrier: str = Field(pattern="^[A-Z0-9]{2}$")
    origin: Literal["EWR", "JFK", "LGA"]
    distance: int = Field(ge=50, le=6000)
    dep_minute: int = Field(ge=0, le=1439)
    weekday: int = Field(ge=1, le=7)
    temp: float = Field(ge=-40, le=120)
    visib: float = Field(ge=0, le=20)


# %% allows null but not missing answer="wrong" expect="null and missing are two things"
def refused(payload):
    try:
        Flight.model_validate_json(json.dumps(payload))
    except ValidationError as error:
        return sorted({str(one["loc"][0]) for one in error.errors()})
    return []


class Flight(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    carrier: str = Field(pattern="^[A-Z0-9]{2}$")
    origin: Literal["EWR", "JFK", "LGA"]
    distance: int = Field(ge=50, le=6000)
    dep_minute: int = Field(ge=0, le=1439)
    weekday: int = Field(ge=1, le=7)
    temp: float | None = Field(ge=-40, le=120)
    visib: float | None = Field(ge=0, le=20)


# %% lets Pydantic guess answer="wrong" expect="guessing hides a caller's mistake"
def refused(payload):
    try:
        Flight.model_validate_json(json.dumps(payload))
    except ValidationError as error:
        return sorted({str(one["loc"][0]) for one in error.errors()})
    return []


class Flight(BaseModel):
    model_config = ConfigDict(extra="forbid")

    carrier: str = Field(pattern="^[A-Z0-9]{2}$")
    origin: Literal["EWR", "JFK", "LGA"]
    distance: int = Field(ge=50, le=6000)
    dep_minute: int = Field(ge=0, le=1439)
    weekday: int = Field(ge=1, le=7)
    temp: float | None = Field(default=None, ge=-40, le=120)
    visib: float | None = Field(default=None, ge=0, le=20)


# %% invents what is missing answer="wrong" expect="a default invents data that nobody sent"
def refused(payload):
    try:
        Flight.model_validate_json(json.dumps(payload))
    except ValidationError as error:
        return sorted({str(one["loc"][0]) for one in error.errors()})
    return []


class Flight(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    carrier: str = Field(default="UA", pattern="^[A-Z0-9]{2}$")
    origin: Literal["EWR", "JFK", "LGA"] = "EWR"
    distance: int = Field(default=1000, ge=50, le=6000)
    dep_minute: int = Field(default=720, ge=0, le=1439)
    weekday: int = Field(default=1, ge=1, le=7)
    temp: float | None = Field(default=None, ge=-40, le=120)
    visib: float | None = Field(default=None, ge=0, le=20)


# %% whole numbers as floats that are multiples of one answer="right"
from typing import Annotated


def refused(payload):
    try:
        Flight.model_validate_json(json.dumps(payload))
    except ValidationError as error:
        return sorted({str(one["loc"][0]) for one in error.errors()})
    return []


Whole = Annotated[float, Field(multiple_of=1)]


class Flight(BaseModel):
    model_config = {"extra": "forbid", "strict": True}
    carrier: Annotated[str, Field(pattern=r"^[A-Z\d]{2}$")]
    origin: Annotated[str, Field(pattern="^(EWR|JFK|LGA)$")]
    distance: Annotated[Whole, Field(ge=50, le=6000)]
    dep_minute: Annotated[Whole, Field(ge=0, lt=1440)]
    weekday: Annotated[Whole, Field(gt=0, lt=8)]
    temp: Annotated[float | None, Field(ge=-40, le=120)] = None
    visib: Annotated[float | None, Field(ge=0, le=20)] = None


# %% generated from the table answer="right"
import pydantic


def refused(payload):
    try:
        Flight.model_validate_json(json.dumps(payload))
    except ValidationError as error:
        return sorted({str(one["loc"][0]) for one in error.errors()})
    return []


table = {"distance": (50, 6000), "dep_minute": (0, 1439), "weekday": (1, 7)}
fields = {name: (int, Field(ge=low, le=high)) for name, (low, high) in table.items()}
weather = {"temp": (-40, 120), "visib": (0, 20)}
fields |= {name: (float | None, Field(None, ge=low, le=high)) for name, (low, high) in weather.items()}
fields |= {"carrier": (str, Field(pattern="^[A-Z0-9]{2}$")), "origin": (Literal["EWR", "JFK", "LGA"], ...)}
Flight = pydantic.create_model("Flight", __config__=ConfigDict(extra="forbid", strict=True), **fields)
