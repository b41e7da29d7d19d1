"""A learner who wants to act with the instructor's session: nothing of a submission runs in the formgrader."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import SCREENSHOTS, formgrader_in, watched
from tests.fixtures.hostile_room import hostile_room
from tests.fixtures.tiny_class import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from course_lib import processes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_room(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def formgrader(room: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[processes.Server]:
    with formgrader_in(room / "grades", tmp_path_factory.mktemp("home")) as server:
        yield server


def submissions(page: Page, formgrader: processes.Server) -> dict[str, str]:
    """The address of each submission's page, by student."""
    answer = page.request.get(f"{formgrader.url}/formgrader/api/submitted_notebooks/{NAME}/{NAME}")
    return {one["student"]: f"{formgrader.url}/formgrader/submissions/{one['id']}" for one in answer.json()}


def seen(page: Page, address: str) -> str:
    """Open a submission's page, wait until all of it is there, and return its text."""
    page.goto(address)
    page.wait_for_selector("#notebook-container .cell, #notebook-container div")
    page.wait_for_load_state("load")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.inner_text("body").replace("\u200b", "")


def test_nothing_of_a_submission_runs_with_the_rights_of_the_instructor(page, formgrader, room):
    changes, students = watched(page), submissions(page, formgrader)
    assert len(students) == 4
    texts = {student: seen(page, address) for student, address in students.items()}
    page.goto(students["mallory"])
    page.screenshot(path=SCREENSHOTS / "formgrader-hostile.png", full_page=True)
    for place in (
        "gradebook",
        f"gradebook/{NAME}",
        f"gradebook/{NAME}/{NAME}",
        "manage_students",
        f"manage_submissions/{NAME}",
    ):
        page.goto(f"{formgrader.url}/formgrader/{place}")
        page.wait_for_selector("tbody tr td")
    assert changes == []
    assert not list(room.glob("grades/owned*"))
    for words in ("My words stay.", "Mine too.", "<script>fetch(", "<img src=x onerror=", "A cell of a table."):
        assert words in texts["mallory"]
    assert "could not be graded" in texts["rejected"]
    assert "[me](javascript:alert(1))" in texts["rejected"]


def test_an_ordinary_answer_looks_as_it_was_written(page, formgrader):
    text = seen(page, submissions(page, formgrader)["ann"])
    assert "When few values are extreme, so a<b and x[0](1):" in text
    assert page.locator("#notebook-container strong", has_text="few values").count() == 1
    assert page.locator("#notebook-container td", has_text="36").count() == 1
    assert "$a<b$ & more." in text or page.locator(".MathJax, mjx-container").count()


def test_the_same_cells_unchanged_would_write_a_file(page, formgrader, room):
    """What this test watches for happens, when the copy is the file that was handed in."""
    place = room / "grades" / "autograded" / "mallory" / NAME / f"{NAME}.ipynb"
    kept = place.read_bytes()
    shutil.copy(room / "grades" / "submitted" / "mallory" / NAME / f"{NAME}.ipynb", place)
    try:
        with page.expect_response(lambda response: response.request.method == "PUT") as answered:
            page.goto(submissions(page, formgrader)["mallory"])
        assert answered.value.ok
        assert (room / "grades" / "owned.txt").exists()
    finally:
        place.write_bytes(kept)
        (room / "grades" / "owned.txt").unlink(missing_ok=True)
