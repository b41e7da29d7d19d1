"""The built site: complete, every link leads somewhere, and nothing on it comes from another machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from course_lib import interview

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
MAIN = ("index", "glossary", "evidence", "interview/index", "interview/06", "api/index", "api/monitoring", "search")

pytestmark = pytest.mark.timeout(1200)


@dataclass
class Page(HTMLParser):
    """What a page offers to links, and what it links to and loads."""

    places: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.places.update(values[name] for name in ("id", "name") if name in values)
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") in {"stylesheet", "preload", "icon"}:
            self.loads.append(values["href"])
        elif "src" in values:
            self.loads.append(values["src"])


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Page]:
    """All pages of the site, read."""
    found = {}
    for path in site.rglob("*.html"):
        if "_static" not in path.relative_to(site).parts:
            found[path] = Page()
            found[path].feed(path.read_text(encoding="utf-8"))
    return found


def _targets(page: Path, addresses: list[str]) -> Iterator[tuple[str, Path, str]]:
    """The addresses that stay within the site, with the file and the place that they name."""
    for address in addresses:
        parts = urlsplit(address)
        if not parts.scheme and not parts.netloc:
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            yield address, target / "index.html" if target.is_dir() else target, unquote(parts.fragment)


def test_every_notebook_question_room_and_document_has_its_page(site):
    expected = [*MAIN, "docs/grading", "CONTRIBUTING", *(f"notebooks/{name}" for name in NOTEBOOKS)]
    assert not [name for name in expected if not (site / f"{name}.html").is_file()]
    topics = sorted(path.stem for path in (site / "interview").glob("[0-9]*.html"))
    assert topics == sorted({question.notebook for question in interview.load()})


def test_no_internal_link_is_broken(pages):
    broken = [
        f"{page.name} → {address}"
        for page, content in pages.items()
        for address, target, place in _targets(page, content.links + content.loads)
        if not target.is_file() or (place and target in pages and place not in pages[target].places)
    ]
    assert not broken


def test_no_page_loads_anything_from_another_machine(pages, site):
    loaded = {address for content in pages.values() for address in content.loads}
    assert not [address for address in loaded if urlsplit(address).netloc]
    styles = [path.read_text(encoding="utf-8") for path in (site / "_static").rglob("*.css")]
    assert not [text for text in styles if re.search(r"url\(['\"]?(https?:)?//|@import\s+['\"]?(https?:)?//", text)]


def test_every_question_links_to_the_exercises_that_prove_it(site):
    for number in (name[:2] for name in NOTEBOOKS):
        text = (site / "interview" / f"{number}.html").read_text(encoding="utf-8")
        linked = set(re.findall(r'href="\.\./notebooks/[^"#]*#(ex-\d+-\d+)"', text))
        taught = [proof for q in interview.load() if q.notebook == number for proof in q.proof]
        assert {name for name in taught if name.startswith(f"ex-{int(number)}-")} <= linked


def test_notebooks_are_shown_as_a_learner_gets_them(site):
    text = (site / "notebooks" / "06_monitoring.html").read_text(encoding="utf-8")
    assert "NotImplementedError" in text
    assert "BEGIN SOLUTION" not in text
    assert "BEGIN HIDDEN TESTS" not in text


def test_the_reference_holds_a_function_with_its_docstring(site):
    text = (site / "api" / "monitoring.html").read_text(encoding="utf-8")
    assert 'id="course_lib.monitoring.statistics.psi"' in text
    assert "Parameters" in text


@pytest.mark.browser
@pytest.mark.parametrize("name", [*MAIN, *(f"notebooks/{name}" for name in NOTEBOOKS)])
def test_a_page_opens_without_an_error_and_without_a_request_to_other_machines(page, site, name):
    errors, requests = [], []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((site / f"{name}.html").as_uri())
    page.locator("h1 >> visible=true").first.wait_for()
    for index in range(page.locator("pre.mermaid").count()):
        page.locator("pre.mermaid").nth(index).locator("svg").wait_for()
    assert not errors
    assert not [url for url in requests if urlsplit(url).scheme not in {"file", "data", "blob"}]


@pytest.mark.browser
def test_diagrams_and_formulas_are_drawn(page, site):
    page.goto((site / "notebooks" / "04_end_to_end_deployment.html").as_uri())
    drawing = page.locator("pre.mermaid svg").first
    drawing.wait_for()
    assert "Data validation" in drawing.text_content()
    box = page.locator("div.math math").first.bounding_box()
    assert box is not None
    assert box["width"] > 200


@pytest.mark.browser
def test_the_search_finds_a_term(page, site):
    page.goto((site / "search.html").as_uri() + "?q=canary")
    page.locator("#search-results a").first.wait_for()
    assert page.locator("#search-results a").count() >= 2


@pytest.mark.browser
def test_a_question_unfolds_what_a_good_answer_holds(page, site):
    page.goto((site / "interview" / "06.html").as_uri())
    point = page.get_by_text("many features need a correction")
    assert not point.is_visible()
    page.locator("summary", has_text="What a good answer holds").first.click()
    point.wait_for(state="visible")
