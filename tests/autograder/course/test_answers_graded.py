"""Answers handed in one by one, behind the walls and graded by the judge: what a learner who hands them in gets."""

from __future__ import annotations

import contextlib

import pytest

from autograder.authoring.assignments import course_catalogue
from autograder.course.answers_graded import grade_answers
from autograder.runners.sandbox import Sandboxed


@pytest.fixture(scope="module")
def engine():
    with contextlib.closing(Sandboxed("auto")) as engine:
        yield engine


def graded(root, engine, **options):
    trial = grade_answers(course_catalogue(root).load("01_tiny"), root, engine, **options)
    return trial, {verdict.answer.title: verdict for verdict in trial.verdicts}


def test_an_answer_handed_in_earns_what_the_quick_trial_says(tiny_course, engine):
    seen = []

    trial, verdicts = graded(tiny_course, engine, on_answer=seen.append)

    assert trial.passed
    assert seen == list(trial.verdicts)
    assert len(verdicts) == 10
    assert verdicts["floor division"].points == 2
    assert "drops the half minute" in verdicts["floor division"].message
    assert (verdicts["a loop"].points, verdicts["a loop"].message) == (3, "")


def test_a_check_that_leans_on_the_answers_process_is_found(tiny_course, engine, change):
    # In one process a global that the answer sets is there for the check; the learner's process keeps it to itself.
    change(
        "return sum(values) / len(values)\n    ### END",
        "globals()['said'] = sum(values) / len(values)\n    return said\n    ### END",
    )
    change('assert mean([1, 2]) == 1.5, "mean([1, 2]) should be 1.5"', "assert mean([1, 2]) == said == 1.5")

    trial, _ = graded(tiny_course, engine, exercise="1.1")

    assert not trial.passed
    assert any("the reference loses points at check-1-1" in problem for problem in trial.problems)
