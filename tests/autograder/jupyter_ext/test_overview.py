"""What the welcome page shows: the course's notebooks, what was passed, and what comes next."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from autograder.authoring.course_list import read_list
from autograder.jupyter_ext.overview import next_step, notebook_states, notebooks_below
from course_lib.progress import Outcome

FOLDER = Path(__file__).parents[3] / "notebooks"
NAMES = [one.name for one in read_list(FOLDER.parent)]


def outcome(exercise, status="passed", at=1000.0):
    return Outcome(exercise=exercise, status=status, points=2.0, at=at)


def states(*outcomes, folder=FOLDER):
    return notebook_states(folder, {one.exercise: one for one in outcomes})


@pytest.fixture
def folder(tmp_path):
    """A folder with the first two notebooks."""
    for name in NAMES[:2]:
        shutil.copy(FOLDER / f"{name}.ipynb", tmp_path)
    return tmp_path


def test_before_the_first_check_every_exercise_is_open_and_the_first_notebook_is_next():
    found = states()

    assert [state.number for state in found] == list(range(1, len(NAMES) + 1))
    assert not any(state.passed or state.earned or state.worked for state in found)
    assert (found[0].title, found[0].minutes) == ("MLOps overview and the full lifecycle", 30)
    assert (len(found[0].exercises), found[0].points, found[0].hidden) == (6, 14, 12)
    assert next_step(found).text == "Start notebook 1, MLOps overview and the full lifecycle"
    assert next_step(found).path == "01_mlops_overview.ipynb"


def test_what_was_passed_counts_with_the_points_of_its_visible_check():
    first, *_ = states(outcome("1.1"), outcome("1.2", "failed", at=2000.0), outcome("1.5"))

    assert (first.passed, first.earned, first.worked) == (2, 5, 2000.0)
    assert [exercise.status for exercise in first.exercises][:3] == ["passed", "failed", "open"]


def test_the_time_spent_stands_with_its_notebook():
    assert [state.spent for state in notebook_states(FOLDER, {}, {2: 1500.0})][:3] == [0.0, 1500.0, 0.0]


@pytest.mark.parametrize(
    ("outcomes", "text"),
    [
        ([outcome("1.1")], "Go on with exercise 1.2, Known in time"),
        ([outcome("1.1", "failed")], "Fix exercise 1.1, A rule that two columns keep"),
        ([outcome("1.1"), outcome("2.1", at=2000.0)], "Go on with exercise 2.2, Log learning curves"),
        ([outcome(f"1.{k}") for k in range(1, 7)], "Start notebook 2, Experiment tracking with MLflow"),
        ([outcome(f"2.{k}") for k in range(1, 8)], "Start notebook 1, MLOps overview and the full lifecycle"),
    ],
)
def test_the_next_step_goes_on_where_the_learner_worked_last(folder, outcomes, text):
    assert next_step(states(*outcomes, folder=folder)).text == text


def test_when_everything_passes_the_next_step_is_to_hand_in(folder):
    done = [outcome(f"{n}.{k}") for n, count in ((1, 6), (2, 7)) for k in range(1, count + 1)]
    step = next_step(states(*done, folder=folder))

    assert step.text.startswith("Every visible check passes")
    assert step.path == ""


def test_a_notebook_that_is_not_there_or_cannot_be_read_says_so_and_the_others_are_shown(folder):
    (folder / f"{NAMES[1]}.ipynb").write_text('{"cells": [{}], "nbformat": 4')
    first, second, third, *_ = states(outcome("2.1"), folder=folder)

    assert first.path
    assert (second.path, third.path) == ("", "")
    assert "cannot be read" in second.problem
    assert (third.problem, third.title) == ("This notebook is not here.", "Build REST API endpoints for model serving")


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": "x"}']
)
def test_whatever_stands_in_the_file_the_page_is_shown(folder, text):
    (folder / f"{NAMES[0]}.ipynb").write_text(text)

    assert states(folder=folder)[1].path


def test_without_any_notebook_the_next_step_says_how_to_get_them(tmp_path):
    assert "make build" in next_step(states(folder=tmp_path)).text


def test_the_notebooks_are_found_in_the_course_and_in_their_own_folder(tmp_path, folder):
    (tmp_path / "course" / "notebooks").mkdir(parents=True)
    shutil.copy(FOLDER / f"{NAMES[0]}.ipynb", tmp_path / "course" / "notebooks")

    assert notebooks_below(tmp_path / "course") == tmp_path / "course" / "notebooks"
    assert notebooks_below(folder) == folder
    assert notebooks_below(tmp_path / "nowhere") is None
