"""Cron expressions, and when they fire: five fields, in UTC, as GitHub reads them."""

from __future__ import annotations

import datetime as dt

from course_lib.delivery.errors import WorkflowError

__all__ = ["next_runs"]

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 6))


def next_runs(cron: str, after: dt.datetime, *, count: int = 3) -> tuple[dt.datetime, ...]:
    """Return the next ``count`` moments (UTC) after ``after`` at which ``cron`` fires.

    Examples
    --------
    >>> next_runs("17 11 * * 1", dt.datetime(2013, 3, 1), count=1)[0].isoformat()
    '2013-03-04T11:17:00+00:00'

    Raises
    ------
    WorkflowError
        The expression has not five valid fields, or never fires.
    """
    parts = cron.split()
    if len(parts) != len(_FIELDS):
        raise WorkflowError(f"The cron expression {cron!r} has {len(parts)} fields.", expected="five fields")
    minutes, hours, days, months, weekdays = (_values(part, *field) for part, field in zip(parts, _FIELDS, strict=True))
    either = parts[2] != "*" and parts[4] != "*"  # POSIX: with both given, either is enough
    day = after.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=dt.UTC)
    start, found = after.replace(tzinfo=dt.UTC), list[dt.datetime]()
    for _ in range(366 * 5):
        in_month, in_week = day.day in days, (day.weekday() + 1) % 7 in weekdays
        if day.month in months and (in_month or in_week if either else in_month and in_week):
            moments = (day.replace(hour=hour, minute=minute) for hour in sorted(hours) for minute in sorted(minutes))
            found += [moment for moment in moments if moment > start]
        if len(found) >= count:
            return tuple(found[:count])
        day += dt.timedelta(days=1)
    raise WorkflowError(f"The cron expression {cron!r} never fires.", expected="a day that exists")


def _values(text: str, name: str, low: int, high: int) -> set[int]:
    names = ("sun", "mon", "tue", "wed", "thu", "fri", "sat") if name == "day of week" else ()
    found: set[int] = set()
    try:
        for part in text.lower().split(","):
            bounds, _, step = part.partition("/")
            first, _, last = bounds.partition("-")
            begin = low if first == "*" else names.index(first) if first in names else int(first)
            end = high if first == "*" or (step and not last) else begin
            end = (names.index(last) if last in names else int(last)) if last else end
            found |= set(range(begin, end + 1, int(step or 1)))
    except ValueError:
        found = {-1}
    if not found or min(found) < low or max(found) > high:
        raise WorkflowError(f"{text!r} is no {name} of a cron expression.", expected=f"{low} to {high}, *, a-b, or */n")
    return found
