"""A check that the reference solution cannot pass is found before anybody is graded with it."""

from __future__ import annotations

import csv

import pytest
from nbgrader.api import Gradebook

from autograder.grading.command import grade_command
from autograder.grading.gradebook import COURSE_ID
from autograder.grading.options import GradeOptions, GradingError
from tests.fixtures.small_class import SECOND, SmallClass, released
from tests.fixtures.tiny_class import NAME

HIDDEN = '"the mean of one rate is that rate"'


@pytest.fixture
def room(tmp_path):
    small = SmallClass(tmp_path)
    small.hand_in("ann")
    return small


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ([(f"assert math.isclose(mean_rate([7.5]), 7.5), {HIDDEN}", f"assert False, {HIDDEN}")], "hidden-1-1: the"),
        ([("assert not late([14, 15])[0]", "assert late([14, 15])[0]")], "check-1-2: 14 minutes is not late"),
        ([("3 * right / len(hidden_cases)", "2 * right / len(hidden_cases)")], "hidden-1-2: Partly right: 2 of 3"),
        ([("secret_rates = [0.125, 0.375]", "import no_such_module")], "hidden-1-1: "),
        ([("return sum(rates) / len(rates)", "return sum(rates)")], "check-1-1: the mean of"),
        ([("return [delay >= 15", "return [delay > 15")], "check-1-2: 15 minutes is late"),
        ([("right = sum(late(", "raise SystemExit\nright = sum(late(")], "01_tiny: The kernel died"),
    ],
)  # fmt: skip
def test_a_failing_reference_is_refused_and_the_check_is_named(room, changes, named):
    with pytest.raises(GradingError, match="reference") as refused:
        room.grade(released(*changes))
    assert named in refused.value.happened
    assert "BEGIN HIDDEN" not in str(refused.value)
    assert not list(room.out.rglob("*.csv"))
    assert not list(room.out.glob("results/*"))
    assert room.in_book(lambda book: book.students) == []
    room.grade(released())
    assert room.total("ann") == 7


def test_every_failing_check_of_every_notebook_is_named(room):
    room.hand_in("ann", name=SECOND)
    wrong = ("return [delay >= 15", "return [delay > 15")
    with pytest.raises(GradingError) as refused:
        room.grade(released(wrong), released(wrong, name=SECOND))
    for word in (f"{NAME}, check-1-2", f"{NAME}, hidden-1-2", f"{SECOND}, check-1-2"):
        assert word in refused.value.happened


def test_a_notebook_that_is_not_graded_now_does_not_matter(room):
    room.hand_in("ann", name=SECOND)
    room.grade(released(), released(("return [delay >= 15", "return [delay > 15"), name=SECOND), only=(NAME,))
    assert room.total("ann") == 7


def test_grades_and_settings_of_before_stay_when_a_later_run_is_refused(room):
    room.grade(released())
    room.give("ann", "interview-1", 3)
    room.export()
    before = {path: path.read_text() for path in room.out.rglob("*.*") if path.suffix in (".csv", ".html", ".py")}
    with pytest.raises(GradingError):
        room.grade(released(("return [delay >= 15", "return [delay > 15")), late="zero", due={NAME: "2026-01-02"})
    assert {path: path.read_text() for path in before} == before
    room.grade(released())
    assert room.total("ann") == 10


@pytest.mark.timeout(600)
def test_the_command_refuses_a_check_that_can_never_pass(tiny_course, change, tmp_path):
    """`checks.equal(None, None)` never passes: what a check got was None."""
    source = "right = [median([1, 3]) == 2, median([5]) == 5]"
    change(source, f"from course_lib import checks\nchecks.equal(None, None, what='nothing')\n{source}")
    room = SmallClass(tmp_path)
    room.hand_in("ann")
    options = GradeOptions(workers=1)
    with pytest.raises(GradingError, match="hidden-1-2"):
        grade_command(room.room, tmp_path / "out", options, root=tiny_course)
    change(f"from course_lib import checks\nchecks.equal(None, None, what='nothing')\n{source}", source)
    assert grade_command(room.room, tmp_path / "out", options, root=tiny_course) == 0
    with (tmp_path / "out" / "grades.csv").open() as file:
        assert [row["student"] for row in csv.DictReader(file)] == ["ann"]
    with Gradebook(f"sqlite:///{tmp_path / 'out' / 'gradebook.db'}", COURSE_ID) as book:
        assert [student.id for student in book.students] == ["ann"]
