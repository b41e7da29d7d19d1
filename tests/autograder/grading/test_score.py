from __future__ import annotations

import pytest

from autograder.grading.notebook.repair import repair
from autograder.grading.score import SCORE_MIME, score
from tests.fixtures.tiny_class import GOOD_LATE, GOOD_RATE, InProcess, cell_of, handed_in, tiny


def graded(**answers):
    return graded_notebook(handed_in(**answers))


def graded_notebook(notebook, change=lambda notebook: None):
    repaired = repair(notebook, tiny())
    change(repaired.notebook)
    executed = InProcess().run(repaired.notebook, tiny().graded, time_limit=10, cell_limit=5)
    return {c.check.grade_id: c for c in score(executed, tiny(), untouched=repaired.untouched)}


def with_check(source):
    """Grade the reference with another text in the check of exercise 1.1, which is worth one point."""

    def change(notebook):
        cell_of(notebook, "check-1-1").source = source

    return graded_notebook(handed_in(), change)["check-1-1"]


def test_right_answers_earn_everything_and_the_written_answer_waits():
    results = graded()
    assert [results[i].points for i in ("check-1-1", "hidden-1-1", "check-1-2", "hidden-1-2")] == [1, 2, 1, 3]
    assert results["interview-1"].points is None


def test_an_untouched_notebook_earns_nothing_and_says_what_to_do():
    results = graded_notebook(tiny().learner)
    assert all(result.points == 0 for result in results.values())
    assert results["check-1-1"].message.startswith("Replace this line")


def test_the_message_of_the_failing_assertion_reaches_the_learner():
    result = graded(rate="def mean_rate(rates):\n    return sum(rates)")["check-1-1"]
    assert result.points == 0
    assert result.message == "the mean of [0.2, 0.4, 0.9] is 0.5, not 1.5: divide by the count"


def test_one_wrong_exercise_costs_only_its_own_points():
    results = graded(rate="def mean_rate(rates):\n    return 0")
    assert results["hidden-1-2"].points == 3


def test_a_syntax_error_costs_only_its_own_exercise():
    results = graded(late="def late(:")
    assert results["hidden-1-1"].points == 2
    assert results["check-1-2"].message.startswith("NameError")


def test_a_number_at_the_end_is_partial_credit():
    result = graded(late="def late(minutes):\n    return [m > 15 for m in minutes]")["hidden-1-2"]
    assert result.points == pytest.approx(2.5)
    assert result.message == "Partly right: 2.5 of 3 points."


def test_an_infinity_that_came_from_an_answer_is_no_score():
    assert with_check("float('inf')").points == 0


@pytest.mark.parametrize(
    ("expression", "points"),
    [("0.25", 0.25), ("0", 0), ("99", 1), ("-1", 0), ("float('nan')", 0), ("'fine'", 1), ("True", 1), ("[0.5]", 1)],
)
def test_the_last_expression_decides_as_in_nbgrader_within_bounds(expression, points):
    assert with_check(expression).points == points


def test_writing_to_stderr_is_not_failing():
    assert with_check("import sys; print('careful', file=sys.stderr)").points == 1


def test_a_score_can_carry_its_message():
    source = (
        "class Score(float):\n"
        f"    def _repr_mimebundle_(self):\n        return {{{SCORE_MIME!r}: {{'message': 'half of the rows'}}}}\n"
        "Score(0.5)"
    )
    result = with_check(source)
    assert (result.points, result.message) == (0.5, "half of the rows")


def test_an_assertion_without_words_still_says_something():
    assert with_check("assert False").message == "The result is not what the exercise asks for."


@pytest.mark.parametrize(
    "message",
    ["{open('x').read()}", "inspect: assert math.isclose(mean_rate(secret_rates), 0.25)", "\x1b[31m", "x" * 5000],
)
def test_messages_are_short_plain_and_hold_no_test_source(message):
    rate = f"def mean_rate(rates):\n    if len(rates) == 3: return 0.5\n    raise AssertionError({message!r})"
    result = graded(rate=rate)["hidden-1-1"]
    assert result.points == 0
    assert "isclose" not in result.message
    assert "\x1b" not in result.message
    assert len(result.message) < 700


def test_what_an_answer_says_inside_a_hidden_test_is_not_repeated():
    rate = "def mean_rate(rates):\n    if len(rates) == 3: return 0.5\n    raise ValueError(f'called with {rates}')"
    message = graded(rate=rate)["hidden-1-1"].message
    assert "0.125" not in message
    assert "ValueError" in message


def test_what_an_answer_says_inside_a_visible_check_is_repeated():
    message = graded(rate="def mean_rate(rates):\n    raise ValueError('no idea')")["check-1-1"].message
    assert message == "ValueError: no idea"


def test_what_was_earned_before_the_kernel_died_is_kept():
    results = graded(rate=GOOD_RATE, late="def late(minutes):\n    raise SystemExit")
    assert results["hidden-1-1"].points == 2
    assert results["hidden-1-2"].points == 0
    assert "The kernel died" in results["hidden-1-2"].message


def test_points_come_from_the_release_and_never_from_the_notebook():
    notebook = handed_in(late=GOOD_LATE)
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata and "points" in cell.metadata.nbgrader:
            cell.metadata.nbgrader.points = 1000
    assert sum(r.points or 0 for r in graded_notebook(notebook).values()) == 7
