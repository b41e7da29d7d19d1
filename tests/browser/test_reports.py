"""Report and feedback in a real browser: every column is wide enough to read, links work, axe finds nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import SCREENSHOTS, violations, watched
from tests.fixtures.hostile_room import ATTACKS
from tests.fixtures.small_class import LATE, SECOND, SmallClass, released
from tests.fixtures.tiny_class import GOOD_LATE, GOOD_RATE, NAME, tiny, write

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
RATES = [
    GOOD_RATE,
    *(f"def mean_rate(rates):\n    return {text}" for text in ("sum(rates) / 3", "0", "max(rates)", "rates[0]")),
]
LATES = [
    GOOD_LATE,
    *(f"def late(minutes):\n    return {text}" for text in ("[m > 15 for m in minutes]", "[True]", "[]")),
]
# Words of up to 15 letters that a cell breaks in two, and cells in which there is room for fewer than four letters.
TORN = """() => [...document.querySelectorAll('td, th')].flatMap(cell => {
    const torn = [], texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    if (cell.innerText.trim() && cell.clientWidth < 36) torn.push(`${cell.clientWidth}px: ${cell.innerText}`);
    while (texts.nextNode()) for (const found of texts.currentNode.data.matchAll(/\\S+/g)) {
        if (found[0].length > 15 || /[-\\u00ad]/.test(found[0])) continue;
        const word = document.createRange();
        word.setStart(texts.currentNode, found.index);
        word.setEnd(texts.currentNode, found.index + found[0].length);
        if (new Set([...word.getClientRects()].map(box => box.top)).size > 1) torn.push(found[0]);
    }
    return torn;
})"""


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> SmallClass:
    """A class of fourteen and some who are special, two notebooks, all that a report can show."""
    room = SmallClass(tmp_path_factory.mktemp("report"), released(), released(name=SECOND))
    for k in range(14):
        room.hand_in(f"student {k:02}", rate=RATES[k % 5 * (k % 3 > 0)], late=LATES[k % 4], when=LATE)
        if k % 2:
            room.hand_in(f"student {k:02}", name=SECOND, rate=RATES[k % 5], answer=f"Answer {k}.")
    write(room.room, f"untouched/{NAME}", tiny().learner, name=f"{NAME}.ipynb")
    write(room.room, f"broken/{NAME}", "{ no JSON", name=f"{NAME}.ipynb")
    room.hand_in(f"{ATTACKS[1]}".replace("/", "%2F")[:90], rate=f"raise ValueError({ATTACKS[1]!r})")
    room.hand_in("a" * 60, rate=f"raise ValueError({'b' * 500!r})")
    room.grade(due={NAME: "2026-01-02 00:00:00 UTC"}, late="zero", extensions={"student 01": "3 days"})
    room.give("student 01", "interview-1", 3)
    room.comment("student 01", "interview-1", "Well put.")
    room.export()
    return room


def opened(page: Page, room: SmallClass, path: str = "report.html") -> Page:
    page.goto((room.out / path).as_uri())
    for more in page.locator("details").all():
        more.evaluate("e => e.open = true")
    return page


@pytest.mark.parametrize("width", [1280, 760, pytest.param(390, marks=pytest.mark.nightly)])
def test_every_column_of_the_report_is_wide_enough_to_read(page, room, width):
    page.set_viewport_size({"width": width, "height": 900})
    opened(page, room).screenshot(path=SCREENSHOTS / f"report-{width}.png", full_page=True)
    assert page.evaluate(TORN) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    ("path", "scheme"),
    [
        ("report.html", "page"),
        (f"feedback/student 01/{NAME}.html", "page"),
        (f"feedback/untouched/{NAME}.html", "dark_page"),
        pytest.param("report.html", "dark_page", marks=pytest.mark.nightly),
        pytest.param(f"feedback/broken/{NAME}.html", "page", marks=pytest.mark.nightly),
    ],
)
def test_axe_finds_nothing_in_report_and_feedback(request, room, path, scheme):
    page = opened(request.getfixturevalue(scheme), room, path)
    assert page.get_by_role("main").count() == 1
    page.screenshot(path=SCREENSHOTS / f"{path.replace('/', '-')[:-5]}-{scheme}.png", full_page=True)
    assert violations(page) == []


def test_a_click_on_a_students_points_opens_their_feedback_and_nothing_runs(page, room):
    changes = watched(page)
    students = opened(page, room).get_by_role("region", name="Students")
    students.get_by_role("row", name="student 01").get_by_role("link").first.click()
    page.get_by_text("Well put.").wait_for()
    assert page.get_by_role("main").get_by_text("student 01").count()
    opened(page, room)
    students.get_by_role("row", name="onerror").get_by_role("link").first.click()
    page.get_by_text("onerror").first.wait_for()
    assert changes == []
