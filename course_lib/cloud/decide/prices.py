"""Examples of prices, each with the day it was read and the page it is on: for arithmetic, not for a budget.

Prices change, differ by region, and are lower for who commits to them. Read the page again before you decide anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from course_lib.cloud.errors import CloudError

__all__ = ["EXAMPLES", "Price", "price"]


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one unit of something costs.

    Attributes
    ----------
    what
        What is paid for.
    amount
        Price of one unit, in ``currency``.
    unit
        The unit, such as ``instance-hour``.
    currency
        ISO 4217 code.
    region
        Where the price holds.
    seen
        The day for which it was read.
    source
        The provider's page that has it.
    """

    what: str
    amount: float
    unit: str
    currency: str = "USD"
    region: str = "us-east-1"
    seen: date
    source: str

    def __post_init__(self) -> None:
        if not self.amount >= 0:
            raise CloudError(f"The price of {self.what} is {self.amount}.", expected="0 or more")


_LAMBDA = "https://aws.amazon.com/lambda/pricing/"
_EC2 = "https://aws.amazon.com/ec2/pricing/on-demand/"

EXAMPLES: Mapping[str, Price] = {
    "function-request": Price(
        what="one call of a function (AWS Lambda)",
        amount=0.20e-6,
        unit="request",
        seen=date(2026, 3, 8),
        source=_LAMBDA,
    ),
    "function-gb-second": Price(
        what="one gigabyte of a function's memory for one second (AWS Lambda, x86)",
        amount=0.0000166667,
        unit="GB-second",
        seen=date(2026, 3, 8),
        source=_LAMBDA,
    ),
    "instance-hour": Price(
        what="a machine with 2 CPUs and 8 GB (AWS m7g.large, Linux, on demand)",
        amount=0.0816,
        unit="instance-hour",
        seen=date(2026, 6, 17),
        source=_EC2,
    ),
    "gpu-hour": Price(
        what="a machine with one A10G GPU of 24 GB (AWS g5.xlarge, Linux, on demand)",
        amount=1.006,
        unit="instance-hour",
        seen=date(2026, 6, 17),
        source=_EC2,
    ),
}
"""Prices by name."""


def price(name: str) -> Price:
    """Return an example by name.

    Raises
    ------
    CloudError
        There is none of that name.
    """
    if name not in EXAMPLES:
        raise CloudError(
            f"There is no price {name!r}.", expected=f"one of {', '.join(EXAMPLES)}, or a Price of your own"
        )
    return EXAMPLES[name]
