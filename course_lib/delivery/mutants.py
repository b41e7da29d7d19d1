"""Mutation tests of model tests: good models, and models with planted bugs that a suite must tell apart.

A *mutant* is a copy of the model with one bug, of a kind that has happened to somebody. A suite *kills* a mutant when
it reports a failure for it. A good suite kills every mutant and reports nothing for a good model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["BUGS", "Bug", "Verdict", "mutation_score", "plant"]

Predict = Callable[["pd.DataFrame"], "np.ndarray"]


@dataclass(frozen=True)
class Bug:
    """A planted bug.

    Attributes
    ----------
    name
        Its key in :data:`BUGS`.
    story
        How it got there.
    missed
        What a suite that lets it pass does not test.
    spoil
        Returns its answers, given a good model and flights.
    """

    name: str
    story: str
    missed: str
    spoil: Callable[[Predict, pd.DataFrame], np.ndarray]


@dataclass(frozen=True)
class Verdict:
    """What a suite made of one model: the names of the tests that failed, or the error it ended with."""

    model: str
    failures: tuple[str, ...]

    @property
    def killed(self) -> bool:
        """Whether at least one test failed."""
        return bool(self.failures)


def plant(predict: Predict, bug: str) -> Predict:
    """Return ``predict`` with a bug of :data:`BUGS` planted."""
    return lambda frame: BUGS[bug].spoil(predict, frame)


def mutation_score(
    suite: Callable[[Predict, pd.DataFrame], Sequence[str]],
    predict: Predict,
    frame: pd.DataFrame,
    *,
    bugs: Iterable[str] | None = None,
) -> tuple[Verdict, ...]:
    """Run ``suite`` on the good model (first) and on each mutant.

    Parameters
    ----------
    suite
        Takes a prediction function and flights, returns the names of the tests that failed.
    predict
        The good model: from a frame of flights to probabilities.
    frame
        Flights that the suite may use.
    bugs
        Keys of :data:`BUGS`; by default all.
    """
    models = {"good": predict} | {bug: plant(predict, bug) for bug in (BUGS if bugs is None else bugs)}
    return tuple(Verdict(name, tuple(suite(model, frame.copy()))) for name, model in models.items())


def _sorted(predict: Predict, f: pd.DataFrame) -> np.ndarray:
    import numpy as np

    return np.sort(predict(f))


def _batch(predict: Predict, f: pd.DataFrame) -> np.ndarray:
    answers = predict(f)
    centred: np.ndarray = (answers - answers.mean() + 0.2).clip(0, 1)
    return centred


def _number(predict: Predict, f: pd.DataFrame) -> np.ndarray:
    answers = predict(f)
    shifted: np.ndarray = answers + 0.02 * (f["flight"].to_numpy() % 2)
    return shifted.clip(0, 1)


def _nan(predict: Predict, f: pd.DataFrame) -> np.ndarray:
    import numpy as np

    answers: np.ndarray = np.where(f["temp"].isna(), np.nan, predict(f))
    return answers


BUGS: dict[str, Bug] = {
    bug.name: bug
    for bug in (
        Bug(
            "percent",
            "somebody multiplied by 100 for the dashboard",
            "answers are shares from 0 to 1",
            lambda predict, f: predict(f) * 100,
        ),
        Bug(
            "other class",
            "predict_proba[:, 0]: the probability of being on time",
            "an evening flight is riskier than the first of the morning",
            lambda predict, f: 1 - predict(f),
        ),
        Bug(
            "clock in UTC",
            "the caller's clock was not converted to New York time",
            "an evening flight is riskier than the first of the morning: compare 19:00 with 07:00",
            lambda predict, f: predict(f.assign(dep_minute=(f["dep_minute"] + 300) % 1440)),
        ),
        Bug(
            "fog upside down",
            "the new feed counts fog, not visibility",
            "fog raises the mean risk",
            lambda predict, f: predict(f.assign(visib=10 - f["visib"].clip(0, 10))),
        ),
        Bug(
            "rain ignored",
            "a renamed column was filled with zeros",
            "rain raises the mean risk (not: leaves it)",
            lambda predict, f: predict(f.assign(precip=0.0)),
        ),
        Bug(
            "sorted",
            "answers come back in order of risk, not of the flights",
            "the order of rows must not matter",
            _sorted,
        ),
        Bug(
            "batch mean",
            "scores are centred within the request",
            "a flight asked alone gets the answer it gets in company",
            _batch,
        ),
        Bug("flight number", "an identifier slipped into the features", "the flight number must not matter", _number),
        Bug("missing weather", "the new code has no rule for NaN", "a flight without weather gets an answer", _nan),
    )
}
