"""Feedback and tables can be made again without running anything."""

from __future__ import annotations

import csv

import pytest
from nbgrader.api import Gradebook

from autograder.grading.gradebook import COURSE_ID
from autograder.grading.store import ResultsError, export, feedback, read_rows
from tests.fixtures.assignments import catalogue_of
from tests.fixtures.grade_tiny import grade_tiny
from tests.fixtures.tiny_class import NAME, handed_in, tiny, write


@pytest.fixture
def out(tmp_path):
    write(tmp_path / "class", "ann", handed_in())
    write(tmp_path / "class", "ben", handed_in(rate="def mean_rate(rates):\n    return sum(rates)"))
    grade_tiny(tmp_path / "class", tmp_path / "out")
    return tmp_path / "out"


def test_lost_feedback_and_tables_come_back_as_they_were(out):
    wanted = {path: path.read_text() for path in out.rglob("*") if path.suffix in (".html", ".md", ".csv")}
    made = {path for path in wanted if path.name != "report.html"}
    for path in made:
        path.unlink()
    catalogue = catalogue_of(tiny())
    assert feedback(out, catalogue) == export(out, catalogue) == 2
    assert {path: path.read_text() for path in made} == {path: wanted[path] for path in made}


def test_exported_tables_hold_the_points_that_a_person_gave_since(out):
    with Gradebook(f"sqlite:///{out / 'gradebook.db'}", COURSE_ID) as book:
        grade = book.find_grade("interview-1", NAME, NAME, "ann")
        grade.manual_score, grade.needs_manual_grade = 3.5, False
        book.db.commit()
    export(out, catalogue_of(tiny()))
    with (out / "grades.csv").open() as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert (rows["ann"]["score"], rows["ann"]["total"]) == ("7", "10.5")
    assert (rows["ben"]["score"], rows["ben"]["total"]) == ("4", "4")


def test_no_test_source_is_kept_in_results(out):
    kept = "".join(path.read_text() for path in (out / "results").rglob("*.json"))
    assert kept
    assert not any(secret in kept for secret in ("secret_rates", "hidden_cases", "BEGIN HIDDEN"))


def test_a_folder_without_results_or_with_a_damaged_one_is_said_so(out, tmp_path):
    with pytest.raises(ResultsError, match="Nothing has been graded"):
        read_rows(tmp_path / "elsewhere")
    next(out.glob("results/*/*.json")).write_text('{"result": [')
    with pytest.raises(ResultsError, match="damaged"):
        read_rows(out)
