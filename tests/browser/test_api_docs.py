"""The API's page for people, on the real service: drawn from its own document, a flight is asked for, and refused."""

from __future__ import annotations

import sys

import pytest

from course_lib import packaging, processes
from tests.browser.conftest import SCREENSHOTS, violations

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def desk():
    port = processes.free_port()
    command = [sys.executable, "-m", "course_lib.serving", "--bundle", packaging.desk_bundle(), "--port", str(port)]
    with processes.Server("desk", command, port=port, ready_path="/ready", timeout=240) as server:
        server.wait_ready()
        yield server


@pytest.fixture
def docs(page, desk):
    page.goto(f"{desk.url}/docs")
    page.get_by_text("POST /predict", exact=True).wait_for()
    return page


def test_every_operation_of_the_document_is_on_the_page(docs, desk):
    document = docs.request.get(f"{desk.url}/openapi.json").json()
    operations = [f"{m.upper()} {path}" for path, methods in document["paths"].items() for m in methods]

    assert docs.locator("summary b").all_inner_texts() == operations
    assert docs.locator("h1").inner_text().startswith("Late-flight desk")


def test_a_flight_is_asked_for_and_nonsense_is_refused(docs):
    docs.get_by_text("POST /predict", exact=True).click()
    docs.get_by_role("button", name="Send POST /predict", exact=True).click()
    docs.get_by_text("late_probability").and_(docs.locator("pre")).wait_for()
    assert docs.locator(".good").inner_text().startswith("200")
    docs.screenshot(path=SCREENSHOTS / "api-docs.png", full_page=True)

    body = docs.get_by_label("Body, JSON").first
    body.fill(body.input_value().replace('"EWR"', '"XXX"'))
    docs.get_by_role("button", name="Send POST /predict", exact=True).click()
    docs.locator(".bad").wait_for()
    assert docs.locator(".bad").inner_text().startswith("422")
    assert "origin" in docs.locator("pre").inner_text()


def test_everybody_can_use_it(docs):
    docs.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert violations(docs) == []
