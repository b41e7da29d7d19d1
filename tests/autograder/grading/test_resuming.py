"""A grader that is killed loses nothing: the next run ends where an undisturbed one would have."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from autograder.grading.gradebook import COURSE_ID
from tests.fixtures.grade_tiny import grade_tiny
from tests.fixtures.tiny_class import NAME, handed_in, write

ROOT = Path(__file__).parents[3]
COUNT = 12
KILLS = 20


def content(out: Path) -> dict:
    """Return what the gradebook and the table say, without the random ids of rows."""
    with Gradebook(f"sqlite:///{out / 'gradebook.db'}", COURSE_ID) as book:
        grades = sorted(
            (s.student.id, grade.name, grade.auto_score, grade.needs_manual_grade)
            for s in book.assignment_submissions(NAME)
            for notebook in s.notebooks
            for grade in notebook.grades
        )
        comments = sorted(
            (s.student.id, comment.name, comment.auto_comment or "")
            for s in book.assignment_submissions(NAME)
            for notebook in s.notebooks
            for comment in notebook.comments
        )
    table = [",".join(line.split(",")[:9]) for line in (out / "grades.csv").read_text().splitlines()]
    return {"grades": grades, "comments": comments, "table": table}


@pytest.mark.timeout(600)
def test_a_grader_killed_at_any_moment_and_run_again_gives_the_undisturbed_gradebook(tmp_path):
    for number in range(COUNT):
        wrong = f"def mean_rate(rates):\n    return {number} + sum(rates)"
        write(tmp_path / "class", f"student{number:02}", handed_in(rate=wrong) if number % 3 else handed_in())
    grade_tiny(tmp_path / "class", tmp_path / "undisturbed")
    chance = random.Random(4)
    for _ in range(KILLS):
        kill_after(tmp_path, graded=chance.randrange(COUNT), also=chance.random() * 0.1)
    grade_tiny(tmp_path / "class", tmp_path / "killed")
    assert content(tmp_path / "killed") == content(tmp_path / "undisturbed")


def kill_after(folder: Path, *, graded: int, also: float) -> None:
    """Start the grader and kill it once it has begun to write submission number ``graded``, and a moment later."""
    command = [sys.executable, "-m", "tests.fixtures.grade_tiny", str(folder / "class"), str(folder / "killed")]
    marker = folder / "killed" / "autograded" / f"student{graded:02}" / NAME / f"{NAME}.ipynb"
    before = marker.stat().st_mtime_ns if marker.exists() else 0
    grader = subprocess.Popen(command, cwd=ROOT, env=os.environ)
    while grader.poll() is None and (marker.stat().st_mtime_ns if marker.exists() else 0) == before:
        with contextlib.suppress(subprocess.TimeoutExpired):
            grader.wait(timeout=0.005)
    with contextlib.suppress(subprocess.TimeoutExpired):
        grader.wait(timeout=also)
    grader.kill()
    grader.wait()
