"""What the documentation says about layouts and dates, tried out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autograder.grading.collect import collect
from autograder.grading.identity import layouts
from tests.autograder.grading.test_layouts import as_folder, as_zip

ROOT = Path(__file__).parents[3]
COLLECT = (ROOT / "docs" / "instructor.md").read_text().partition("## 2. Collect")[2].partition("## 3.")[0]
DATES = (ROOT / "docs" / "grading.md").read_text().partition("## Dates")[2].partition("## 10,000")[0]
NAME = "01_mlops_overview"
METADATA = "submission_1:\n  :submitters:\n  - :name: Jane Doe\n    :sid: '1'\n  :created_at: 2026-11-28 09:00:00 Z\n"
ROWS = re.findall(r"^\| (?!you have|---)([^|]+) \| `([^`]+\.ipynb)`", COLLECT, flags=re.MULTILINE)
KNOWN = {
    "a folder for each student": ("a folder a student", "ann"),
    "a file for each student": ("STUDENT_NOTEBOOK files", "ann"),
    "nbgrader's own course, ngshare": ("nbgrader's submitted folder", "ann"),
    "nbgrader's exchange": ("nbgrader's exchange", "ann"),
    "Canvas": ("Canvas", "doejane"),
    "Blackboard": ("Blackboard", "jdoe"),
    "Sakai": ("Sakai", "Doe, Jane"),
    "ILIAS": ("ILIAS", "Doe_Jane_jdoe_4711"),
    "GitHub Classroom": ("GitHub Classroom", "jdoe"),
}


def test_the_page_names_every_layout():
    assert len(ROWS) == 12
    assert {row for row, _ in ROWS} >= set(KNOWN)


@pytest.mark.parametrize(("what", "path"), ROWS, ids=lambda value: value)
@pytest.mark.parametrize("pack", [as_zip, as_folder])
def test_every_name_on_the_page_is_read_as_the_page_says(tmp_path, what, path, pack):
    path = path.removeprefix("class/")  # the folder that is given
    files = [path] + ([f"{path.split('/')[0]}/submission_metadata.yml"] if what == "Gradescope" else [])
    submissions = pack(tmp_path, files, dict.fromkeys(files[1:], METADATA))
    room = collect(submissions, [NAME], scratch=tmp_path / "scratch")
    layout, name = KNOWN.get(what, (what, "Jane Doe"))
    assert room.notes[0] == f"Layout: {layout}."
    assert [(found.name, found.path is not None) for found in room.found] == [(name, True)]


@pytest.mark.parametrize("word", ["Brightspace", "Blackboard", "Gradescope", "nbgrader's exchange", "Sakai"])
def test_the_platforms_that_tell_a_time_are_those_of_the_page(word):
    assert word in DATES.partition("Canvas tells only")[0]
    rules = {rule.name: rule for rule in vars(layouts).values() if isinstance(rule, layouts.Layout)}
    timed = [pattern for pattern in (rules[word].folder, rules[word].file) if pattern and "time" in pattern.groupindex]
    assert timed or rules[word].stamped or word == "Gradescope"


@pytest.mark.parametrize("word", ["Moodle", "GitHub Classroom"])
def test_the_platforms_that_tell_none_are_those_of_the_page(word):
    assert word in DATES.partition("Canvas tells only")[2].partition("tell nothing")[0]
    rule = next(r for r in vars(layouts).values() if isinstance(r, layouts.Layout) and r.name == word)
    assert not rule.stamped
    assert not rule.tells_late


def test_every_layout_names_its_source():
    told = layouts.__doc__.replace("\n  ", " ")
    for rule in vars(layouts).values():
        if isinstance(rule, layouts.Layout) and rule.name not in ("a folder a student", "STUDENT_NOTEBOOK files"):
            word = rule.name.partition(" (")[0].replace("nbgrader's submitted folder", "nbgrader's")
            assert re.search(rf"\*\*{re.escape(word)}", told) or word in told, rule.name
