from __future__ import annotations

import doctest

import pytest

from course_lib import checks
from course_lib.checks import CheckFailed


def test_the_examples_in_the_documentation_are_true():
    assert doctest.testmod(checks).failed == 0


def test_a_failed_check_is_an_assertion_so_that_every_runner_understands_it():
    assert issubclass(CheckFailed, AssertionError)
    with pytest.raises(CheckFailed, match="pool the samples"):
        checks.fail("pool the samples")


def test_a_failed_check_shows_its_message_and_no_stack_trace():
    shown = CheckFailed("the sign must not matter")._render_traceback_()
    assert len(shown) == 1
    assert shown[0].endswith("the sign must not matter")
    assert "Traceback" not in shown[0]


def test_a_known_misconception_is_named():
    with pytest.raises(CheckFailed, match=r"the count is 4, not 5: one week was lost"):
        checks.equal(4, 5, what="the count", misconceptions={4: "one week was lost"})
    with pytest.raises(CheckFailed, match=r"the count is 3, not 5$"):
        checks.equal(3, 5, what="the count", misconceptions={4: "one week was lost"})


def test_a_number_may_differ_by_its_tolerance():
    checks.close(0.3004, 0.3, what="the rate", tolerance=1e-3)
    with pytest.raises(CheckFailed, match=r"the rate is 0.4 mph, not 0.3 mph"):
        checks.close(0.4, 0.3, what="the rate", unit="mph")
    with pytest.raises(CheckFailed, match="a number was expected"):
        checks.close("many", 0.3, what="the rate")


@pytest.mark.parametrize("check", [lambda: checks.equal(None, 1, what="x"), lambda: checks.close(None, 1, what="x")])
def test_a_forgotten_return_is_recognised(check):
    with pytest.raises(CheckFailed, match="does your function return its result"):
        check()


def test_an_expected_error_is_handed_back():
    error = checks.raises(ValueError, lambda: int("x"), what="int('x')")
    assert "invalid literal" in str(error)


def test_a_missing_or_another_error_fails_the_check():
    with pytest.raises(CheckFailed, match="returned 3 instead of raising"):
        checks.raises(ValueError, lambda: 3, what="the call")
    with pytest.raises(CheckFailed, match="raised ZeroDivisionError"):
        checks.raises(ValueError, lambda: 1 / 0, what="the call")


def test_an_exercise_that_is_not_solved_says_so_itself():
    def stub():
        raise NotImplementedError("Exercise 1.1")

    with pytest.raises(NotImplementedError, match=r"Exercise 1\.1"):
        checks.raises(ValueError, stub, what="the call")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("AUC 0.587 is low", 0.5873),
        ("AUC 0.59 is low", 0.5873),
        ("AUC .59 is low", 0.5873),
        ("calibration is -10.5% off", -0.105),
        ("the gap is -0.105", -0.105),
        ("only 1,999 labels", 1999),
        ("only 1999 labels", 1999),
        ("0 labels", 0),
        ("trained 20 days ago", 20.3),
    ],
)
def test_a_sentence_names_a_number_in_the_way_people_write_it(text, number):
    checks.mentions(text, number, what="the reason")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("the model is bad", 0.587),
        ("AUC is below 0.62", 0.587),
        ("AUC 0.6 is low", 0.587),
        ("1 model is bad", 0.587),
        ("only 999 labels", 1999),
        ("after 14 days", 20),
        ("", 3),
    ],
)
def test_a_sentence_without_the_number_fails(text, number):
    with pytest.raises(CheckFailed, match="does not name the number"):
        checks.mentions(text, number, what="the reason")


@pytest.mark.parametrize("text", [None, 0.587])
def test_a_reason_is_a_sentence(text):
    with pytest.raises(CheckFailed):
        checks.mentions(text, 0.587, what="the reason")


def test_success_is_said_with_its_points(capsys):
    checks.passed("1.2", 2.5)
    assert capsys.readouterr().out == "✓ Exercise 1.2: 2.5 points\n"


@pytest.mark.parametrize("asked", [RuntimeError, Exception])
def test_an_unsolved_stub_never_counts_as_the_error_that_was_asked_for(asked):
    def stub():
        raise NotImplementedError("Exercise 1.1: replace this line")

    with pytest.raises(NotImplementedError):
        checks.raises(asked, stub, what="stub()")
