"""The class report: whose numbers they are, what is left out and said, and links that lead somewhere."""

from __future__ import annotations

import html
import re
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

from autograder.model import Check, CheckResult, Exercise, GradebookRow, NotebookSpec, Result
from autograder.reports.class_report import ClassReport, report_html, summary
from autograder.reports.class_statistics import course_statistics, notebook_statistics
from tests.fixtures.small_class import SECOND, SmallClass, released
from tests.fixtures.tiny_class import NAME, tiny, write

CHECKS = (
    Check("check-1-1", "1.1", "visible", 1),
    Check("hidden-1-1", "1.1", "hidden", 3),
    Check("check-1-2", "1.2", "visible", 2),
)
ANSWER = Check("interview-1", "interview", "manual", 4)
SPEC = NotebookSpec(
    "n", "N", (Exercise("1.1", "One", "ex-1-1", CHECKS[:2]), Exercise("1.2", "Two", "ex-1-2", CHECKS[2:])), (ANSWER,)
)


def assignment(name: str = "n") -> SimpleNamespace:
    return SimpleNamespace(name=name, spec=SPEC)


def row(
    student: str,
    *points: float | None,
    status: str = "graded",
    said: str = "wrong",
    skipped: str = "",
    name: str = "n",
    penalty: float = 0.0,
) -> GradebookRow:
    """A row with these points for 1.1 (visible, hidden), 1.2 and the answer."""
    checks = tuple(
        CheckResult(check, p, f"{said} {i}" if p is not None and p < check.points else "Passed.")
        for i, (check, p) in enumerate(zip((*CHECKS, ANSWER), points, strict=True))
    )
    result = Result(student, name, status, checks, extra={"not_attempted": skipped})
    return GradebookRow(result, "key", "", penalty, sum(p or 0 for p in points), 0.0)


def statistics(*rows: GradebookRow) -> dict:
    return notebook_statistics(assignment(), rows)


def report_of(rows: list[GradebookRow], *names: str) -> str:
    report = ClassReport(tuple(assignment(n) for n in names or ("n",)), tuple(rows), (), "v", "x", 1, 1.0, ())
    return report_html(summary(report, limits={}))


def text(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page.split("<body>")[1])).replace("\xad", ""))


def test_rejected_and_failed_submissions_are_in_no_statistic_and_it_says_so():
    full, none = row("a", 1, 3, 2, 4), row("b", 0, 0, 0, 0)
    broken = [row("c", 0, 0, 0, 0, status="rejected"), row("d", 0, 0, 0, 0, status="failed")] * 2
    alone, beside = statistics(full, none), statistics(full, *broken, none)
    assert beside["left_out"] == {"rejected": 2, "failed": 2}
    assert alone["left_out"] == {}
    assert {**alone, "left_out": 0} == {**beside, "left_out": 0}
    assert (alone["mean"], alone["median"], alone["submissions"]) == (5, 5, 2)
    assert alone["deviation"] == pytest.approx(7.071, abs=1e-3)
    assert alone["exercises"][0]["difficulty"] == 0.5
    page = text(report_of([full, *broken, none]))
    assert "Left out here and in the table: 2 rejected, 2 failed." in page
    assert "Left out" not in text(report_of([full, none]))


@pytest.mark.parametrize("count", [0, 1])
def test_a_class_of_nobody_and_of_one_has_dashes(count):
    rows = [row("a", 1, 3, 2, 4)] * count + [row("z", 0, 0, 0, 0, status="rejected")]
    values = statistics(*rows)
    assert values["exercises"][0]["discrimination"] is None
    assert values["deviation"] is None
    assert values["exercises"][0]["difficulty"] == (1 if count else None)
    page = text(report_of(rows))
    assert re.search(rf"1\.1 One 4 {count} {'1.00' if count else '—'} — ", page)
    assert "nan" not in page.lower()
    assert "None" not in page


def test_the_median_of_an_even_number_lies_between():
    values = statistics(*(row(s, 1, 0, n, 0) for s, n in zip("abcd", (0, 0.5, 1, 2), strict=True)))
    assert values["median"] == pytest.approx(1.75)


def test_answers_that_wait_are_counted_apart_and_are_in_the_total_once_all_are_graded():
    some = [row(str(k), k % 2, 3 * (k % 3 > 0), k % 3, None if k == 5 else k % 5) for k in range(12)]
    values = statistics(*some)
    (answer,) = values["answers"]
    assert (answer["n"], answer["waiting"], values["answers_in_total"], values["not_final"]) == (11, 1, False, 1)
    assert values["exercises"][0]["n"] == 12
    assert "Written answers are no part of the totals behind r" in text(report_of(some))
    assert "1 × waits for a person" in text(report_of(some)).replace("1×", "1 ×")
    some[5] = row("5", 1, 3, 2, 0)
    settled = statistics(*some)
    assert settled["answers_in_total"]
    assert settled["exercises"][0]["discrimination"] != values["exercises"][0]["discrimination"]
    assert "no part of the totals" not in text(report_of(some))


def test_points_before_the_penalty_count_for_items_and_after_it_for_totals():
    values = statistics(row("a", 1, 3, 2, 4, penalty=10), row("b", 1, 3, 2, 4))
    assert values["mean"] == 5
    assert values["exercises"][0]["difficulty"] == 1


def test_what_was_not_attempted_is_a_line_of_its_own_below_what_went_wrong():
    stub = {"said": "Exercise: replace this line", "skipped": "1.1"}
    rows = [row(str(k), 0, 0, 2, 0, **stub) for k in range(6)]
    rows += [row("x", 0, 3, 2, 0, said="you averaged the percentiles of"), row("y", 1, 0, 2, 0, said="off by 17,5 in")]
    first, second = statistics(*rows)["exercises"]
    assert first["not_attempted"] == 6
    assert sorted((m["message"], m["count"]) for m in first["messages"]) == [
        ("off by 17,5 in 1", 1), ("you averaged the percentiles of 0", 1),
    ]  # fmt: skip
    assert (second["not_attempted"], second["messages"]) == (0, [])
    page = text(report_of(rows))
    assert page.index("you averaged") < page.index("6× not attempted")
    assert "replace this line" not in page


def test_a_stub_that_earns_all_points_was_no_miss():
    assert statistics(row("a", 1, 3, 2, 4, skipped="1.1 1.2"))["exercises"][0]["not_attempted"] == 0


def test_messages_are_one_kind_whatever_numbers_are_in_them_and_rare_ones_are_counted():
    rows = [row(str(k), 0, 0, 2, 0, said=f"off by {k}.{k} of") for k in range(5)]
    kinds = "abcdefghijk"
    rows += [row(f"r{w}", 0, 0, 2, 0, said=f"kind {w}") for w in kinds]
    first = statistics(*rows)["exercises"][0]
    assert first["messages"][0] == {"message": "off by 0.0 of 0", "count": 5}
    assert len(first["messages"]) == 8
    assert first["other_messages"] == len(kinds) - 7
    assert "4× something else" in text(report_of(rows))


def test_the_distribution_has_a_picture_with_words_for_it_and_a_table():
    rows = [row(str(k), 1, 3, 2, k % 5) for k in range(10)] + [row("z", 0, 0, 0, 0)]
    page = report_of(rows)
    (label,) = re.findall(r'<div class="histogram"[^>]*aria-label="([^"]*)"', page)
    assert label.startswith("0 to 1 points: 1, 1 to 2 points: 0,")
    assert label.endswith("9 to 10 points: 4")
    heights = [float(height) for height in re.findall(r'<i style="height:([\d.]+)px">', page)]
    assert heights == [25, 0, 0, 0, 0, 0, 50, 50, 50, 100]  # of the most, which are four
    assert "The same as a table" in page
    assert "9 to 10 4" in text(page)


def test_totals_of_all_notebooks_are_those_of_students_with_every_notebook_graded():
    rows = [
        row("a", 1, 3, 2, 4), row("a", 1, 0, 0, None, name="m"),
        row("b", 0, 0, 0, 0), row("b", 0, 0, 0, 0, name="m", status="rejected"),
        row("c", 1, 3, 2, 4), row("c", 1, 3, 2, 4, name="m"),
        row("d", 1, 3, 2, 4),
    ]  # fmt: skip
    values = course_statistics(rows)
    assert (values["students"], values["left_out"], values["points"], values["not_final"]) == (2, 2, 20, 1)
    assert (values["mean"], values["median"]) == (15.5, 15.5)
    assert [one["count"] for one in values["distribution"]] == [0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    page = text(report_of(rows, "n", "m"))
    assert "All 2 notebooks" in page
    assert "Left out: 2 students" in page
    assert "All 1 notebooks" not in text(report_of(rows[-1:]))


# ---- to the files


@pytest.fixture
def room(tmp_path) -> SmallClass:
    """A class with names that are hard to link to, a broken file, and somebody who did nothing."""
    room = SmallClass(tmp_path, released(), released(name=SECOND))
    for student in ("ann", "Jürgen Groß & <b>", "100% #1?", "東京"):
        room.hand_in(student)
    room.hand_in("ann", name=SECOND, rate="def mean_rate(rates):\n    return sum(rates) / 3")
    write(room.room, f"zoe/{NAME}", tiny().learner, name=f"{NAME}.ipynb")
    write(room.room, f"emil/{NAME}", "{ no JSON", name=f"{NAME}.ipynb")
    room.grade(roster=("nobody",))
    return room


def test_every_link_of_the_report_leads_to_the_feedback_of_that_student(room):
    for made in (lambda: None, room.export):
        made()
        page = (room.out / "report.html").read_text()
        links = re.findall(r'href="([^"]+)">([^<]*)</a>', page)
        targets = {unquote(html.unescape(target)) for target, _ in links}
        there = {path.relative_to(room.out).as_posix() for path in room.out.glob("feedback/*/*.html")}
        assert targets == there
        assert len(there) >= 7
        for target, said in links:
            file = room.out / unquote(html.unescape(target))
            assert "://" not in target
            if match := re.fullmatch(r"([\d.]+) of ([\d.]+)", said):
                assert f">{match[1]} of {match[2]} points<" in file.read_text()


def test_a_link_says_whose_it_is(room):
    page = (room.out / "report.html").read_text()
    rows = re.findall(r"<tr><td>(.*?)</td>\n<td>.*?</td></tr>", page.split("<h2>Students")[1], re.S)
    assert len(rows) == 7
    assert "Jürgen Groß &amp; &lt;b&gt; <small>(" in page  # the name, and the key that its folder has


def test_an_unedited_notebook_does_not_top_what_went_wrong(room):
    one = room.summary()["notebooks"][0]
    assert [e["not_attempted"] for e in one["exercises"]] == [1, 1]
    assert [e["messages"] for e in one["exercises"]] == [[], []]
    two = room.summary()["notebooks"][1]
    assert "for two rates" in two["exercises"][0]["messages"][0]["message"]
    room.grade()  # from the cache
    assert room.summary()["notebooks"][0]["exercises"][0]["not_attempted"] == 1


def test_a_report_of_nobody_is_a_page(tmp_path: Path):
    empty = ClassReport((), (), (), "v", "x", 1, 1.0, ())
    page = report_html(summary(empty, limits={}))
    assert "0 submissions" in text(page)
    assert "<main>" in page
