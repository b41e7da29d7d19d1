"""Pages made from templates: what strangers wrote is text, nothing is loaded, and the templates are shipped."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from jinja2 import UndefinedError

from autograder.course.model import CourseReport, EngineReport, ExerciseReport, NotebookReport
from autograder.course.report import report_page
from autograder.model import Check, CheckResult, Exercise, GradebookRow, NotebookSpec, Refusal, Result
from autograder.projects.report import as_html
from autograder.reports.class_report import ClassReport, report_html, summary
from autograder.reports.feedback import feedback_html
from autograder.reports.page import render_page

ROOT = Path(__file__).parents[3]
HARMLESS = "plain"
EVIL = """<script>alert("1")</script> </style> '{{ 7*7 }}' {% raw %} <img src=x onerror="x"> &amp; "><b>"""


def assignment(text: str):
    def check(number: int, kind: str) -> Check:
        return Check(text, text, kind, number)

    exercise = Exercise(text, text + ".", text, (check(1, "visible"), check(2, "hidden")))
    spec = NotebookSpec(text, text, (exercise,), (check(3, "manual"),))
    return SimpleNamespace(name=text, spec=spec, hints={text: (f"{text}\n\nor `{text}`",)})


def result(text: str) -> Result:
    spec = assignment(text).spec
    checks = [*spec.exercises[0].checks, *spec.manual]
    earned = [CheckResult(check, points, text) for check, points in zip(checks, (0.0, 1.0, None), strict=True)]
    return Result(text, text, "failed", tuple(earned), text, (text,), 1.0, 1.0, text, {"cached": text})


def row(graded: Result, text: str) -> GradebookRow:
    """Return a row of the gradebook, with a comment on a cell that is shown and on one that is not."""
    return GradebookRow(graded, text, text, 1.0, 1.0, 9.0, comments={text: text, "elsewhere": text})


def feedback(text: str) -> str:
    return feedback_html(row(result(text), text), assignment(text))


def class_report(text: str) -> str:
    graded, rejected = result(text), replace(result(text), status="rejected")
    rows = tuple(row(r, text) for r in (graded, graded, rejected))
    report = ClassReport((assignment(text),), rows, (Refusal(text, text),), text, text, 1, 1.0, (text,), (text,))
    return report_html(summary(report, limits={"limit": text}))


def course_report(text: str) -> str:
    engines = (EngineReport("a", text, text, text), EngineReport("b", text, "", text))
    exercise = ExerciseReport(text, text, 1, 1, 1)
    ran = NotebookReport(
        text, text, "failed", 1.0, (text,), (text,), 2.0, 2.0, 2.0, 1.0, 2.0, 0.0, 1.0, 5, (exercise,), ("a", "b"),
        ((text, 1.0),), text, text,
    )  # fmt: skip
    return report_page(
        CourseReport(text, 1.0, text, text, (ran, NotebookReport(text, text, "not written", 1.0)), engines)
    )


def project_report(text: str) -> str:
    requirement = SimpleNamespace(id=text, title=text, points=1, advice=text)
    rows = [(requirement, SimpleNamespace(passed=passed, tried=True, evidence=text)) for passed in (True, False)]
    return as_html(SimpleNamespace(title=text, project=text, points=1, max_points=2, rows=rows))


PAGES = pytest.mark.parametrize("page", [feedback, class_report, course_report, project_report])


class Parsed(HTMLParser):
    """The tags of a page with the names of their attributes, and its texts and attributes' values."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.texts, self.loaded = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, [name for name, _ in attrs]))
        self.texts += [unquote(value) if name == "href" else value for name, value in attrs]
        self.loaded += [value for name, value in attrs if name == "src" or tag == "link"]

    def handle_endtag(self, tag):
        self.tags.append(("/" + tag, []))

    def handle_data(self, data):
        self.texts.append(data)

    def count(self, text: str) -> int:
        return "\n".join(self.texts).count(text)


@PAGES
def test_whatever_a_stranger_wrote_is_text_in_every_place_of_a_page(page):
    plain, hostile = Parsed(page(HARMLESS)), Parsed(page(EVIL))
    assert hostile.tags == plain.tags
    assert plain.count(HARMLESS) > 5
    assert hostile.count(EVIL) == plain.count(HARMLESS)


@PAGES
def test_a_page_loads_nothing_and_forbids_it(page):
    text = page(HARMLESS)
    assert Parsed(text).loaded == []
    assert """content="default-src 'none'; style-src 'unsafe-inline'">""" in text


def test_a_name_the_template_was_not_given_is_an_error_and_no_empty_text():
    with pytest.raises(UndefinedError, match="is undefined"):
        render_page("autograder.reports", "feedback.html.j2", title="Tiny")


def test_a_wheel_has_every_template_and_style_sheet():
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packed = {path for pattern in tables["package-data"]["autograder"] for path in (ROOT / "autograder").glob(pattern)}
    needed = {path for path in (ROOT / "autograder").rglob("*") if path.suffix in (".j2", ".css")}
    assert needed
    assert needed <= packed
