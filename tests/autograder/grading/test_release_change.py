"""A release that changes after grading keeps what people gave, and what became stale is said."""

from __future__ import annotations

import pytest

from tests.fixtures.small_class import SmallClass, released
from tests.fixtures.tiny_class import NAME

WRONG = "def mean_rate(rates):\n    return sum(rates)"
_META = '"locked": true, "points": {points}, "schema_version": 3, "solution": false, "task": false}}'
_END = "# %% [markdown]\n# ## State of the desk"
_QUESTION = '"locked": false, "points": 4, "schema_version": 3, "solution": true'


def check(grade_id: str, points: int, code: str) -> str:
    meta = f'{{"grade": true, "grade_id": "{grade_id}", ' + _META.format(points=points)
    return f"# %% nbgrader={meta}\n{code}\n\n"


EXTRA_CHECK = ("# %% [markdown]\n# ### Exercise 1.2", check("check-1-11", 2, "assert mean_rate([1, 3]) == 2, 'two'"))
ADDED = (EXTRA_CHECK[0], EXTRA_CHECK[1] + EXTRA_CHECK[0])
CHANGED = ('"the mean of one rate is that rate"', '"one rate is its own mean"')
RENAMED = ('"grade_id": "hidden-1-1"', '"grade_id": "hidden-1-10"')
LOWERED = (_QUESTION, _QUESTION.replace("4", "2"))
RAISED = (_QUESTION, _QUESTION.replace("4", "8"))
QUESTION = (
    _END,
    '# %% [markdown] nbgrader={"grade": true, "grade_id": "interview-2", "locked": false, "points": 3, '
    '"schema_version": 3, "solution": true, "task": false}\n# ### BEGIN SOLUTION\n# x\n# ### END SOLUTION\n\n' + _END,
)


@pytest.fixture
def room(tmp_path):
    """Ann is right and was read by a person; Ben has the mean wrong, and a person gave a point and a comment."""
    small = SmallClass(tmp_path)
    small.hand_in("ann")
    small.hand_in("ben", rate=WRONG)
    small.grade()
    small.give("ann", "interview-1", 4)
    small.comment("ann", "interview-1", "Well put.")
    small.give("ben", "hidden-1-1", 1)
    small.comment("ben", "ex-1-1", "You divide by nothing.")
    small.export()
    return small


def test_a_check_that_was_added_is_graded_and_everything_by_hand_stays(room):
    said = room.grade(released(ADDED))
    assert "01_tiny: new since it was graded: check-1-11." in said
    assert (room.total("ann"), room.total("ben")) == (13, 5)
    assert room.nbgrader_says("ann") == (13, 0)
    assert room.grades()["ann"]["total_max"] == "13"
    assert (room.grades()["ann"]["waits"], room.grades()["ben"]["waits"]) == ("", "interview-1")
    assert "Well put." in room.feedback("ann")
    assert "You divide by nothing." in room.feedback("ben")
    assert "new since" not in room.grade()


def test_a_question_that_was_added_waits_for_a_person(room):
    assert "01_tiny: new since it was graded: interview-2." in room.grade(released(QUESTION))
    assert room.total("ann") == 11
    assert room.waiting() == {("ben", NAME, "interview-1")}  # nobody has written an answer to the new one
    assert room.grades()["ann"]["total_max"] == "14"
    room.give("ann", "interview-2", 3)
    room.comment("ann", "interview-2", "Also good.")
    room.export()
    assert room.total("ann") == 14
    assert "Also good." in room.feedback("ann", "html")


def test_a_check_that_changed_asks_for_another_look_at_points_by_hand(room):
    said = room.grade(released(CHANGED))
    assert (
        "01_tiny: hidden-1-1 changed (its text). Points given by hand stay, and should be looked at again: ben." in said
    )
    assert (room.total("ann"), room.total("ben")) == (11, 5)
    assert room.waiting() == {("ben", NAME, "hidden-1-1"), ("ben", NAME, "interview-1")}
    said = room.grade()
    assert "changed" not in said
    assert ("ben", NAME, "hidden-1-1") in room.waiting()  # until a person has looked
    room.give("ben", "hidden-1-1", 1)
    room.export()
    assert room.waiting() == {("ben", NAME, "interview-1")}


def test_a_check_that_is_gone_takes_its_points_along_and_says_whose(room):
    copy = room.out / "gradebook-before-1.db"
    said = room.grade(released(RENAMED))
    assert "01_tiny: gone since it was graded: hidden-1-1." in said
    assert "01_tiny: new since it was graded: hidden-1-10." in said
    assert "not counted any more: ben (hidden-1-1: 1). The gradebook as it was is gradebook-before-1.db." in said
    assert copy.is_file()
    assert (room.total("ann"), room.total("ben")) == (11, 4)
    assert room.nbgrader_says("ben") == (4, 0)
    before = SmallClass(copy.parent.parent)
    (copy.parent / "gradebook.db").write_bytes(copy.read_bytes())
    assert before.in_book(lambda book: book.find_grade("hidden-1-1", NAME, NAME, "ben").manual_score) == 1


def test_nothing_is_copied_when_no_person_wrote_into_what_is_gone(room):
    room.give("ben", "hidden-1-1", None, waits=False)
    room.grade(released(RENAMED))
    assert not list(room.out.glob("gradebook-before*"))


def test_points_above_a_lowered_maximum_count_as_the_maximum_and_it_is_said(room):
    said = room.grade(released(LOWERED))
    assert "its points, 4 before and 2 now" in said
    assert "ann (4, counts as 2)" in said
    for derive in (room.export, room.grade):
        assert "count as the maximum: 1: ann 01_tiny (interview-1: 4 of 2)" in derive()
        assert room.total("ann") == 9
        assert room.grades()["ann"]["total_max"] == "9"
        assert "(2 of 2)" in room.feedback("ann")
        assert ("ann", NAME, "interview-1") in room.waiting()
    room.grade(released())  # the maximum is raised again: what the person gave is still there
    assert room.total("ann") == 11


def test_a_late_penalty_is_no_more_than_what_counts(room):
    room.hand_in("ann", "2026-01-03 00:00:00 UTC")
    room.grade(released(LOWERED), due={NAME: "2026-01-02 00:00:00 UTC"}, late="zero")
    assert room.total("ann") == 0
    assert room.grades()["ann"]["penalty"] == "9"


def test_a_raised_maximum_asks_for_another_look(room):
    assert "its points, 4 before and 8 now" in room.grade(released(RAISED))
    assert room.total("ann") == 11
    assert room.grades()["ann"]["total_max"] == "15"
    assert ("ann", NAME, "interview-1") in room.waiting()


def test_several_changes_at_once_are_all_said(room):
    said = room.grade(released(ADDED, CHANGED, LOWERED))
    for word in ("check-1-11", "hidden-1-1 changed (its text)", "interview-1 changed"):
        assert word in said
    assert (room.total("ann"), room.total("ben")) == (11, 5)


def test_a_release_that_changed_since_grading_is_said_by_export_and_nothing_is_mixed(room):
    room.assignments = (released(ADDED, LOWERED),)
    assert "Graded with other checks than the notebook has now: repeat `grade`: 2: ann 01_tiny, ben" in room.export()
    assert room.total("ann") == 11
    assert room.grades()["ann"]["total_max"] == "11"  # as graded, not as the source says


def test_who_is_not_graded_again_is_named_and_waits(room, tmp_path):
    room.room = tmp_path / "other"
    room.hand_in("zoe")
    said = room.grade(released(ADDED), add=True)
    assert "Graded with other checks than the notebook has now: repeat `grade`: 2: ann 01_tiny, ben 01_tiny." in said
    assert room.total("zoe") == 9
    assert room.total("ann") == 11
    assert room.grades()["ann"]["waits"] == "check-1-11"
    assert "This was asked after the submission was graded." in room.feedback("ann")


def test_the_formgraders_classes_read_what_was_adapted(room):
    room.grade(released(ADDED, RENAMED, QUESTION))
    names = room.in_book(
        lambda book: sorted(grade.name for grade in book.find_submission_notebook(NAME, NAME, "ann").grades)
    )
    assert names == ["check-1-1", "check-1-11", "check-1-2", "hidden-1-10", "hidden-1-2", "interview-1", "interview-2"]
    assert room.in_book(lambda book: book.find_assignment(NAME).max_score) == 16
    assert room.in_book(lambda book: len(book.find_submission_notebook(NAME, NAME, "ann").comments)) == 4
