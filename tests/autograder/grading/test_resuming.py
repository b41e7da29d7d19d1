"""A grader that is killed loses nothing: the next run ends where an undisturbed one would have."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from autograder.grading.gradebook import COURSE_ID
from autograder.grading.store import refresh
from tests.fixtures.assignments import catalogue_of
from tests.fixtures.grade_tiny import grade_tiny
from tests.fixtures.tiny_class import NAME, handed_in, tiny, write

ROOT = Path(__file__).parents[3]
COUNT = 12
TABLES = ("assignment", "notebook", "base_cell", "source_cell", "student", "submitted_assignment", "submitted_notebook",
          "grade", "comment")  # fmt: skip
SETTINGS = {"due": {NAME: "2026-01-02"}, "late": "zero", "extensions": {"student03": "2 days", "student05": "1h"}}


def open_book(out: Path) -> Gradebook:
    return Gradebook(f"sqlite:///{out / 'gradebook.db'}", COURSE_ID)


def content(out: Path) -> dict:
    """Return what the gradebook, the tables and the pages say, without the random ids of rows."""
    with open_book(out) as book:
        submissions = [(s, n) for s in book.assignment_submissions(NAME) for n in s.notebooks]
        grades = sorted(
            (s.student.id, g.name, g.auto_score, g.manual_score or -1, g.needs_manual_grade)
            for s, notebook in submissions
            for g in notebook.grades
        )
        comments = sorted(
            (s.student.id, c.name, c.auto_comment or "", c.manual_comment or "")
            for s, notebook in submissions
            for c in notebook.comments
        )
        lateness = sorted(
            (s.student.id, str(s.timestamp), str(s.extension), n.late_submission_penalty or 0) for s, n in submissions
        )
        due = book.find_assignment(NAME).duedate
    with contextlib.closing(sqlite3.connect(out / "gradebook.db")) as database:
        counts = {table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}
    table = [line.replace(",yes,", ",,") for line in (out / "grades.csv").read_text().splitlines()]
    pages = {
        path.relative_to(out).as_posix(): path.read_text()
        for path in out.rglob("*")
        if path.suffix in (".md", ".csv", ".py") and path.name != "grades.csv"
    }
    return {
        "grades": grades, "comments": comments, "lateness": lateness, "due": due, "counts": counts, "table": table,
        "pages": pages,
    }  # fmt: skip


def hand_in(folder: Path) -> None:
    """Hand in for a class of which two thirds have another mistake each, and a third is late."""
    for number in range(COUNT):
        wrong = f"def mean_rate(rates):\n    return {number} + sum(rates)"
        path = write(folder / "class", f"student{number:02}", handed_in(rate=wrong) if number % 3 else handed_in())
        (path.parent / "timestamp.txt").write_text(f"2026-01-0{1 + number % 3} 12:00:00 UTC")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.nightly)])
def test_a_grader_killed_at_any_moment_and_run_again_gives_the_undisturbed_gradebook(tmp_path, kills):
    hand_in(tmp_path)
    grade_tiny(tmp_path / "class", tmp_path / "undisturbed", **SETTINGS)
    chance = random.Random(4)
    for number in range(kills):
        moments = {"graded": chance.randrange(-1, COUNT), "also": chance.random() * 0.1}
        kill_after(tmp_path, **moments, settings=SETTINGS if number % 2 else {})
    grade_tiny(tmp_path / "class", tmp_path / "killed")
    assert content(tmp_path / "killed") == content(tmp_path / "undisturbed")

    for out in ("killed", "undisturbed"):  # and once people have written into it
        with open_book(tmp_path / out) as book:
            for student, points in (("student00", 3.5), ("student02", 2.0), ("student05", 4.0)):
                grade = book.find_grade("interview-1", NAME, NAME, student)
                grade.manual_score, grade.needs_manual_grade = points, False
                book.find_comment("interview-1", NAME, NAME, student).manual_comment = f"{points} for {student}"
            book.db.commit()
    for graded in (-1, 2, COUNT - 1):
        kill_after(tmp_path, graded=graded, also=chance.random() * 0.1, settings={})
    grade_tiny(tmp_path / "class", tmp_path / "killed")
    refresh(tmp_path / "undisturbed", catalogue_of(tiny()))
    assert content(tmp_path / "killed") == content(tmp_path / "undisturbed")
    assert "3.5 for student00" in (tmp_path / "killed" / "feedback" / "student00" / f"{NAME}.md").read_text()


@pytest.mark.timeout(600)
def test_settings_of_a_killed_grader_hold_all_or_none(tmp_path):
    write(tmp_path / "class", "student03", handed_in())
    write(tmp_path / "class", "student05", handed_in())
    chance, seen = random.Random(5), set()
    for number in range(5):
        out = tmp_path / "killed"
        grade_tiny(tmp_path / "class", out, due={NAME: "none"}, late="none",
                   extensions=dict.fromkeys(SETTINGS["extensions"], "none"))  # fmt: skip
        kill_after(tmp_path, graded=-2 if number % 3 else -1, also=chance.random() * 0.05, settings=SETTINGS)
        grade_tiny(tmp_path / "class", out)
        with open_book(out) as book:
            extensions = {s.student.id: s.extension for s in book.assignment_submissions(NAME)}
            due = book.find_assignment(NAME).duedate
        rule = "zero" in (out / "nbgrader_config.py").read_text().splitlines()[-1]
        state = (due, rule, extensions["student03"], extensions["student05"])
        seen.add(state)
        assert state in (
            (None, False, None, None),
            (datetime(2026, 1, 2), True, timedelta(days=2), timedelta(hours=1)),
        )
    assert (datetime(2026, 1, 2), True, timedelta(days=2), timedelta(hours=1)) in seen


def kill_after(folder: Path, *, graded: int, also: float, settings: dict) -> None:
    """Start the grader and kill it once it has begun to write submission number ``graded``, and a moment later.

    Before the first one, -1 is when the lists of the class are written and -2 when the settings are.
    """
    command = [sys.executable, "-m", "tests.fixtures.grade_tiny", str(folder / "class"), str(folder / "killed")]
    markers = {-1: f"results/{NAME}.class.json", -2: ".settings.json"}
    marker = folder / "killed" / markers.get(graded, f"autograded/student{graded:02}/{NAME}/{NAME}.ipynb")
    before = marker.stat().st_mtime_ns if marker.exists() else 0
    grader = subprocess.Popen([*command, json.dumps(settings)], cwd=ROOT, env=os.environ)
    while grader.poll() is None and _time_of(marker) == before:
        with contextlib.suppress(subprocess.TimeoutExpired):
            grader.wait(timeout=0.001 if graded < 0 else 0.005)
    with contextlib.suppress(subprocess.TimeoutExpired):
        grader.wait(timeout=also)
    grader.kill()
    grader.wait()


def _time_of(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
