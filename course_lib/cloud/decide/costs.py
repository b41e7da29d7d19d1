"""What predictions cost: by use (serverless), by the hour (an instance, a GPU), when idle, and where the lines cross.

Two ways to pay. A **function** is paid by use: nothing when nobody asks, and the same for each prediction however many
there are. A **machine** is paid by the hour: full price when nobody asks, cheap per prediction when it is busy, and a
second one when the first is full. The example prices are in :mod:`course_lib.cloud.decide.prices`, with their dates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from course_lib.cloud.decide.prices import EXAMPLES, Price, price
from course_lib.cloud.errors import CloudError

__all__ = ["EXAMPLES", "HOURS", "Function", "Machine", "Option", "Price", "break_even", "cheapest", "price"]

HOURS = 730.0  # in a month, on average: 365 × 24 / 12
_MOST_MACHINES = 100_000  # more than that is a slip


@dataclass(frozen=True, kw_only=True)
class Function:
    """A serverless function.

    Attributes
    ----------
    seconds
        How long one call runs.
    gigabytes
        Memory that it is given, and billed for.
    batch
        Predictions in one call.
    per_request, per_gb_second
        Prices.
    """

    seconds: float
    gigabytes: float
    batch: int = 1
    per_request: Price = EXAMPLES["function-request"]
    per_gb_second: Price = EXAMPLES["function-gb-second"]

    def __post_init__(self) -> None:
        _positive(self, "seconds", "gigabytes", "batch")
        _one_currency([self.per_request, self.per_gb_second])

    @property
    def currency(self) -> str:
        """Currency of its prices."""
        return self.per_request.currency

    def monthly(self, predictions: float) -> float:
        """Return the cost of a month with that many predictions."""
        calls = _count(predictions) / self.batch
        return calls * (self.per_request.amount + self.seconds * self.gigabytes * self.per_gb_second.amount)

    def per_million(self, predictions: float) -> float:
        """Return the cost of a million predictions in a month with that many."""
        return _per_million(self, predictions)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Machines that are paid by the hour, used or not; as many as the busiest hour needs.

    Attributes
    ----------
    per_second
        Predictions a second that one machine can answer within the latency budget: measure it (notebook 03), and don't
        take the number at which it breaks down.
    hourly
        Price of one machine.
    least
        Machines that always run: two, if one may fail.
    peak
        Predictions a second in the busiest hour over the month's average; 1 is steady traffic.
    """

    per_second: float
    hourly: Price = EXAMPLES["instance-hour"]
    least: int = 1
    peak: float = 1.0

    def __post_init__(self) -> None:
        _positive(self, "per_second", "least")
        if not self.peak >= 1:
            raise CloudError(f"peak is {self.peak}.", expected="1 or more: the busiest hour is no quieter than average")

    @property
    def currency(self) -> str:
        """Currency of its price."""
        return self.hourly.currency

    def count(self, predictions: float) -> int:
        """Return how many machines a month with that many predictions needs."""
        busiest = _count(predictions) / (HOURS * 3600) * self.peak
        return max(self.least, math.ceil(busiest / self.per_second))

    def monthly(self, predictions: float) -> float:
        """Return the cost of a month with that many predictions."""
        return self.count(predictions) * self.hourly.amount * HOURS

    def per_million(self, predictions: float) -> float:
        """Return the cost of a million predictions in a month with that many."""
        return _per_million(self, predictions)


Option = Function | Machine


def break_even(one: Option, other: Option, *, most: float = 1e10) -> float | None:
    """Return from how many predictions a month ``other`` costs no more than ``one``, for good or for a while.

    Parameters
    ----------
    one
        The option that is cheaper when there is little to do, such as a :class:`Function`.
    other
        The option to compare.
    most
        Predictions a month at which to stop looking.

    Returns
    -------
    The smallest such number of predictions a month; ``None`` if there is none up to ``most``. Where a busier month
    needs another machine, the lines may cross again: draw them with
    :func:`course_lib.cloud.figures.cost_figure`.

    Raises
    ------
    CloudError
        They are priced in different currencies.

    Examples
    --------
    >>> function = Function(seconds=0.1, gigabytes=0.5)
    >>> round(break_even(function, Machine(per_second=50)) / 1e6)  # millions a month
    58
    """
    if one.currency != other.currency:
        raise CloudError(f"{one.currency} and {other.currency} cannot be compared.", next_step="convert one of them")
    if other.monthly(0) <= one.monthly(0):
        return 0.0
    steps = sorted({0.0, most, *_steps(one, most), *_steps(other, most)})
    for begin, end in pairwise(steps):
        # Between two steps both costs are straight lines, and so is their difference: two points give it.
        first, third = (_gap(one, other, begin + share * (end - begin)) for share in (0.25, 0.75))
        at_begin, at_end = first - (third - first) / 2, third + (third - first) / 2
        if at_begin <= 0:
            return begin
        if at_end <= 0:
            return begin + (end - begin) * at_begin / (at_begin - at_end)
    return None


def cheapest(options: Mapping[str, Option], predictions: float) -> str:
    """Return the name of the option that costs least in a month with that many predictions."""
    if not options:
        raise CloudError("There is nothing to choose from.", expected="at least one option")
    _one_currency(
        [option.per_request if isinstance(option, Function) else option.hourly for option in options.values()]
    )
    return min(options, key=lambda name: options[name].monthly(predictions))


def _gap(one: Option, other: Option, predictions: float) -> float:
    """Return by how much ``other`` is dearer in a month with that many predictions."""
    return other.monthly(predictions) - one.monthly(predictions)


def _steps(option: Option, most: float) -> list[float]:
    """Return the numbers of predictions a month at which a further machine is needed."""
    if isinstance(option, Function):
        return []
    size = option.per_second * HOURS * 3600 / option.peak
    if most / size > _MOST_MACHINES:
        raise CloudError(
            f"{most:g} predictions a month are the work of {most / size:.0f} machines.",
            expected=f"at most {_MOST_MACHINES} machines",
            next_step="look less far (most=…), or check per_second",
        )
    return [size * count for count in range(option.least, int(most / size) + 1)]


def _per_million(option: Option, predictions: float) -> float:
    if _count(predictions) == 0:
        raise CloudError("A month without predictions has no price per prediction.", expected="a number above 0")
    return option.monthly(predictions) / predictions * 1e6


def _count(predictions: float) -> float:
    if not 0 <= predictions < math.inf:
        raise CloudError(f"{predictions} is no number of predictions.", expected="0 or more")
    return predictions


def _positive(option: Option, *names: str) -> None:
    for name in names:
        value = getattr(option, name)
        if not 0 < value < math.inf:
            raise CloudError(f"{name} is {value}.", expected="a number above 0")


def _one_currency(prices: Sequence[Price]) -> None:
    if len(found := {one.currency for one in prices}) > 1:
        raise CloudError(
            f"Prices in {' and '.join(sorted(found))} cannot be added or compared.", next_step="convert them"
        )
