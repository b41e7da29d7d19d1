"""Every table, page and report shows the same students with the same totals, and says what is not final."""

from __future__ import annotations

import shutil

import pytest

from tests.fixtures.small_class import SECOND, SmallClass, released
from tests.fixtures.tiny_class import NAME, cell_of

BOTH = (released(), released(name=SECOND))
WRONG = "def mean_rate(rates):\n    return sum(rates)"


def shown(room, name: str = NAME) -> set[str]:
    """Return the students of one notebook, who have to be the same in every place."""
    students = set(room.grades(name))
    assert {s for s, points in room.canvas(name).items() if points and s != "Points Possible"} == students
    assert set(room.moodle(name)) == students
    assert {row.result.student for row in room.report.rows if row.result.notebook == name} == students
    entry = next(notebook for notebook in room.summary()["notebooks"] if notebook["name"] == name)
    assert entry["submissions"] == sum(row["status"] != "rejected" for row in room.grades(name).values())
    return students


@pytest.fixture
def room(tmp_path):
    """Ann and Ben hand in both notebooks."""
    small = SmallClass(tmp_path, *BOTH)
    for student in ("ann", "ben"):
        for name in (NAME, SECOND):
            small.hand_in(student, name=name)
    return small


def test_grading_one_notebook_leaves_the_tables_of_the_other(room):
    room.grade(only=(NAME,))
    before = (room.out / "moodle" / f"{NAME}.csv").read_text()
    room.hand_in("ben", name=SECOND, rate=WRONG)
    room.grade(only=(SECOND,))
    assert shown(room) == shown(room, SECOND) == {"ann", "ben"}
    assert (room.out / "moodle" / f"{NAME}.csv").read_text() == before
    assert (room.total("ben"), room.total("ben", SECOND)) == (7, 4)
    room.export()
    assert shown(room) == shown(room, SECOND) == {"ann", "ben"}


def test_points_by_hand_for_a_notebook_that_is_not_graded_now_are_shown(room):
    room.grade()
    room.give("ann", "interview-1", 4)
    room.grade(only=(SECOND,))
    assert (room.total("ann"), room.total("ann", SECOND)) == (11, 7)


def test_who_left_the_class_is_in_no_table_and_is_named(room):
    room.grade()
    room.give("ben", "interview-1", 4)
    shutil.rmtree(room.room / "ben")
    said = room.grade()
    assert (
        "In the class no more, and in no table (their points stay in gradebook.db): 2: ben 01_tiny, ben 02_tiny" in said
    )
    assert shown(room) == shown(room, SECOND) == {"ann"}
    assert "ben 01_tiny" in room.export()
    assert shown(room) == {"ann"}
    assert room.nbgrader_says("ben") == (11, 0)
    room.hand_in("ben")  # and comes back
    room.grade(only=(NAME,))
    assert shown(room) == {"ann", "ben"}
    assert shown(room, SECOND) == {"ann"}
    assert room.total("ben") == 11


def test_with_a_roster_who_handed_in_nothing_is_shown(room):
    room.grade(roster=("cem",))
    for _ in range(2):
        assert shown(room) == {"ann", "ben", "cem"}
        assert room.total("cem") == 0
        assert (room.grades()["cem"]["status"], room.grades()["cem"]["waits"]) == ("rejected", "")
        assert "No file" in room.grades()["cem"]["reason"]
        room.export()


def test_a_roster_holds_in_later_runs_until_another_is_given(room):
    room.grade(roster=("cem", "ann", "ben"), only=(NAME,))
    room.grade()
    assert shown(room) == shown(room, SECOND) == {"ann", "ben", "cem"}
    shutil.rmtree(room.room / "ben")
    room.grade()
    assert room.grades()["ben"]["status"] == "rejected"  # on the list, with nothing handed in any more
    assert "ben 01_tiny" in room.grade(roster=("ann",))
    assert shown(room) == {"ann"}
    room.grade()
    assert shown(room) == {"ann"}


def test_a_class_that_is_graded_in_parts_is_whole(room, tmp_path):
    room.grade()
    room.room = tmp_path / "other"
    room.hand_in("zoe")
    room.grade(only=(NAME,), add=True)
    assert shown(room) == {"ann", "ben", "zoe"}
    room.export()
    assert shown(room) == {"ann", "ben", "zoe"}
    assert shown(room, SECOND) == {"ann", "ben"}


def test_a_notebook_that_nobody_has_any_more_has_no_table(room, tmp_path):
    room.grade()
    room.room = tmp_path / "other"
    room.hand_in("zoe")
    room.grade(only=(NAME,))
    room.hand_in("zoe", name=SECOND)
    room.grade(only=(SECOND,))
    assert shown(room) == shown(room, SECOND) == {"zoe"}


def test_a_result_that_never_reached_the_gradebook_is_named_and_not_shown(room):
    room.grade()
    room.in_book(lambda book: book.remove_submission(NAME, "ben"))
    assert "Interrupted before it was in the gradebook: repeat `grade`: 1: ben 01_tiny" in room.export()
    assert set(room.grades()) == {"ann"}
    room.grade()
    assert shown(room) == {"ann", "ben"}


# Totals, and what is not final


@pytest.mark.parametrize(
    ("given", "total"),
    [
        ({}, 7),
        ({"interview-1": 3.5}, 10.5),
        ({"interview-1": 0}, 7),
        ({"interview-1": 4, "hidden-1-1": 0}, 9),
        ({"check-1-1": 0.25, "hidden-1-1": 1}, 5.25),
        ({"interview-1": 9}, 11),  # above the maximum
        ({"interview-1": -3}, 7),  # below nothing
        ({"interview-1": 1 / 3}, 7.3333),
    ],
)
def test_the_total_is_the_same_in_every_place(tmp_path, given, total):
    room = SmallClass(tmp_path)
    room.hand_in("ann")
    room.hand_in("ben", rate=WRONG)
    room.grade()
    for cell, points in given.items():
        room.give("ann", cell, points)
    for derive in (room.export, room.grade):
        derive()
        assert (room.total("ann"), room.total("ben")) == (total, 4)
        assert room.grades()["ann"]["total_max"] == "11"
        assert float(room.grades()["ann"]["score"]) == 7  # the machine's points stay what they were
        assert float(room.grades()["ann"]["manual"]) == pytest.approx(total - 7)


def test_export_says_who_waits_for_a_person_and_every_place_has_a_flag(room):
    waits = {(s, n, "interview-1") for s in ("ann", "ben") for n in (NAME, SECOND)}
    assert (
        "Not final, answers wait for a person (all of them: waiting.csv): 4: ann 01_tiny (interview-1)" in room.grade()
    )
    assert room.waiting() == waits
    room.give("ann", "interview-1", 4)
    said = room.export()
    assert "ann 01_tiny" not in said
    assert "3: ann 02_tiny (interview-1), ben 01_tiny (interview-1), ben 02_tiny (interview-1)" in said
    assert room.waiting() == waits - {("ann", NAME, "interview-1")}
    assert (room.grades()["ann"]["waits"], room.grades()["ben"]["waits"]) == ("", "interview-1")
    assert room.moodle()["ben"]["Feedback comments"] == "Not final: 1 answers wait for a person."
    assert room.moodle()["ann"]["Feedback comments"] == ""
    assert "not final" in room.feedback("ben")
    assert "not final" not in room.feedback("ann")
    assert room.summary()["submissions"]["wait_for_a_person"] == 3
    assert "answers wait for a person" in (room.out / "report.html").read_text()


def test_an_answer_that_was_changed_after_it_was_graded_waits_again(room):
    room.grade(only=(NAME,))
    room.give("ann", "interview-1", 4)
    room.hand_in("ann", answer="Another thought.")
    assert "2: ann 01_tiny (interview-1), ben 01_tiny (interview-1)" in room.grade(only=(NAME,))
    assert room.total("ann") == 11
    assert room.grades()["ann"]["waits"] == "interview-1"


def test_an_answer_that_was_not_written_waits_for_nobody(room):
    room.hand_in("ben", answer=cell_of(released().learner, "interview-1").source)
    room.grade(only=(NAME,))
    assert {student for student, *_ in room.waiting()} == {"ann"}


def test_a_class_that_is_wholly_graded_waits_for_nobody(room):
    room.grade(only=(NAME,))
    for student in ("ann", "ben"):
        room.give(student, "interview-1", 2)
    assert room.export() == ""
    assert room.waiting() == set()
    assert room.summary()["submissions"]["wait_for_a_person"] == 0


def test_a_long_list_is_cut_and_the_table_has_all_of_it(tmp_path):
    room = SmallClass(tmp_path)
    for number in range(13):
        room.hand_in(f"s{number:02}")
    assert "s09 01_tiny (interview-1) and 3 more." in room.grade()
    assert len(room.waiting()) == 13
