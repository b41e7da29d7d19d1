"""The smoke test: a few flights with known answers, asked of a new server before it gets any traffic."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from course_lib.errors import RolloutError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Case", "SmokeTest", "ask", "flight_bodies", "known_answers", "smoke_test"]


@dataclass(frozen=True)
class Case:
    """A flight, and the probability that the trained pipeline gave it."""

    flight: Mapping[str, Any]
    probability: float


@dataclass(frozen=True)
class SmokeTest:
    """The outcome of a smoke test; ``problems`` is empty if it passed."""

    asked: int
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every case was answered, and answered right."""
        return not self.problems


def flight_bodies(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return flights as the API wants them: one JSON object each, ``None`` where a number is missing."""
    from course_lib import features

    def plain(value: Any) -> Any:
        if isinstance(value, str):
            return value
        number = float(value)
        return None if math.isnan(number) else int(number) if number.is_integer() else number

    rows = features.select(frame).to_dict("records")
    return [{str(name): plain(value) for name, value in row.items()} for row in rows]


def known_answers(pipeline: Any, frame: pd.DataFrame) -> tuple[Case, ...]:
    """Return one case per flight, answered by the trained pipeline itself: not by the export under test."""
    from course_lib import training

    answers = training.predict(pipeline, frame).tolist()
    return tuple(Case(body, answer) for body, answer in zip(flight_bodies(frame), answers, strict=True))


def smoke_test(url: str, cases: Sequence[Case], *, tolerance: float = 1e-5) -> SmokeTest:
    """Ask the server at ``url`` every case and compare its answers.

    Parameters
    ----------
    url
        Base URL of the new server itself, not of the proxy.
    cases
        Flights with known answers; see :func:`known_answers`.
    tolerance
        Largest absolute difference of the probability that counts as right.

    Raises
    ------
    RolloutError
        There are no cases: a test of nothing would pass.
    """
    if not cases:
        raise RolloutError("A smoke test without cases proves nothing.", next_step="pass flights with known answers")
    problems = (_problem(number, url, case, tolerance) for number, case in enumerate(cases, 1))
    return SmokeTest(len(cases), tuple(text for text in problems if text))


def ask(url: str, flight: Mapping[str, Any]) -> dict[str, Any]:
    """Ask a server about one flight and return its answer.

    Raises
    ------
    RolloutError
        There was no answer, or one with an error status.
    """
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url + "/predict", json.dumps(flight).encode(), headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:  # noqa: S310
            answer: dict[str, Any] = json.load(reply)
            return answer
    except urllib.error.HTTPError as error:
        with error:
            text = error.read().decode(errors="replace")[:200]
        raise RolloutError(f"{url} answered {error.code}: {text}", expected="status 200") from error
    except (OSError, ValueError) as error:
        raise RolloutError(f"{url} did not answer: {error}", next_step="check that the server is ready") from error


def _problem(number: int, url: str, case: Case, tolerance: float) -> str:
    try:
        answer = float(ask(url, case.flight)["late_probability"])
    except RolloutError as error:
        return f"case {number}: {error.happened}"
    except (KeyError, TypeError, ValueError):
        return f"case {number}: the answer holds no probability"
    if abs(answer - case.probability) <= tolerance:
        return ""
    return f"case {number}: {answer:.4f} instead of {case.probability:.4f}"
