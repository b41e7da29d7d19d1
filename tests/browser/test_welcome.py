"""The welcome page: what it shows, that it follows the learner, and that a keyboard is enough."""

from __future__ import annotations

import json
import time

import pytest

from course_lib import progress
from tests.browser.conftest import NOTEBOOKS, SCREENSHOTS, violations, wait_for_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture
def kept(home):
    """The file in which the kernels of this server keep the progress; it goes with the test."""
    file = home / "course" / "notebooks" / progress.FILE
    yield file
    file.unlink(missing_ok=True)


def pass_exercise(file, number, status="passed"):
    outcome = progress.Outcome(exercise=number, status=status, points=2.0, at=time.time())
    assert progress.record(outcome, file)


def first_card(page):
    return page.locator("#notebooks > li").first


def open_welcome(page, lab):
    page.goto(f"{lab.url}/")
    page.wait_for_url("**/course/**")
    page.locator("#notebooks > li").nth(len(NOTEBOOKS) - 1).wait_for()


def test_jupyterlab_opens_on_the_notebooks_the_next_step_and_the_engines(page, lab):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_welcome(page, lab)
    page.locator("#engines-all").wait_for()

    assert page.locator("#notebooks > li a").count() == len(NOTEBOOKS)
    assert page.locator("#next").inner_text().startswith("Start notebook 1")
    assert "scikit-learn" in page.locator("#engines").text_content()
    assert page.locator("main").inner_text().count("not started") == len(NOTEBOOKS)
    page.screenshot(path=SCREENSHOTS / "welcome-light.png", full_page=True)
    assert not errors


def test_the_page_sends_back_the_token_of_its_cookie(page, lab):
    """JupyterHub's single-user servers answer 403 without, also to a GET (tried with JupyterHub 6.1.1)."""
    with page.expect_request("**/course/api/progress") as asked:
        open_welcome(page, lab)
    cookies = {c["name"]: c["value"] for c in page.context.cookies() if c["path"] == "/"}
    assert asked.value.headers["x-xsrftoken"] == cookies["_xsrf"].strip('"')


def test_the_page_follows_what_the_checks_say_without_being_loaded_again(page, lab, kept):
    open_welcome(page, lab)
    pass_exercise(kept, "1.1")
    first_card(page).get_by_text("1 of 6 exercises").wait_for()
    assert "exercise 1.2" in page.locator("#next").inner_text()

    pass_exercise(kept, "1.1", "failed")  # the answer was edited since
    first_card(page).get_by_text("0 of 6 exercises").wait_for()
    assert page.locator("#next").inner_text().startswith("Fix exercise 1.1")


def test_a_dark_system_gets_a_dark_page_and_a_dark_jupyterlab(dark_page, lab, kept):
    pass_exercise(kept, "1.1")
    open_welcome(dark_page, lab)
    colour = dark_page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert max(json.loads(colour.replace("rgb(", "[").replace(")", "]"))) < 64
    dark_page.locator("#engines-all").wait_for()
    dark_page.screenshot(path=SCREENSHOTS / "welcome-dark.png", full_page=True)

    dark_page.goto(f"{lab.url}/lab/workspaces/dark/tree/notebooks/{NOTEBOOKS[0]}.ipynb?reset")
    wait_for_notebook(dark_page, NOTEBOOKS[0])
    dark_page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    dark_page.wait_for_selector(".jp-RenderedMermaid img, .jp-RenderedMermaid svg")
    dark_page.screenshot(path=SCREENSHOTS / "01-dark.png")


@pytest.mark.parametrize("scheme", ["page", "dark_page"])
def test_axe_finds_nothing_on_the_page_light_or_dark(request, lab, kept, scheme):
    page = request.getfixturevalue(scheme)
    pass_exercise(kept, "1.1")
    pass_exercise(kept, "1.2", "failed")
    open_welcome(page, lab)
    page.locator("#engines-all summary").click()
    page.locator("#engines > tr").first.wait_for()

    assert violations(page) == []


def test_a_keyboard_is_enough_to_open_the_first_notebook(page, lab):
    open_welcome(page, lab)
    first = page.locator("#notebooks > li a").first
    for _ in range(20):
        page.keyboard.press("Tab")
        if first.evaluate("link => link === document.activeElement"):
            break
    assert first.evaluate("link => getComputedStyle(link).outlineStyle") != "none"  # one sees where one is
    page.keyboard.press("Enter")

    wait_for_notebook(page, NOTEBOOKS[0])


def test_learners_see_the_parts_of_nbgrader_that_are_theirs(page, lab):
    page.goto(f"{lab.url}/lab/workspaces/parts/tree/notebooks/{NOTEBOOKS[0]}.ipynb?reset")
    wait_for_notebook(page, NOTEBOOKS[0])
    page.get_by_role("button", name="Validate").wait_for()

    assert page.get_by_role("menuitem", name="Nbgrader").count() == 0
    page.get_by_role("menuitem", name="Help").click()
    with page.context.expect_page() as opened:
        page.get_by_role("menuitem", name="Course: progress and next step").click()
    opened.value.locator("#notebooks > li").nth(len(NOTEBOOKS) - 1).wait_for()
