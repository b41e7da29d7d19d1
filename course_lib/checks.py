"""Checks of a learner's answer: one short message that names the misconception, not a stack trace.

Checks are plain assertions, so that any notebook runner understands them. In JupyterLab a failed check shows its
message only, because a stack trace through the checker helps nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from course_lib import progress
from course_lib.afresh import afresh
from course_lib.draws import random, shuffled

__all__ = [
    "CheckFailed",
    "afresh",
    "asked",
    "close",
    "equal",
    "fail",
    "mentions",
    "passed",
    "raises",
    "random",
    "require",
    "shuffled",
]


_MOST_AFRESH = 5  # a process costs some 30 ms, and more cases than that are hard to guess in a random order
_REMOTE_EACH = "__course_each__"  # how many cases are asked of another process at once, where the grader put a proxy
_IN_A_MESSAGE = 100  # cases; so that one answer that is large doesn't make the message too large


class CheckFailed(AssertionError):
    """A check did not hold. The message says what was found, what was expected and which idea probably went wrong."""

    def _render_traceback_(self) -> list[str]:
        """Tell IPython to show the message alone."""
        return ["\x1b[31m✗ Not yet.\x1b[0m " + str(self)]


def fail(message: str) -> None:
    """Fail with ``message``."""
    raise CheckFailed(message)


def require(condition: object, message: str) -> None:
    """Fail with ``message`` unless ``condition`` is true.

    Examples
    --------
    >>> require(0.2 < 1, "a probability is at most 1")
    """
    if not condition:
        raise CheckFailed(message)


def equal(found: Any, expected: Any, *, what: str, misconceptions: Mapping[Any, str] | None = None) -> None:
    """Fail unless ``found == expected``, with the message of the misconception that leads to ``found`` if it is known.

    Examples
    --------
    >>> equal(4, 5, what="the number of weeks", misconceptions={4: "the first, partial week counts too"})
    Traceback (most recent call last):
    course_lib.checks.CheckFailed: the number of weeks is 4, not 5: the first, partial week counts too
    """
    _require_given(found, what)
    if found == expected:
        return
    known = next((text for wrong, text in (misconceptions or {}).items() if wrong == found), None)
    raise CheckFailed(f"{what} is {found!r}, not {expected!r}{': ' + known if known else ''}")


def close(
    found: Any,
    expected: float,
    *,
    what: str,
    tolerance: float = 1e-9,
    unit: str = "",
    misconceptions: Mapping[float, str] | None = None,
) -> None:
    """Fail unless ``found`` is a number within ``tolerance`` of ``expected``.

    Examples
    --------
    >>> close(0.30000000000000004, 0.3, what="the late rate")
    >>> close(30, 0.3, what="the late rate", misconceptions={30: "a rate is a share from 0 to 1, not per cent"})
    Traceback (most recent call last):
    course_lib.checks.CheckFailed: the late rate is 30, not 0.3: a rate is a share from 0 to 1, not per cent
    """
    _require_given(found, what)
    try:
        number = float(found)
    except (TypeError, ValueError):
        raise CheckFailed(f"{what} is {found!r}; a number was expected") from None
    if abs(number - expected) <= tolerance:
        return
    near = (text for wrong, text in (misconceptions or {}).items() if abs(number - wrong) <= tolerance)
    known = next(near, None)
    suffix = f" {unit}" if unit else ""
    raise CheckFailed(f"{what} is {number:g}{suffix}, not {expected:g}{suffix}{': ' + known if known else ''}")


def mentions(text: Any, number: float, *, what: str) -> None:
    """Fail unless ``text`` names ``number``, rounded, with or without its sign; a share may be given in per cent.

    Examples
    --------
    >>> mentions("AUC 0.59 on 11,065 flights", 0.5873, what="the reason")
    >>> mentions("the model is bad", 0.5873, what="the reason")
    Traceback (most recent call last):
    course_lib.checks.CheckFailed: the reason 'the model is bad' does not name the number that decided: 0.5873
    """
    _require_given(text, what)
    if not isinstance(text, str):
        raise CheckFailed(f"{what} is {text!r}; a sentence was expected")
    found = re.findall(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+", text)
    if not any(_rounds_to(numeral.replace(",", ""), abs(number)) for numeral in found):
        raise CheckFailed(f"{what} {text!r} does not name the number that decided: {number:g}")


def raises(
    error: type[BaseException] | tuple[type[BaseException], ...], call: Callable[[], object], *, what: str
) -> BaseException:
    """Fail unless ``call()`` raises ``error``; return what it raised.

    A ``NotImplementedError`` of an exercise that is not solved yet passes through, even where ``error`` is one of its
    base classes: a stub must not earn the points of a check that asks for an error.
    """
    try:
        result = call()
    except NotImplementedError:
        raise
    except error as raised:
        return raised
    except Exception as other:
        raise CheckFailed(f"{what} raised {type(other).__name__}: {other}") from None
    raise CheckFailed(f"{what} returned {result!r} instead of raising an error")


def asked(function: Callable[..., Any], cases: Iterable[Sequence[Any]]) -> list[Any]:
    """Return what ``function`` answers for each of ``cases`` (tuples of arguments), asked in random order.

    So an answer that counts its calls, or remembers what came first, is no use, and still the first thing to correct is
    always the same. Each of up to 5 cases is asked afresh, in a process of its own. An error counts as the answer of
    its case: it is raised if no case before it has one.

    Examples
    --------
    >>> asked(max, [(1, 2), (4, 3)])
    [2, 4]
    """
    given = [tuple(case) for case in cases]
    ask = afresh(function) if len(given) <= _MOST_AFRESH else function
    errors: dict[int, BaseException] = {}
    order = shuffled(range(len(given)))
    answers = {} if len(given) <= _MOST_AFRESH else _in_one_message(function, given, order)
    for place in order:
        if place in answers:
            continue
        try:
            answers[place] = ask(*given[place])
        except Exception as error:
            errors[place] = error
    if errors:
        raise errors[min(errors)]
    return [answers[place] for place in range(len(given))]


def _in_one_message(
    function: Callable[..., Any], given: Sequence[tuple[Any, ...]], order: Sequence[int]
) -> dict[int, Any]:
    """Return the answers up to the first error, by their places; none unless ``function`` is of another process."""
    ask_each: Callable[[list[tuple[Any, ...]]], object] | None = getattr(function, _REMOTE_EACH, None)
    answers: dict[int, Any] = {}
    if ask_each is None:
        return answers
    for start in range(0, len(order), _IN_A_MESSAGE):
        part = order[start : start + _IN_A_MESSAGE]
        found = ask_each([given[place] for place in part])
        if not isinstance(found, list):
            break
        answers |= zip(part, found, strict=False)
        if len(found) < len(part):
            break
    return answers


def passed(exercise: str, points: float) -> None:
    """Say that every check of a cell held. In JupyterLab the outcome is kept too: see `course_lib.progress`."""
    print(f"✓ Exercise {exercise}: {points:g} points")


def _require_given(found: Any, what: str) -> None:
    if found is None:
        raise CheckFailed(f"{what} is None: does your function return its result?")


def _rounds_to(numeral: str, number: float) -> bool:
    """Whether ``numeral`` is ``number`` to the places it shows; a share below 1 needs two of them, or per cent."""
    places = len(numeral.partition(".")[2])
    half = 0.5 * 10**-places * (1 + 1e-9)
    if abs(float(numeral) - number) <= half and (places >= 2 or number >= 1 or number == 0):
        return True
    return 0 < number < 1 and abs(float(numeral) - 100 * number) <= half


# At import, because the first cell of a notebook imports this module, and a stub stops its check before any call to it.
progress.watch()
