"""The retraining trigger: not for every alert, not twice in a row, within a budget, and with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from course_lib.errors import DataError
from course_lib.retraining.retraining_policy import Decision

__all__ = ["Trigger"]


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """Decides whether an alert starts a training.

    Attributes
    ----------
    cures
        Names of the alerts that a training can cure. A broken feed or a slow server is not among them.
    cool_down
        Shortest time between two trainings.
    budget
        Most trainings within ``period``; beyond it a person has to look.
    period
        See ``budget``.
    """

    cures: tuple[str, ...] = ("DeskRankingDecayed",)
    cool_down: timedelta = timedelta(days=7)
    budget: int = 3
    period: timedelta = timedelta(days=30)

    def decide(self, alert: str, status: str, *, now: datetime, history: Sequence[datetime]) -> Decision:
        """Decide on one alert.

        Parameters
        ----------
        alert, status
            Its name, and ``firing`` or ``resolved``.
        now
            The present.
        history
            Times of earlier trainings.

        Raises
        ------
        DataError
            A training lies in the future: a clock ran backwards, and no cool-down can be computed.

        Examples
        --------
        >>> day = datetime(2013, 6, 3)
        >>> Trigger().decide("DeskRankingDecayed", "firing", now=day, history=[day - timedelta(days=2)]).reason
        'cooling down: trained 2.0 days ago, 7 are needed'
        """
        if history and max(history) > now:
            raise DataError(
                f"It is {now:%Y-%m-%d %H:%M}, but a training is noted for {max(history):%Y-%m-%d %H:%M}.",
                expected="a clock that only runs forwards",
                next_step="correct the clock; until then start trainings by hand",
            )
        if status != "firing":
            return Decision(False, f"{alert} is over")
        if alert not in self.cures:
            return Decision(False, f"{alert} is nothing that a training can cure: a person has to look")
        age = now - max(history) if history else None
        if age is not None and age < self.cool_down:
            return Decision(
                False, f"cooling down: trained {_days(age):.1f} days ago, {_days(self.cool_down):g} are needed"
            )
        recent = sum(now - moment < self.period for moment in history)
        if recent >= self.budget:
            text = f"budget spent: {recent} trainings in {_days(self.period):g} days, {self.budget} are allowed"
            return Decision(False, text)
        since = f"trained {_days(age):.1f} days ago" if age is not None else "never trained before"
        return Decision(True, f"{alert}; {since}")


def _days(span: timedelta) -> float:
    return span / timedelta(days=1)
