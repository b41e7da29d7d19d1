"""The same notebooks give the same scores as stock nbgrader, run beside it, except where we differ on purpose.

The notebooks are the ones nbgrader tests itself with; they are read from the installed package.
"""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbgrader.api import Gradebook

from autograder.authoring.assignments import Assignment, grade_id_of
from autograder.authoring.own_course.catalogue import own_catalogue
from autograder.authoring.own_course.spec import any_spec
from autograder.grading.command import grade_command
from autograder.grading.gradebook import COURSE_ID
from autograder.grading.options import GradeOptions, GradingError
from autograder.runners.kernel import PlainKernel
from autograder.runners.plan import solved
from tests.fixtures.own_course import (
    ANSWERS,
    SHIPPED,
    handed_in as handed_in_own,
    shipped,
    write_autotest_example,
    write_example,
    write_source,
)
from tests.fixtures.tiny_class import cell_of, grade_submission, handed_in, tiny
from tests.parity.stock import CELL_LIMIT, standing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # the first test waits for both graders

ROOT = Path(__file__).parents[2]
TINY = "01_tiny"

SAME = [  # source, submission
    ("submitted-unchanged", "submitted-unchanged"),
    ("submitted-unchanged", "submitted-changed"),
    ("submitted-unchanged", "submitted-cheat-attempt"),
    ("submitted-unchanged", "submitted-cheat-attempt-alternative"),
    ("submitted-unchanged", "submitted-grade-cell-changed"),
    ("submitted-unchanged", "submitted-locked-cell-changed"),
    ("autotest-simple", "autotest-simple-changed"),
    ("autotest-simple", "autotest-simple-unchanged"),
    ("autotest-hashed", "autotest-hashed-changed"),
    ("autotest-hashed", "autotest-hashed-unchanged"),
    ("autotest-multi", "autotest-multi-changed"),
    ("autotest-multi", "autotest-multi-unchanged"),
    ("autotest-hidden", "autotest-hidden-changed-right"),
    ("autotest-hidden", "autotest-hidden-changed-wrong"),
    ("autotest-hidden", "autotest-hidden-unchanged"),
    ("test-hidden-tests", "test-hidden-tests"),
    ("timeout", "timeout"),
    ("infinite-loop", "infinite-loop"),
    ("validating-environment-variable", "validating-environment-variable"),
    ("validation-zero-points", "validation-zero-points"),
    ("manually-graded-code-cell", "manually-graded-code-cell"),
    (TINY, "perfect"),
    (TINY, "partial"),
]


# Sources whose own solution does not pass their checks: a class is not graded with them.
REFUSED = ("test-hidden-tests", "timeout", "validating-environment-variable")
UNGRADED = ("infinite-loop",)  # nothing in it is worth points
OWN = [
    *((source, f"by-{submission}") for source, submission in SAME if source not in (*REFUSED, *UNGRADED)),
    ("ps1", "bitdiddle"),
    ("ps1", "hacker"),
    ("ps1_autotest", "solved"),
    ("ps1_autotest", "untouched"),
    ("open_relative_file", "by-open_relative_file"),
    *((name, student) for name, answers in ANSWERS.items() for student in answers),
]


def differing():
    """Return the submissions on which we differ on purpose."""
    double = handed_in()
    double.cells.append(copy.deepcopy(cell_of(double, "check-1-1")))
    double.cells[-1].id = "again"
    deleted = handed_in()
    deleted.cells.remove(cell_of(deleted, "hidden-1-1"))
    noisy = (
        "import sys\ndef mean_rate(rates):\n    print('careful', file=sys.stderr)\n    return sum(rates) / len(rates)"
    )
    greedy = (
        "class Yes(list):\n    __eq__ = lambda a, b: 9\ndef late(minutes):\n    return Yes(m >= 15 for m in minutes)"
    )
    early = handed_in()
    early.cells.insert(0, early.cells.pop(early.cells.index(cell_of(early, "check-1-2"))))
    return {
        "double": double,
        "deleted": deleted,
        "noisy": handed_in(rate=noisy),
        "exits": handed_in(late="import os\ndef late(minutes):\n    os._exit(0)"),
        "greedy": handed_in(late=greedy),
        "early": early,
    }


def hand_in(course, name, student, text, notebook=""):
    path = course / "submitted" / student / name / f"{notebook or name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course folder with every source and submission."""
    course = tmp_path_factory.mktemp("course")
    (course / "autotests.yml").write_text(
        (files("nbgrader") / "tests" / "apps" / "files" / "autotests.yml").read_text(encoding="utf-8")
    )
    tiny_source = nbformat.writes(jupytext.read(ROOT / "tests" / "fixtures" / "tiny" / f"{TINY}.py"))
    partial = handed_in(late="def late(minutes):\n    return [m > 15 for m in minutes]")
    own = {"perfect": handed_in(), "partial": partial}
    for source, submission in SAME:
        path = course / "source" / source / f"{source}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(tiny_source if source == TINY else shipped(source))
        text = nbformat.writes(own[submission]) if source == TINY else shipped(submission)
        hand_in(course, source, f"by-{submission}", text)
    for student, notebook in differing().items():
        hand_in(course, TINY, student, nbformat.writes(notebook))
    hand_in(course, "submitted-unchanged", "metadata", shipped("test-with-output"))
    write_example(course)
    write_autotest_example(course)
    for name in ANSWERS:
        write_source(course, name)
    relative = course / "source" / "open_relative_file"
    relative.mkdir()
    (relative / "open_relative_file.ipynb").write_text(shipped("open_relative_file"))
    shutil.copy(SHIPPED[0] / "data.txt", relative)
    hand_in(course, relative.name, f"by-{relative.name}", shipped("open_relative_file"))
    released = own_catalogue(course)
    for name in ("ps1_autotest.problem1", "ps1_autotest.problem2"):
        made, own = released.load(name), name.partition(".")[2]
        for student, notebook in (("solved", solved(made.learner, made.source)), ("untouched", made.learner)):
            hand_in(course, "ps1_autotest", student, nbformat.writes(notebook), own)
    for name, answers in ANSWERS.items():
        path = course / f"{name}.ipynb"
        nbformat.write(released.load(name).learner, path)
        for student, written in answers.items():
            hand_in(course, name, student, nbformat.writes(handed_in_own(path, written)))
    return course


@pytest.fixture(scope="module")
def graded(course):
    """What stock nbgrader gave and what we gave, by assignment and student."""
    result = course / "stock.json"
    command = [sys.executable, "-m", "tests.parity.stock", str(course), str(result)]
    log = course / "stock.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        try:
            while not (course / "generated").exists():
                assert process.poll() is None, log.read_text()[-3000:]
                wait(process, 0.2)
            ours = grade_all(course)
            assert process.wait(timeout=500) == 0, log.read_text()[-3000:]
        finally:
            process.kill()
            process.wait()
    return json.loads(result.read_text()), ours


def wait(process, seconds):
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return


def grade_all(course):
    options = GradeOptions(cell_limit=CELL_LIMIT, time_limit=60)
    assignments = {name: assignment_in(course, name) for name in {source for source, _ in SAME}}
    return {
        f"{path.parent.name}/{path.parents[1].name}": grade_submission(
            path, assignments[path.parent.name], executor=PlainKernel(), options=options
        )
        for path in sorted((course / "submitted").rglob("*.ipynb"))
        if path.parent.name in assignments
    }


def assignment_in(course, name):
    """Return the assignment as nbgrader recorded it: its release, with the sources in its gradebook."""
    learner = nbformat.read(course / "release" / name / f"{name}.ipynb", as_version=4)
    graded = copy.deepcopy(learner)
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}", "parity") as book:
        recorded = {cell.name: cell.source for cell in book.find_notebook(name, name).source_cells}
    for cell in graded.cells:
        cell.source = recorded.get(grade_id_of(cell), cell.source)
    return Assignment(any_spec(graded, name), learner, graded)


@pytest.mark.parametrize(("source", "submission"), SAME)
def test_the_scores_are_those_of_stock_nbgrader(graded, source, submission):
    stock, ours = (side[f"{source}/by-{submission}"] for side in graded)
    assert stock["success"]
    assert {check.check.grade_id: check.points for check in ours.checks} == stock["grades"]


@pytest.fixture(scope="module")
def own(course, graded, tmp_path_factory):
    """What our gradebook says after ``grade --source`` on the same course, by assignment and student."""
    out = tmp_path_factory.mktemp("own") / "out"
    names = [name for name in own_catalogue(course).names if name not in REFUSED]
    options = GradeOptions(source=course, unseen="learner", only=tuple(names), cell_limit=CELL_LIMIT, time_limit=60)
    assert grade_command(course / "submitted", out, options) == 0
    with Gradebook(f"sqlite:///{out / 'gradebook.db'}", COURSE_ID) as book:
        return {
            f"{source}/{student}": standing(book, source, student)
            for source, student in [*OWN, *((TINY, student) for student in differing())]
        }


@pytest.mark.parametrize(("source", "student"), OWN)
def test_an_own_course_has_the_scores_and_totals_of_stock_nbgrader(graded, own, source, student):
    stock = graded[0][f"{source}/{student}"]
    assert stock.pop("success")
    assert own[f"{source}/{student}"] == stock


def test_the_differences_hold_for_an_own_course_too(own):
    scores = {student: own[f"{TINY}/{student}"]["totals"][2] for student in differing()}
    assert scores == {"double": 7, "deleted": 7, "noisy": 7, "exits": 3, "greedy": 7, "early": 7}


def test_difference_a_source_that_fails_its_own_checks_grades_nobody(course, tmp_path):
    options = GradeOptions(source=course, unseen="learner", only=REFUSED, cell_limit=CELL_LIMIT, time_limit=60)
    with pytest.raises(GradingError) as refused:
        grade_command(course / "submitted", tmp_path / "out", options)
    for name in REFUSED:
        assert f"{name}, " in refused.value.happened


def test_difference_a_notebook_without_graded_cells_is_left_out(course):
    assert not {*UNGRADED} & {*own_catalogue(course).names}


def pair(graded, student):
    """Return stock's result and ours for a submission of the tiny notebook."""
    stock, ours = (side[f"{TINY}/{student}"] for side in graded)
    return stock, ours


def test_difference_a_duplicated_cell_stops_nbgrader_and_not_us(graded):
    stock, ours = pair(graded, "double")
    assert not stock["success"]
    assert (ours.status, ours.score) == ("graded", 7)


def test_difference_a_deleted_test_has_no_score_in_nbgrader_and_is_put_back_by_us(graded):
    stock, ours = pair(graded, "deleted")
    assert stock["grades"]["hidden-1-1"] is None
    assert ours.score == 7


def test_difference_a_warning_costs_the_points_in_nbgrader_and_nothing_with_us(graded):
    stock, ours = pair(graded, "noisy")
    assert stock["grades"]["check-1-1"] == stock["grades"]["hidden-1-1"] == 0
    assert ours.score == 7


def test_difference_a_dead_kernel_voids_the_submission_in_nbgrader_and_keeps_earned_points_with_us(graded):
    stock, ours = pair(graded, "exits")
    assert not stock["success"]
    assert (ours.status, ours.score) == ("failed", 3)


def test_difference_a_score_above_the_maximum_is_an_error_in_nbgrader_and_the_maximum_with_us(graded):
    stock, ours = pair(graded, "greedy")
    assert not stock["success"]
    earned = next(c.points for c in ours.checks if c.check.grade_id == "hidden-1-2")
    assert earned == 3


def test_difference_a_check_above_its_solution_fails_in_nbgrader_and_is_moved_back_by_us(graded):
    stock, ours = pair(graded, "early")
    assert stock["grades"]["check-1-2"] == 0
    assert ours.score == 7


def test_difference_metadata_of_another_notebook_stop_nbgrader_and_not_us(graded):
    stock, ours = (side["submitted-unchanged/metadata"] for side in graded)
    assert not stock["success"]
    assert ours.status == "graded"


def test_difference_a_student_without_notebook_has_no_row_in_nbgrader_and_one_with_us(graded, tmp_path):
    stock, _ = graded
    assert not any(key.endswith("/absent") for key in stock)
    result = grade_submission(tmp_path / "absent.ipynb", tiny(), executor=PlainKernel(), student="absent")
    assert (result.status, result.score) == ("rejected", 0)
    assert result.reason
