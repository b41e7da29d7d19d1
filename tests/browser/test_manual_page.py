"""The page for grading by hand in a browser: the answer is in sight, points are saved, no learner's word runs."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import uvicorn
from markdown_it import MarkdownIt

from autograder.grading.manual import page as shown_as, server, views
from autograder.grading.manual.questions import read_notebook
from autograder.reports.page import render_page
from course_lib.processes import wait_until
from tests.browser.conftest import SCREENSHOTS, violations, watched
from tests.fixtures.hostile_room import hostile_room
from tests.fixtures.small_class import SmallClass
from tests.fixtures.tiny_class import ANSWER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
TOKEN = "a-token-of-a-test"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the page of a graded class; yield its whole address."""
    config = uvicorn.Config(server.grading_app(folder, TOKEN), port=0, log_level="error", access_log=False)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        wait_until(lambda: running.started, timeout=60, what="the grading page")
        port = running.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/?token={TOKEN}"
    finally:
        running.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def class_of_four(tmp_path_factory) -> SmallClass:
    room = SmallClass(tmp_path_factory.mktemp("manual"))
    long = "\n\n".join([ANSWER, "| low | high |\n|---|---|\n| 1 | 36 |", "A word " * 300, "`" + "x" * 300 + "`"])
    for student, answer in (
        ("ann", ANSWER),
        ("ben", long),
        ("cem", "# Big\n\n> said\n\n1. one\n2. two"),
        ("dora", "No."),
    ):
        room.hand_in(student, answer=answer)
    room.grade()
    return room


def turn(page: Page) -> bool:
    """Go to the next answer, and wait for it; say whether there is one."""
    following = page.get_by_role("link", name="Next")
    if not following.count():
        return False
    with page.expect_navigation():
        following.click()
    page.get_by_role("heading", name="The answer").wait_for()
    return True


def open_question(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("link", name="Interview question").click()
    page.get_by_role("heading", name="The answer").wait_for()


def seen_in_window(page: Page, words: str) -> bool:
    return bool(page.get_by_text(words).first.evaluate("e => e.getBoundingClientRect().bottom <= innerHeight"))


def test_an_instructor_grades_one_answer_after_another(page, class_of_four):
    changes = watched(page)
    with served(class_of_four.out) as address:
        page.goto(address)
        assert "token" not in page.url  # a cookie since
        page.get_by_role("link", name="Interview question").click()
        for number in range(1, 5):
            page.get_by_role("heading", name="The answer").wait_for()
            assert seen_in_window(page, "The answer")
            assert page.get_by_role("button", name="Save, and next").evaluate(
                "e => e.getBoundingClientRect().bottom <= innerHeight"
            )  # without scrolling
            page.keyboard.press("Space") if number % 2 else page.get_by_role("checkbox").nth(1).press("Space")
            page.get_by_label("Comment to the learner").fill(f"Comment {number}")
            if number == 1:
                page.screenshot(path=SCREENSHOTS / "manual-answer.png")
            with page.expect_navigation():
                if number == 2:
                    page.get_by_role("checkbox").nth(1).press("Enter")
                else:
                    page.get_by_role("button", name="Save, and next").click()
        page.get_by_text("No answer waits.").wait_for()
        page.screenshot(path=SCREENSHOTS / "manual-overview.png")
    assert len(changes) == 4
    class_of_four.export()
    assert sorted(class_of_four.total(student) for student in ("ann", "ben", "cem", "dora")) == [8, 8, 10, 10]
    assert re.search(r"Comment [1-4]", class_of_four.feedback("ann"))


@pytest.mark.parametrize("scheme", ["page", pytest.param("dark_page", marks=pytest.mark.nightly)])
def test_axe_finds_nothing_on_any_page(request, class_of_four, scheme):
    page = request.getfixturevalue(scheme)
    with served(class_of_four.out) as address:
        page.goto(address)
        assert violations(page) == []
        page.get_by_role("link", name="Interview question").click()
        page.get_by_role("heading", name="The answer").wait_for()
        for _ in range(3):
            for more in page.locator("details").all():
                more.evaluate("e => e.open = true")
            assert violations(page) == []
            assert turn(page)
        page.get_by_label("Points, of 4").fill("9")
        page.get_by_role("button", name="Save, and next").click()
        page.get_by_role("alert").wait_for()
        assert violations(page) == []
        page.context.clear_cookies()
        page.reload()
        assert violations(page) == []


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.nightly), 760])
def test_nothing_is_wider_than_the_window(page, class_of_four, width):
    page.set_viewport_size({"width": width, "height": 900})
    with served(class_of_four.out) as address:
        open_question(page, address)
        for number in range(4):
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            if number == 1:
                page.screenshot(path=SCREENSHOTS / f"manual-{width}.png", full_page=True)
            assert turn(page) == (number < 3)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    return hostile_room(tmp_path_factory.mktemp("hostile"))


def visit_all(page: Page, address: str) -> str:
    """Open every answer, with all that is folded; return the text of all pages."""
    open_question(page, address)
    texts = []
    while True:
        for more in page.locator("details").all():
            more.evaluate("e => e.open = true")
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        texts.append(page.inner_text("body").replace("\u200b", ""))
        if not turn(page):
            return "\n".join(texts)


def test_nothing_of_a_submission_runs_or_is_fetched(page, hostile):
    changes, asked = watched(page), []
    page.on("request", lambda request: asked.append(request.url))
    with served(hostile / "grades") as address:
        text = visit_all(page, address)
        page.screenshot(path=SCREENSHOTS / "manual-hostile.png", full_page=True)
        here = address.split("/?")[0]
    assert changes == []
    assert [url for url in asked if not url.startswith((here, "data:"))] == []
    for words in (
        "My words stay.",
        "<script>fetch(",
        "<img src=x onerror=",
        "When few values are extreme",
        "$a<b$ & more.",
    ):
        assert words in text
    assert page.locator("main script, main iframe, main svg, main video").count() == 0


def test_an_ordinary_answer_looks_as_it_was_written(page, hostile):
    with served(hostile / "grades") as address:
        open_question(page, address)
        while not page.get_by_text("few values").count():
            assert turn(page), "no page shows it"
        assert page.locator(".answer strong", has_text="few values").count() == 1
        assert page.locator(".answer td", has_text="36").count() == 1
        assert "a<b and x[0](1):" in page.inner_text(".answer").replace("\u200b", "")


def test_the_same_answers_as_html_without_the_policy_would_send_something(page, hostile, monkeypatch):
    """What these tests watch for happens, when HTML is HTML and scripts are not forbidden."""

    def without_policy(*words, **values):
        return re.sub(r"<meta http-equiv=[^>]+>", "", render_page(*words, **values))

    def unparted(path):
        notebook = read_notebook(path)
        for cell in notebook.cells if notebook else ():
            cell.source = cell.source.replace("\u200b", "")
        return notebook

    monkeypatch.setattr(shown_as, "_reader", lambda: MarkdownIt("commonmark", {"html": True}))
    monkeypatch.setattr(server, "_HEADERS", {})
    monkeypatch.setattr(server, "render_page", without_policy)
    monkeypatch.setattr(views, "read_notebook", unparted)
    changes = watched(page)
    with served(hostile / "grades") as address:
        visit_all(page, address)
    assert any("/api/contents/owned.txt" in change for change in changes)
