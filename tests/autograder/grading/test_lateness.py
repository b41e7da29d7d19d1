"""Due dates, the late rule and extensions hold in later runs, and what lateness costs follows what people change."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from autograder.authoring.format import UnknownNotebookError
from autograder.grading import classroom
from autograder.grading.book.settings import parse_due, parse_extensions
from autograder.grading.gradebook import GradebookError
from autograder.grading.options import GradingError
from tests.fixtures.small_class import DUE, IN_TIME, LATE, SECOND, SmallClass, released
from tests.fixtures.tiny_class import NAME

RULES = {"due": {NAME: DUE}, "late": "zero"}


@pytest.fixture
def room(tmp_path):
    """Ann is ten seconds late, Ben is in time, and Cem hands in without a time."""
    small = SmallClass(tmp_path)
    small.hand_in("ann", LATE)
    small.hand_in("ben", IN_TIME)
    small.hand_in("cem")
    return small


# The rule and the dates hold


def test_points_given_by_hand_later_are_late_too(room):
    room.grade(**RULES)
    room.give("ann", "interview-1", 3.5)
    room.give("ben", "interview-1", 3.5)
    assert "ann 01_tiny (7 before, 10.5 now)" in room.export()
    assert (room.total("ann"), room.total("ben")) == (0, 10.5)
    assert room.nbgrader_says("ann") == (10.5, 10.5)
    assert room.grades()["ann"]["penalty"] == "10.5"
    assert "10.5 points are taken off" in room.feedback("ann")


def test_extra_credit_and_a_changed_check_are_late_too(room):
    room.grade(**RULES)
    room.give("ann", "hidden-1-1", 1.0, extra=2.0)
    room.export()
    assert room.total("ann") == 0
    assert room.nbgrader_says("ann") == (8, 8)


def test_a_repetition_without_options_changes_nothing(room):
    room.grade(**RULES)
    room.give("ann", "interview-1", 3.5)
    room.export()
    wanted = {path: path.read_text() for path in room.out.rglob("*.csv")}
    for _ in range(2):
        assert "Penalties" not in room.grade()
        assert room.total("ann") == 0
    ours = {path: path.read_text().replace(",yes,", ",,") for path in wanted}
    assert ours == {path: text.replace(",yes,", ",,") for path, text in wanted.items()}
    assert room.grade(late="none").count("ann 01_tiny (10.5 before, 0 now)") == 1
    assert room.total("ann") == 10.5
    room.grade()
    assert room.total("ann") == 10.5


def test_a_due_date_alone_holds_until_another_is_given(room):
    room.grade(due={NAME: DUE})
    assert room.total("ann") == 7
    room.grade(late="zero")
    assert room.total("ann") == 0
    assert "ann 01_tiny (7 before, 0 now)" in room.grade(due={NAME: "2026-01-03 00:00:00 UTC"})
    assert room.total("ann") == 7
    room.grade(due={NAME: DUE})
    assert room.total("ann") == 0
    room.grade(due={NAME: "none"})
    assert room.total("ann") == 7
    assert not room.summary()["late"]


def test_a_due_date_of_a_notebook_that_nobody_handed_in_yet_holds_too(room):
    second = released(name=SECOND)
    room.grade(released(), second, due={NAME: DUE, SECOND: DUE}, late="zero", only=(NAME,))
    room.hand_in("ann", LATE, name=SECOND)
    room.grade(only=(SECOND,))
    assert (room.total("ann"), room.total("ann", SECOND)) == (0, 0)


def test_a_due_date_set_in_the_formgrader_holds(room):
    room.grade(late="zero")
    room.in_book(lambda book: book.update_or_create_assignment(NAME, duedate=DUE))
    assert "ann 01_tiny (0 before, 7 now)" in room.export()
    room.grade()
    assert room.total("ann") == 0


def test_a_rule_written_into_the_configuration_holds(room):
    room.grade(due={NAME: DUE})
    config = room.out / "nbgrader_config.py"
    config.write_text(config.read_text().replace('"none"\n', '"zero"\n').replace("c = get", "x = 1\nc = get"))
    room.export()
    assert room.total("ann") == 0
    room.grade(late="none")
    assert "x = 1" in config.read_text()
    assert room.total("ann") == 7


def test_a_rule_of_the_instructors_own_is_derived_from_the_points_of_people_too(room):
    room.out.mkdir()
    (room.out / "nbgrader_config.py").write_text(
        "from nbgrader.plugins import LateSubmissionPlugin\n"
        "class Half(LateSubmissionPlugin):\n"
        "    def late_submission_penalty(self, student_id, score, total_seconds_late):\n"
        "        return score / 2\n"
        "c = get_config()\n"
        "c.AssignLatePenalties.plugin_class = Half\n"
    )
    room.grade(due={NAME: DUE})
    room.give("ann", "interview-1", 4)
    room.export()
    assert (room.total("ann"), room.total("ben")) == (5.5, 7)


def test_a_configuration_that_overrides_the_rule_is_said_so_and_left_alone(room):
    room.grade()
    config = room.out / "nbgrader_config.py"
    config.write_text(text := "if True:\n    get_config().LateSubmissionPlugin = 3\n")
    with pytest.raises(GradebookError, match="nbgrader_config"):
        room.grade(late="zero")
    assert config.read_text() == text


# Extensions


@pytest.mark.parametrize(
    ("extension", "ann", "seconds"),
    [
        ("3 days", 7, 0),
        ("36h", 7, 0),
        ("1 day 2 hours", 7, 0),
        ("10m", 7, 0),
        ("0.001h", 0, 6.4),  # too short by seconds
        ("2026-01-04 00:00:00 UTC", 7, 0),
        ("2026-01-02 01:00:00 +0100", 0, 10),  # the due date, in another time zone
        ("none", 0, 10),
    ],
)
def test_an_extension_is_one_students_own_and_holds_in_later_runs(room, extension, ann, seconds):
    room.hand_in("dan", LATE)
    room.grade(**RULES, extensions={"ann": extension})
    for _ in range(2):
        assert (room.total("ann"), room.total("dan"), room.total("ben")) == (ann, 0, 7)
        late = {row["student"]: row["seconds"] for row in room.summary()["late"]}
        assert late == {"dan": 10} | ({"ann": pytest.approx(seconds)} if seconds else {})
        room.grade()


def test_an_extension_stands_in_nbgraders_own_field_and_one_from_there_holds(room):
    room.grade(**RULES, extensions={"ann": "2 days"})
    assert room.in_book(lambda book: book.find_submission(NAME, "ann").extension) == timedelta(days=2)
    room.in_book(lambda book: setattr(book.find_submission(NAME, "ann"), "extension", timedelta(hours=1)))
    room.grade()
    assert room.in_book(lambda book: book.find_submission(NAME, "ann").extension) == timedelta(hours=1)
    assert room.total("ann") == 7
    room.grade(extensions={"ann": "none"})
    assert room.total("ann") == 0


def test_an_extension_for_one_notebook_leaves_the_others(room):
    room.hand_in("ann", LATE, name=SECOND)
    both = (released(), released(name=SECOND))
    room.grade(*both, due={NAME: DUE, SECOND: DUE}, late="zero", extensions={f"{SECOND}/ann": "1d"})
    assert (room.total("ann"), room.total("ann", SECOND)) == (0, 7)


def test_an_extension_of_a_student_on_the_roster_who_hands_in_later_holds(room):
    room.grade(**RULES, roster=("eve",), extensions={"eve": "1d"})
    assert room.total("eve") == 0
    room.hand_in("eve", LATE)
    room.grade()
    assert room.total("eve") == 7


def test_extensions_are_read_from_words_and_from_a_table(tmp_path):
    table = tmp_path / "extensions.csv"
    table.write_text("student,notebook,extension\nann,,3 days\nben,2,2026-01-04\n\n", encoding="utf-8-sig")
    wanted = {"ann": "36h", f"{SECOND}/ben": "2026-01-04", "José 東": "none"}
    assert parse_extensions(["ann=36h", "José 東=none"], table, (NAME, SECOND)) == wanted
    assert parse_due(["1=2026-01-02", "02 = none"], (NAME, SECOND)) == {NAME: "2026-01-02", SECOND: "none"}


@pytest.mark.parametrize(
    "word", ["ann", "ann=", "=3 days", "ann=soon", "ann=3", "ann=-1d", "ann=3 days ago", "9/ann=1d"]
)
def test_an_extension_that_cannot_be_read_is_refused(word):
    with pytest.raises((GradingError, GradebookError, UnknownNotebookError), match=r"ann|9|=3"):
        parse_extensions([word], None, (NAME, SECOND))


@pytest.mark.parametrize(
    "word", ["01", "01=", "=2026-01-02", "01=soon", "01=5", "01=2026-01-02 18:00 CEST", "7=2026-01-02"]
)
def test_a_due_date_that_cannot_be_read_is_refused(word):
    with pytest.raises((GradingError, GradebookError, UnknownNotebookError)):
        parse_due([word], (NAME, SECOND))


@pytest.mark.parametrize(
    "content", [b"student\nann\n", b"\xff\xfe", b"name,extension\nann,3d\n", b"student,extension\nann,later\n"]
)
def test_a_table_of_extensions_that_cannot_be_read_is_refused(tmp_path, content):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises((GradingError, GradebookError)):
        parse_extensions([], tmp_path / "x.csv", (NAME,))
    with pytest.raises(GradingError, match="cannot be read"):
        parse_extensions([], tmp_path / "none.csv", (NAME,))


@pytest.mark.parametrize(
    "wrong",
    [
        {"due": {NAME: "soon"}},
        {"due": {NAME: DUE, SECOND: "5"}},
        {"extensions": {"nobody": "1d"}},
        {"extensions": {f"{SECOND}/ann": "1d"}},
        {"extensions": {"ann": "2025-12-31 00:00:00 UTC"}, "due": {NAME: DUE}},
        {"extensions": {"ben": "1d", "ann": "2026-01-05"}, "due": {NAME: "none"}},
    ],
)
def test_of_settings_that_cannot_hold_none_is_kept(room, wrong):
    both = (released(), released(name=SECOND))
    room.grade(*both, only=(NAME,))
    with pytest.raises(GradebookError, match=r"due date|extension"):
        room.grade(*both, only=(NAME,), **{"late": "zero", "extensions": {"ben": "1d"}, **wrong})
    room.in_book(lambda book: book.update_or_create_assignment(NAME, duedate=DUE))
    room.grade(only=(NAME,))
    assert room.total("ann") == 7  # the rule is still "none"
    assert room.in_book(lambda book: [s.extension for s in book.assignment_submissions(NAME)]) == [None] * 3


def test_settings_of_a_grader_that_was_killed_hold_in_the_next_run(room, monkeypatch):
    room.grade()

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(classroom, "_write_graded", killed)
        with pytest.raises(KeyboardInterrupt):
            room.grade(**RULES, extensions={"ben": "1d"})
    assert "repeat `grade`" in room.export()
    room.hand_in("ben", LATE)
    assert "repeat" not in room.grade()
    assert (room.total("ann"), room.total("ben")) == (0, 7)
    assert "repeat" not in room.export()


# What a platform says


def marked(monkeypatch, *students):
    """Let the collector find the platform's mark on the files of ``students``."""
    collect = classroom.collect

    def collected(*args, **kwargs):
        found = collect(*args, **kwargs)
        marks = tuple(replace(f, late=f.student in students) for f in found.found)
        return replace(found, found=marks)

    monkeypatch.setattr(classroom, "collect", collected)


def test_a_mark_of_the_platform_counts_like_a_time_after_the_due_date(room, monkeypatch):
    with monkeypatch.context() as patch:
        marked(patch, "cem")
        room.grade(**RULES)
    assert (room.total("cem"), room.total("ben")) == (0, 7)
    room.give("cem", "interview-1", 4)
    room.export()
    assert room.total("cem") == 0
    assert room.nbgrader_says("cem") == (11, 11)
    assert {row["student"] for row in room.summary()["late"]} == {"ann", "cem"}


def test_a_mark_counts_without_a_due_date(room, monkeypatch):
    marked(monkeypatch, "cem")
    room.grade(late="zero")
    assert (room.total("cem"), room.total("ann")) == (0, 7)
    room.grade(late="none")
    assert room.total("cem") == 7


def test_a_mark_counts_for_a_time_that_is_before_our_due_date(room, monkeypatch):
    marked(monkeypatch, "ben")
    room.grade(**RULES)
    assert room.total("ben") == 0


def test_an_extension_excuses_a_mark(room, monkeypatch):
    marked(monkeypatch, "cem", "ann")
    room.grade(**RULES, extensions={"cem": "1d", "ann": "1m"})
    assert (room.total("cem"), room.total("ann")) == (7, 7)
    room.grade(extensions={"cem": "none", "ann": "2026-01-02 00:00:05 UTC"})
    assert (room.total("cem"), room.total("ann")) == (0, 0)  # ann's extension ends five seconds too early


def test_a_mark_that_is_gone_costs_nothing_any_more(room, monkeypatch):
    with monkeypatch.context() as patch:
        marked(patch, "cem")
        room.grade(**RULES)
    room.grade()
    assert room.total("cem") == 7


def test_a_new_hand_in_is_judged_by_its_own_time(room):
    room.grade(**RULES)
    room.hand_in("ann", IN_TIME)
    room.grade()
    assert room.total("ann") == 7
    room.hand_in("ben", LATE)
    room.grade()
    assert room.total("ben") == 0


def test_where_nothing_says_when_work_was_handed_in_a_due_date_is_said_to_have_no_effect(room, monkeypatch):
    assert "has no effect" not in room.grade()
    assert "--due 01_tiny has no effect on cem: no submission time" in room.grade(due={NAME: DUE})
    assert "has no effect" in room.grade()  # the date holds, and so does the warning
    marked(monkeypatch, "cem")
    assert "has no effect" not in room.grade()


def test_what_is_written_down_of_settings_is_gone_when_they_hold(room):
    room.grade(**RULES)
    assert not (room.out / ".settings.json").exists()
    (room.out / ".settings.json").write_text(json.dumps({"due": {}, "late": "none", "extensions": {}}))
    room.grade()
    assert room.total("ann") == 7
