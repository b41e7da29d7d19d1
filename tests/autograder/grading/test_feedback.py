"""What learners get back says what the gradebook says, people's points and comments included."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.small_class import DUE, LATE, SmallClass
from tests.fixtures.tiny_class import NAME, handed_in, write

WRONG = "def mean_rate(rates):\n    return sum(rates)"


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A graded class: Ann is right, Ben has the mean wrong."""
    small = SmallClass(tmp_path_factory.mktemp("feedback"))
    small.hand_in("ann")
    small.hand_in("ben", rate=WRONG)
    small.grade()
    return small


@pytest.fixture
def room(graded):
    """The class as it was after grading."""
    yield graded
    for student in ("ann", "ben"):
        for cell in ("hidden-1-1", "check-1-1", "interview-1"):
            graded.give(student, cell, None, waits=cell == "interview-1")
        for cell in ("ex-1-1", "ex-1-2", "interview-1"):
            graded.comment(student, cell, None)


@pytest.mark.parametrize("suffix", ["md", "html"])
@pytest.mark.parametrize(
    ("cell", "points", "shown"),
    [
        ("interview-1", 3.5, "(3.5 of 4)"),
        ("interview-1", 0, "(0 of 4)"),
        ("interview-1", 4, "(4 of 4)"),
        ("hidden-1-1", 1, "(1 of 2)"),
        ("hidden-1-1", 2, "(2 of 2)"),
        ("check-1-1", 0.3333333, "(0.3333 of 1)"),
    ],
)
def test_points_given_by_hand_are_in_the_feedback(room, cell, points, shown, suffix):
    room.give("ben", cell, points)
    room.export()
    lines = [line for line in room.feedback("ben", suffix).splitlines() if "A person gave these points" in line]
    assert len(lines) == 1
    assert shown in lines[0].replace('<span class="pts">', "").replace("</span>", "")
    assert room.total("ben") == pytest.approx(4 + points, abs=1e-3)


@pytest.mark.parametrize("cell", ["interview-1", "ex-1-1", "ex-1-2"])
@pytest.mark.parametrize(
    ("text", "html", "markdown"),
    [
        ("Well put.", "Well put.", "Well put."),
        ("Größe über 東京 🙂", "Größe über 東京 🙂", "Größe über 東京 🙂"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;", r"\<script\>alert(1)\</script\>"),
        ("two\nlines | and *stars*", "two\nlines | and *stars*", r"two lines \| and \*stars\*"),
        ("{{ 7 * 7 }}", "{{ 7 * 7 }}", r"{{ 7 \* 7 }}"),
    ],
)
def test_comments_by_hand_are_in_the_feedback(room, cell, text, html, markdown):
    room.comment("ann", cell, text)
    room.export()
    assert f"<b>Comment</b> {html}<" in room.feedback("ann", "html")
    assert f"- Comment: {markdown}\n" in room.feedback("ann", "md")
    assert "Comment" not in room.feedback("ben", "html")


def test_a_comment_or_points_taken_back_are_gone(room):
    room.give("ann", "interview-1", 2)
    room.comment("ann", "interview-1", "Too short.")
    room.export()
    assert "Too short." in room.feedback("ann")
    room.give("ann", "interview-1", None)
    room.comment("ann", "interview-1", " \n")
    room.export()
    assert "Comment" not in room.feedback("ann")
    assert "up to 4" in room.feedback("ann")
    assert "not final" in room.feedback("ann")
    assert room.total("ann") == 7


def test_extra_credit_is_named(room):
    room.give("ann", "interview-1", 4, extra=1.5)
    room.export()
    assert "1.5 points of extra credit" in room.feedback("ann")
    assert room.total("ann") == room.nbgrader_says("ann")[0] == 12.5


def test_extra_credit_without_points_counts_as_in_nbgrader(room):
    room.give("ann", "interview-1", None, extra=1.5)
    room.export()
    assert room.total("ann") == room.nbgrader_says("ann")[0] == 7


def test_the_message_of_a_check_stays_beside_points_given_by_hand(room):
    room.give("ben", "check-1-1", 0.5)
    room.export()
    assert "The check said: " in room.feedback("ben")
    assert "divide by the count" in room.feedback("ben")


def test_points_given_by_hand_count_in_the_report(room):
    room.export()
    mean = room.summary()["notebooks"][0]["exercises"][0]["difficulty"]
    room.give("ben", "check-1-1", 1)
    room.give("ben", "hidden-1-1", 2)
    room.export()
    values = room.summary()["notebooks"][0]
    assert (mean, values["exercises"][0]["difficulty"], values["exercises"][0]["messages"]) == (0.5, 1, [])
    assert room.grades()["ben"]["1.1"] == "3"


def test_grading_again_keeps_them_in_the_feedback(room):
    room.give("ann", "interview-1", 3)
    room.comment("ann", "interview-1", "Well put.")
    room.grade(force=True)
    assert "Well put." in room.feedback("ann")
    assert room.total("ann") == 10


@pytest.mark.timeout(300)
def test_feedback_goes_back_through_nbgraders_exchange(tmp_path):
    """A student submits, the class is graded, and the student fetches what ``release_feedback`` handed out."""
    exchange, home = tmp_path / "exchange", tmp_path / "home"
    outbound = exchange / "tiny" / "outbound" / NAME
    outbound.mkdir(parents=True)
    (exchange / "tiny" / "inbound").mkdir()
    (exchange / "tiny" / "inbound").chmod(0o733)
    write(outbound.parent, NAME, handed_in())
    write(home, NAME, handed_in())

    def nbgrader(folder: Path, *command: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *command, f"--Exchange.root={exchange}", "--course=tiny"],
            cwd=folder, capture_output=True, text=True, check=False, timeout=120,
            env={**os.environ, "HOME": str(home), "JUPYTER_DATA_DIR": str(home / "data"), "USER": "ann"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    cache = f"--Exchange.cache={home / 'cache'}"
    nbgrader(home, "submit", NAME, cache, "--CourseDirectory.student_id=ann")
    small = SmallClass(tmp_path)
    small.room = exchange / "tiny"
    small.grade(due={NAME: DUE}, late="zero")
    small.give("ann", "interview-1", 3.5)
    small.comment("ann", "interview-1", "Well put.")
    small.export()
    nbgrader(small.out, "release_feedback", NAME)
    nbgrader(home, "fetch_feedback", NAME, cache, "--CourseDirectory.student_id=ann")
    (page,) = (home / NAME / "feedback").rglob("*.html")
    assert page.read_text() == small.feedback("ann", "html")
    assert "Well put." in page.read_text()
    assert "(3.5 of 4)" in page.read_text().replace('<span class="pts">', "").replace("</span>", "")


@pytest.mark.parametrize("damage", ["link", "huge", "bytes"])
def test_a_secret_that_no_exchange_wrote_is_left_alone(tmp_path, damage):
    small = SmallClass(tmp_path)
    secret = small.hand_in("ann", LATE).parent / "submission_secret.txt"
    if damage == "link":
        (tmp_path / "elsewhere").write_text("a secret")
        secret.symlink_to(tmp_path / "elsewhere")
    else:
        secret.write_bytes(b"x" * 10_000 if damage == "huge" else b"\xff\xfe")
    small.grade()
    assert not list(small.out.rglob("submission_secret.txt"))


def test_the_page_lies_where_ngshare_looks_beside_the_time_that_it_knows(tmp_path):
    """ngshare_exchange 0.5.3 sends ``feedback/STUDENT/ASSIGNMENT/*.html`` with the whole text of timestamp.txt."""
    small = SmallClass(tmp_path)
    small.hand_in("ann", "2026-01-02 00:00:10.885782\n")
    small.hand_in("ben")
    small.grade()
    place = small.out / "feedback" / "ann" / NAME
    assert (place / "timestamp.txt").read_text() == "2026-01-02 00:00:10.885782"
    assert (place / f"{NAME}.html").read_text() == small.feedback("ann", "html")
    assert not (small.out / "feedback" / "ben" / NAME).exists()
