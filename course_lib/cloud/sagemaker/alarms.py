"""CloudWatch's rule for an alarm, applied to what is in CloudWatch: the emulator stores alarms, and that is all.

"M out of N": an alarm looks at the last N periods and goes off when M of them breach the threshold. Periods without
data are missing, and what that means is the alarm's own choice.
Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from course_lib.cloud.errors import CloudError
from course_lib.cloud.providers import aws

if TYPE_CHECKING:
    from course_lib.cloud.providers.credentials import Access

__all__ = ["State", "evaluate", "state_of"]

Name = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
_COMPARE = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True)
class State:
    """The state of an alarm, and why."""

    name: Name
    reason: str


def state_of(
    values: Sequence[float | None], *, threshold: float, comparison: str, needed: int, missing: str = "missing"
) -> State:
    """Return the state for the values of the last N periods, oldest first; ``None`` where there were no data.

    Parameters
    ----------
    values
        One statistic a period.
    threshold, comparison
        When a period breaches: ``values[k] comparison threshold``, with CloudWatch's names for the comparison.
    needed
        How many of the periods must breach (M).
    missing
        ``missing``, ``breaching`` or ``notBreaching``: what a period without data counts as.

    Examples
    --------
    >>> state_of([0, 7, 9], threshold=5, comparison="GreaterThanThreshold", needed=2).name
    'ALARM'
    >>> state_of([None, None], threshold=5, comparison="GreaterThanThreshold", needed=1).name
    'INSUFFICIENT_DATA'

    Raises
    ------
    CloudError
        The comparison or the treatment of missing data is not known here.
    """
    if comparison not in _COMPARE or missing not in {"missing", "breaching", "notBreaching"}:
        raise CloudError(
            f"An alarm with {comparison} and {missing} cannot be evaluated here.",
            expected=f"one of {', '.join(_COMPARE)}; missing, breaching or notBreaching",
        )
    known = [value for value in values if value is not None]
    breaches = sum(_COMPARE[comparison](value, threshold) for value in known)
    breaches += (len(values) - len(known)) * (missing == "breaching")
    if not known and missing == "missing":
        return State("INSUFFICIENT_DATA", f"no data in the last {len(values)} periods")
    name: Name = "ALARM" if breaches >= needed else "OK"
    periods = "period" if len(values) == 1 else f"{len(values)} periods"
    return State(name, f"{breaches} of the last {periods} breached; needed: {needed} ({comparison} {threshold:g})")


def evaluate(where: Access | str, alarm: str, *, now: datetime | None = None) -> State:
    """Evaluate an alarm against the metrics that were published, and write its state back.

    Parameters
    ----------
    where
        URL of AWS's emulator.
    alarm
        The alarm's name.
    now
        End of the last period; by default the present.

    Raises
    ------
    CloudError
        There is no alarm of that name.
    """
    cloudwatch = aws.client("cloudwatch", where)
    found = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    if not found:
        raise CloudError(f"There is no alarm {alarm!r}.", expected="the name of a metric alarm", next_step="create it")
    rule = found[0]
    periods, seconds = rule["EvaluationPeriods"], rule["Period"]
    end = now or datetime.now(UTC)
    begin = end - timedelta(seconds=periods * seconds)
    points = cloudwatch.get_metric_statistics(
        Namespace=rule["Namespace"],
        MetricName=rule["MetricName"],
        Dimensions=rule["Dimensions"],
        StartTime=begin,
        EndTime=end + timedelta(seconds=1),  # the end is exclusive
        Period=seconds,
        Statistics=[rule["Statistic"]],
    )["Datapoints"]
    values: list[float | None] = [None] * periods
    for point in points:
        place = int((point["Timestamp"] - begin).total_seconds() // seconds)
        values[min(max(place, 0), periods - 1)] = point[rule["Statistic"]]
    state = state_of(
        values,
        threshold=rule["Threshold"],
        comparison=rule["ComparisonOperator"],
        needed=rule.get("DatapointsToAlarm") or periods,
        missing=rule.get("TreatMissingData") or "missing",
    )
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue=state.name, StateReason=state.reason)
    return state
