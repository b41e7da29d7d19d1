"""Notebooks graded as a class is: the reference and answers written otherwise earn every point behind the walls.

In one process a check may see what an answer leaves behind; here it must get along with what crosses between two. The
whole trial, every wrong answer included, is ``python -m autograder answers --graded``.
"""

from __future__ import annotations

import contextlib

import pytest

from autograder.authoring.assignments import course_catalogue, grade_id_of
from autograder.authoring.format import answers_path, course_root
from autograder.course.answers import read_answers
from autograder.grading.score import score
from autograder.runners.plan import solved
from autograder.runners.sandbox import Sandboxed

ROOT = course_root()
CATALOGUE = course_catalogue(ROOT)
# One right answer an exercise for every change, but of the two notebooks that take longest; all else by night.
CASES = [
    pytest.param(name, turn, marks=pytest.mark.nightly if turn != 1 or name.startswith(("02", "08")) else ())
    for name in CATALOGUE.names
    for turn in range(3)
]


@pytest.fixture(scope="module")
def engine():
    with contextlib.closing(Sandboxed("auto")) as engine:
        yield engine


def lost(engine, assignment, notebook):
    done = engine.run(notebook, assignment.graded, time_limit=600, cell_limit=240)
    results = score(done, assignment)
    return [f"{r.check.grade_id}: {r.message}" for r in results if r.points is not None and not r.passed]


def right_answers(name, turn):
    """Return the assignment, and its reference with a right answer of this turn to each exercise; 0: as it is."""
    assignment = CATALOGUE.load(name)
    notebook = solved(assignment.graded, assignment.source)
    for exercise in assignment.spec.exercises if turn else ():
        path = answers_path(ROOT, name, exercise.number)
        right = [answer for answer in read_answers(path, exercise.number) if answer.kind == "right"]
        cell = next(cell for cell in notebook.cells if grade_id_of(cell) == exercise.solution_id)
        cell.source = right[(turn - 1) % len(right)].source
    return assignment, notebook


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("name", "turn"), CASES)
def test_right_answers_keep_every_point_in_the_grader(name, turn, engine):
    assignment, notebook = right_answers(name, turn)
    engine.prepare(assignment)
    assert lost(engine, assignment, notebook) == []
