"""An instructor's hour in nbgrader's formgrader: read an answer, give points and a comment, grade again, and keep them."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from course_lib import processes
from tests.browser.conftest import SCREENSHOTS
from tests.fixtures.grade_tiny import grade_tiny
from tests.fixtures.tiny_class import ANSWER, NAME, handed_in, tiny, write

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
COMMENT = "Right, and the number makes it convincing."
HERE = "xpath=ancestor::div[contains(@class, 'nbgrader_cell')]"


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
    """The Jupyter server that docs/instructor.md starts in the graded folder."""
    home, port = tmp_path_factory.mktemp("home"), processes.free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=", "--LabApp.news_url=None"]
    env = {name: str(home) for name in ("HOME", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    server = processes.Server(
        "formgrader", command, port=port, ready_path="/api/status", env=env, cwd=room / "grades", timeout=120
    )
    with server:
        server.wait_ready()
        yield server


def grade_of_the_answer(server: processes.Server) -> dict:
    """What the gradebook holds for ann's written answer."""
    with httpx.Client(base_url=f"{server.url}/formgrader/api", timeout=60, follow_redirects=True) as client:
        submitted = client.get(f"submitted_notebooks/{NAME}/{NAME}").json()
        (ann,) = [submission for submission in submitted if submission["student"] == "ann"]
        grades = client.get("grades", params={"submission_id": ann["id"]}).json()
    (answer,) = [grade for grade in grades if grade["name"] == "interview-1"]
    return answer


def score_in_the_table(room: Path) -> float:
    with (room / "grades" / "grades.csv").open() as file:
        return next(float(row["score"]) for row in csv.DictReader(file) if row["student"] == "ann")


def test_points_for_a_written_answer_are_given_in_the_browser_and_survive_another_grading(page, formgrader, room):
    # 1. From the list of assignments to ann's answer, by the links a person clicks.
    page.goto(f"{formgrader.url}/formgrader/manual_grading")
    page.get_by_role("link", name=NAME).first.click()
    page.get_by_role("link", name=NAME).first.click()
    page.get_by_role("link", name="Submission #1").wait_for()
    page.screenshot(path=SCREENSHOTS / "formgrader-submissions.png")
    answer = None
    for number in (1, 2):  # their order is random: graders don't see names
        page.goto(f"{formgrader.url}/formgrader/gradebook/{NAME}/{NAME}")
        page.get_by_role("link", name=f"Submission #{number}").click()
        page.locator("input.score").first.wait_for()
        answer = page.get_by_text(ANSWER)
        if answer.count():
            break
    answer.scroll_into_view_if_needed()

    # 2. Three of four points and a comment; both are saved when the field is left.
    score = page.locator("input.score:not([disabled])").last
    comment = page.locator("textarea.comment").last
    with page.expect_response(lambda r: "/api/grade/" in r.url and r.request.method == "PUT") as saved:
        score.fill("3")
        score.blur()
    assert saved.value.ok
    with page.expect_response(lambda r: "/api/comment/" in r.url and r.request.method == "PUT") as saved:
        comment.fill(COMMENT)
        comment.blur()
    assert saved.value.ok
    page.screenshot(path=SCREENSHOTS / "formgrader-answer.png")
    assert grade_of_the_answer(formgrader)["manual_score"] == 3

    # 3. The class is graded again, every notebook anew: the points of a person stay, and count.
    before = score_in_the_table(room)
    grade_tiny(room / "class", room / "grades")
    kept = grade_of_the_answer(formgrader)
    assert (kept["manual_score"], kept["needs_manual_grade"]) == (3, False)
    assert score_in_the_table(room) == before + 3
    page.reload()
    page.locator("textarea.comment").last.wait_for()
    page.wait_for_function(
        "text => [...document.querySelectorAll('textarea.comment')].some(a => a.value === text)", arg=COMMENT
    )
    assert page.locator("input.score:not([disabled])").last.input_value() == "3"
