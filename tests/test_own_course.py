"""`docs/own-course.md` is a promise: its commands are run on nbgrader's example course, and its tables are tested."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from autograder.grading.gradebook import COURSE_ID
from tests.fixtures.own_course import write_example

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "own-course.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
OTHERS = {name: (ROOT / "tests" / name).read_text() for name in (
    "autograder/authoring/test_own_course.py", "autograder/grading/test_own_course.py", "parity/test_parity.py",
)}  # fmt: skip


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with the example course, its class, and the command of the page."""
    folder = tmp_path_factory.mktemp("desk")
    write_example(folder / "course")
    shutil.move(folder / "course" / "submitted", folder / "submissions")
    (folder / "submissions" / "hacker" / "ps1" / "tools.py").write_text("x = 1\n")
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return folder


def run(command: str, desk: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["sh", "-c", command], cwd=desk, capture_output=True, text=True, timeout=300, check=False, env=environment
    )


def scores(desk: Path) -> dict[tuple[str, str], str]:
    with (desk / "build" / "ps1" / "grades.csv").open() as file:
        return {(row["student"], row["notebook"]): row["score"] for row in csv.DictReader(file)}


@pytest.mark.timeout(900)
def test_the_walk_over_the_page(desk):
    refused, chosen, helped, *later = COMMANDS
    done = run(refused, desk)
    assert done.returncode == 2
    assert "problem1, sum_of_squares_uses_squares: it deletes squares" in done.stderr
    assert not (desk / "build" / "ps1" / "grades.csv").exists()

    done = run(chosen, desk)
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert "sum_of_squares_uses_squares: this check ran where the learner's code ran, so it can be fooled" in said
    assert "jupyter.png" in said
    right = {
        ("bitdiddle", "problem1"): "1.5", ("bitdiddle", "problem2"): "0",
        ("hacker", "problem1"): "3", ("hacker", "problem2"): "0",
    }  # fmt: skip
    assert scores(desk) == right
    page = (desk / "build" / "ps1" / "feedback" / "hacker" / "problem1.md").read_text()
    assert "ran in the same process as your code" in page
    assert "tools.py" in page
    assert "can be fooled" in (desk / "build" / "ps1" / "report.html").read_text()
    with Gradebook(f"sqlite:///{desk / 'build' / 'ps1' / 'gradebook.db'}", COURSE_ID) as book:
        assert {s.student_id: (s.score, s.max_score) for s in book.find_assignment("ps1").submissions} == {
            "bitdiddle": (1.5, 13), "hacker": (3, 13),
        }  # fmt: skip

    done = run(helped, desk)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (desk / "build" / "ps1" / "feedback" / "hacker" / "problem1.md").read_text()
    assert "Taken along beside the notebook: tools.py." in page
    assert scores(desk) == right
    assert [command.split()[3] for command in later] == ["export", "feedback"]
    for command in later:
        done = run(command, desk)
        assert done.returncode == 0, done.stdout + done.stderr
    assert scores(desk) == right


def test_what_the_page_quotes_is_what_the_commands_say():
    code = "".join(path.read_text() for path in (ROOT / "autograder").rglob("*.py"))
    code = re.sub(r'"\s+f?"', "", code)
    for quoted in re.findall(r"\| \"(.+?)\" \|", PAGE):
        words = re.sub(r"^\d+ ", "", re.sub(r"version \d+", "version ", quoted))
        assert words.strip() in code, quoted


def test_every_difference_of_the_table_has_a_test():
    rows = re.findall(r"^\| (.+?) \| .+? \| .+? \|$", PAGE.partition("## Where the points differ")[2], re.M)[1:]
    tests = {
        "your solution fails": "test_difference_a_source_that_fails_its_own_checks_grades_nobody",
        "without graded cells": "test_difference_a_notebook_without_graded_cells_is_left_out",
        "cannot be judged from outside": "test_a_check_that_deletes_a_name_is_refused_before_the_class_is_graded",
        "only the solution imports": "test_difference_a_module_that_only_the_solution_imports_is_there_for_the_checks",
        "helper files": "test_the_courses_own_files_lie_beside_every_notebook_and_nobody_can_change_them",
        "there twice": "test_difference_a_duplicated_cell_stops_nbgrader_and_not_us",
        "deleted": "test_difference_a_deleted_test_has_no_score_in_nbgrader_and_is_put_back_by_us",
        "above its solution": "test_difference_a_check_above_its_solution_fails_in_nbgrader_and_is_moved_back_by_us",
        "stderr": "test_difference_a_warning_costs_the_points_in_nbgrader_and_nothing_with_us",
        "ends in a": "test_difference_a_dead_kernel_voids_the_submission_in_nbgrader_and_keeps_earned_points_with_us",
        "maximum": "test_difference_a_score_above_the_maximum_is_an_error_in_nbgrader_and_the_maximum_with_us",
        "nothing handed in": "test_difference_a_student_without_notebook_has_no_row_in_nbgrader_and_one_with_us",
        "GenerateAssignment": "test_the_courses_configuration_of_nbgrader_holds",
    }
    assert len(rows) == len(tests)
    for words, name in tests.items():
        assert sum(words in row for row in rows) == 1, words
        assert any(f"def {name}(" in text for text in OTHERS.values()), name


def test_the_page_is_linked_and_links_to_what_is_there():
    for page in ("instructor.md", "grading.md"):
        assert "own-course.md" in (ROOT / "docs" / page).read_text()
    for target in re.findall(r"\]\(([^)#:]+)", PAGE):
        assert (ROOT / "docs" / target).exists()
