"""An instructor in nbgrader's formgrader: read an answer, give points and a comment, grade again, and keep them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.browser.conftest import SCREENSHOTS, formgrader_in
from tests.fixtures.grade_tiny import grade_tiny
from tests.fixtures.tiny_class import ANSWER, NAME, handed_in, tiny, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from course_lib import processes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
WORDS = "Right, and the number makes it convincing."
SCORE, COMMENT = "input#interview-1", "textarea#interview-1-comment"
TO_GRADE = f"{SCORE}.needs_manual_grade"  # the page has loaded what the gradebook holds


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    """A graded class of two."""
    folder = tmp_path_factory.mktemp("formgrader")
    write(folder / "class", "ann", handed_in())
    write(folder / "class", "ben", tiny().learner)
    grade_tiny(folder / "class", folder / "grades")
    return folder


@pytest.fixture(scope="module")
def formgrader(room, tmp_path_factory) -> Iterator[processes.Server]:
    with formgrader_in(room / "grades", tmp_path_factory.mktemp("home")) as server:
        yield server


def grade_of_the_answer(server: processes.Server) -> dict:
    """What the gradebook holds for ann's written answer."""
    with httpx.Client(base_url=f"{server.url}/formgrader/api", timeout=60, follow_redirects=True) as client:
        submitted = client.get(f"submitted_notebooks/{NAME}/{NAME}").json()
        (ann,) = [submission for submission in submitted if submission["student"] == "ann"]
        grades = client.get("grades", params={"submission_id": ann["id"]}).json()
    (answer,) = [grade for grade in grades if grade["name"] == "interview-1"]
    return answer


def saves(what: str):
    """Whether a response is to the request that saves a grade or a comment."""
    return lambda response: f"/api/{what}/" in response.url and response.request.method == "PUT"


def row_of_ann(room: Path) -> tuple[float, float, float]:
    """Ann's automatic points, those of a person, and the total, in the table that the grader writes."""
    with (room / "grades" / "grades.csv").open() as file:
        (row,) = [row for row in csv.DictReader(file) if row["student"] == "ann"]
    return float(row["score"]), float(row["manual"]), float(row["total"])


def test_points_for_a_written_answer_are_given_in_the_browser_and_survive_another_grading(page, formgrader, room):
    # 1. From the list of assignments to ann's answer, by the links a person clicks.
    page.goto(f"{formgrader.url}/formgrader/gradebook")
    page.locator("tbody").get_by_role("link", name=NAME, exact=True).click()
    page.wait_for_url(f"**/formgrader/gradebook/{NAME}")
    page.locator("tbody").get_by_role("link", name=NAME, exact=True).click()
    page.wait_for_url(f"**/formgrader/gradebook/{NAME}/{NAME}")
    page.get_by_role("link", name="Submission #2").wait_for()
    page.screenshot(path=SCREENSHOTS / "formgrader-submissions.png")
    for number in (1, 2):  # in random order and without names, so that graders don't look at them
        page.get_by_role("link", name=f"Submission #{number}").click()
        page.wait_for_selector(SCORE)
        if page.get_by_text(ANSWER).count():
            break
        page.go_back()  # ben wrote nothing, and nothing is left to grade by hand
    page.wait_for_selector(TO_GRADE)
    page.get_by_text(ANSWER).scroll_into_view_if_needed()

    # 2. Three of four points and a comment; both are saved when the field is left.
    with page.expect_response(saves("grade")) as saved:
        page.fill(SCORE, "3")
        page.locator(SCORE).blur()
    assert saved.value.ok
    with page.expect_response(saves("comment")) as saved:
        page.fill(COMMENT, WORDS)
        page.locator(COMMENT).blur()
    assert saved.value.ok
    page.screenshot(path=SCREENSHOTS / "formgrader-answer.png")
    assert grade_of_the_answer(formgrader)["manual_score"] == 3

    # 3. The class is graded again: the points of a person stay, and count.
    assert row_of_ann(room) == (7, 0, 7)
    grade_tiny(room / "class", room / "grades")
    assert row_of_ann(room) == (7, 3, 10)
    kept = grade_of_the_answer(formgrader)
    assert (kept["manual_score"], kept["needs_manual_grade"]) == (3, False)
    page.reload()
    for selector, text in ((SCORE, "3"), (COMMENT, WORDS)):
        page.wait_for_function("([field, text]) => document.querySelector(field)?.value === text", arg=[selector, text])
