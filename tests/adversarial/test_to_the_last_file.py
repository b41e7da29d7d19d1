"""The command ``grade`` over a class of hostile and unlucky learners, to the last file that it writes.

Every student has a row with the right points, the honest ones exactly theirs; nothing that was handed in is active, or
invisible, in gradebook, tables, report, feedback, the formgrader's copies or the terminal; a repetition is the same.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hostile_class import NAME, STRANGE_NAMES, Learner, write_class
from nbconvert.filters import markdown2html
from rich.console import Console

from autograder.authoring.format import source_path
from autograder.authoring.release import learner_copy
from autograder.authoring.sources import read_source
from autograder.grading.command import _progress
from autograder.model import Result
from tests.autograder.grading.test_harmless import Page as Cell

pytestmark = pytest.mark.timeout(900)
ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "tests" / "fixtures" / "sources"
# What a text must not hold: control characters but line ends and tabs, marks that turn its direction, halves of pairs
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
FORMULA = re.compile(r"(?:^|[;|])\s*[=+\-@＝＋－＠]")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Graded:
    """What two runs of the command left."""

    out: Path
    submitted: Path
    learners: dict[str, Learner]
    first: subprocess.CompletedProcess[bytes]
    again: subprocess.CompletedProcess[bytes]
    before: dict[str, bytes]  # the files of the first run

    def rows(self, table: str = "grades.csv") -> list[dict[str, str]]:
        return read_table(self.out / table)


class Document(HTMLParser):
    """What is alive in a page: elements and attributes that run or load something."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.alive: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "svg", "img", "form", "base", "link", "a", "video", "input"):
            self.alive.append(tag)
        for name, value in attributes:
            if name.startswith("on") or name in ("src", "href", "srcset", "action") or "javascript:" in (value or ""):
                self.alive.append(f"{tag} {name}={value}")

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        self.text += data


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def command(*words: str | Path, encoding: str = "utf-8") -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    return subprocess.run(
        [sys.executable, "-m", "autograder", *map(str, words)],
        capture_output=True,
        env=environment,
        cwd=ROOT,
        check=False,
    )


def snapshot(out: Path) -> dict[str, bytes]:
    wanted = ("grades.csv", "canvas.csv", "moodle/*.csv", "feedback/**/*", "autograded/**/*.ipynb", "submitted/**/*")
    return {
        str(path.relative_to(out)): path.read_bytes()
        for pattern in wanted
        for path in out.glob(pattern)
        if path.is_file()
    }


@pytest.fixture(scope="module")
def graded(tmp_path_factory) -> Graded:
    room = tmp_path_factory.mktemp("last-file")
    course, submitted, out = room / "course", room / "class", room / "out"
    shutil.copytree(SOURCES, course / "solutions")
    (course / "pyproject.toml").touch()
    submitted.mkdir()
    learners = write_class(submitted, learner_copy(read_source(source_path(course, NAME))))
    words = ("grade", submitted, "--out", out, "--root", course, "--workers", "2")
    first = command(*words)
    before = snapshot(out) if out.exists() else {}
    return Graded(out, submitted, learners, first, command(*words, encoding="ascii"), before)


def test_the_class_is_graded_and_no_submission_is_the_graders_failure(graded):
    printed = graded.first.stdout.decode()
    assert graded.first.returncode == 0, printed[-3000:] + graded.first.stderr.decode()[-3000:]
    assert len(graded.learners) + len(STRANGE_NAMES) >= 120
    assert json.loads((graded.out / "report.json").read_text())["grader_failures"] == []
    assert not [row["student"] for row in graded.rows() if row["status"] == "failed"]


def test_every_student_has_one_row_and_the_points_that_are_right(graded):
    rows = graded.rows()
    by_name = {row["student"].removeprefix("'"): row for row in rows}
    assert len(by_name) == len(rows) == len(graded.learners) + len(STRANGE_NAMES)
    given = {name: (float(by_name[name]["score"]), by_name[name]["status"]) for name in graded.learners}
    assert given == {name: (learner.points, learner.status) for name, learner in graded.learners.items()}
    strange = [row for name, row in by_name.items() if name not in graded.learners]
    assert {(row["score"], row["status"]) for row in strange} == {("7", "graded")}


def test_what_was_left_out_or_refused_is_said_in_the_row(graded):
    reasons = {row["student"]: row["reason"] for row in graded.rows()}
    report = json.loads((graded.out / "report.json").read_text())
    repairs = {row["student"]: " ".join(row["repairs"]) for row in report["repairs"]}
    wanted = {name: learner.words for name, learner in graded.learners.items() if learner.words}
    missing = {
        n: (w, reasons[n], repairs.get(n, "")[:300])
        for n, w in wanted.items()
        if w not in reasons[n] + repairs.get(n, "")
    }
    assert not missing
    for name in ("shows_deep", "shows_huge", "shows_object", "shows_large", "shows_many", "shows_wide"):
        assert "Outputs were left out" in repairs[name], name


def test_the_gradebook_holds_the_same_points_and_only_text_that_can_be_seen(graded):
    with sqlite3.connect(graded.out / "gradebook.db") as database:
        query = """SELECT submitted_assignment.student_id, SUM(COALESCE(grade.auto_score, 0)) FROM grade
            JOIN submitted_notebook ON grade.notebook_id = submitted_notebook.id
            JOIN submitted_assignment ON submitted_notebook.assignment_id = submitted_assignment.id GROUP BY 1"""
        points = dict(database.execute(query))
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        texts = [
            v
            for t in tables
            if t != "source_cell"
            for row in database.execute(f"SELECT * FROM {t}")
            for v in row
            if isinstance(v, str)
        ]
    assert {name: points[name] for name in graded.learners} == {
        n: learner.points for n, learner in graded.learners.items()
    }
    assert len(points) == len(graded.learners) + len(STRANGE_NAMES)
    assert not [text[:200] for text in texts if HIDDEN.search(text)]


def test_automatic_comments_run_nothing_where_nbgrader_shows_them_as_markdown(graded):
    with sqlite3.connect(graded.out / "gradebook.db") as database:
        comments = [text for (text,) in database.execute("SELECT auto_comment FROM comment") if text]
    assert any("<\u200bscript>alert(1)" in text for text in comments)
    assert not [text for text in comments if Cell(markdown2html(text)).alive]


def test_tables_hold_no_formula_and_their_numbers_are_numbers(graded):
    export = command("export", graded.out, "--root", graded.out.parent / "course")
    assert export.returncode == 0, export.stderr
    for path in (graded.out / "grades.csv", graded.out / "canvas.csv", graded.out / "moodle" / f"{NAME}.csv"):
        text = path.read_bytes().decode()
        assert not HIDDEN.search(text), path
        fields = [field for line in csv.reader(text.splitlines()) for field in line]
        assert not [field for field in fields if FORMULA.search(field) and not NUMBER.fullmatch(field)], path
    for row in graded.rows():
        assert all(NUMBER.fullmatch(row[key]) for key in ("score", "max", "penalty", "total")), row
    totals = {row["student"]: float(row["total"]) for row in graded.rows()}
    assert all(totals[name] == learner.points for name, learner in graded.learners.items())


def test_pages_show_hostile_text_as_text(graded):
    pages = [graded.out / "report.html", *graded.out.glob("feedback/**/*.html")]
    assert len(pages) > len(graded.learners)
    for path in pages:
        text = path.read_bytes().decode()
        page = Document(text)
        links = [found for found in page.alive if not re.fullmatch(r"a( href=feedback/.*)?|link", found)]
        assert not links, (path, links)
        assert not HIDDEN.search(text), path
        assert "Content-Security-Policy" in text
    report = Document((graded.out / "report.html").read_text()).text
    feedback = Document((graded.out / "feedback" / "script" / f"{NAME}.html").read_text()).text
    assert "<script>alert(1)</script>" in feedback
    assert r"bad \ud800 half" in Document((graded.out / "feedback" / "half_a_pair" / f"{NAME}.html").read_text()).text
    assert "honest0" in report


def test_feedback_in_markdown_shows_hostile_text_as_text(graded):
    for path in graded.out.glob("feedback/**/*.md"):
        text = path.read_bytes().decode()
        assert not HIDDEN.search(text), path
        assert not Cell(markdown2html(text)).alive, path


def cells(graded: Graded) -> Iterator[tuple[str, Any]]:
    for path in sorted(graded.out.glob("autograded/**/*.ipynb")):
        document = json.loads(path.read_bytes().decode(), parse_constant=pytest.fail)
        nbformat.validate(document)
        for cell in document["cells"]:
            yield path.parents[1].name, nbformat.from_dict(cell)


def test_the_copies_for_the_formgrader_are_sound_json_and_run_nothing(graded):
    release = {cell.source for cell in learner_copy(read_source(source_path(graded.out.parent / "course", NAME))).cells}
    texts: dict[str, str] = {}
    for student, cell in cells(graded):
        outputs = cell.get("outputs", [])
        html = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
        html += [cell.source] if cell.cell_type == "raw" else []
        assert not [found for found in html if Document(found).alive], student
        own = cell.cell_type == "markdown" and cell.source not in release
        html += [markdown2html(cell.source)] if own else []
        assert not own or not Cell(html[-1]).alive, student
        assert not [found for found in html if re.search(r"\\(href|style|class)\b", Document(found).text)], student
        kinds = {kind for output in outputs for kind in output.get("data", {})}
        assert kinds <= {"text/plain", "text/html", "image/png", "image/jpeg", "image/gif"}, student
        texts[student] = texts.get(student, "") + "".join(html)
        printed = "".join(str(output.get("text", "")) + str(output.get("evalue", "")) for output in outputs)
        assert not HIDDEN.search(printed), student
    assert "My answer." in texts["answer_script"]
    assert "<td>seen</td>" in texts["shows_script"]
    for ordinary in ("<strong>one</strong>", "<td>2</td>", "$a &lt; b$"):
        assert ordinary in texts["honest0"]


def test_what_was_handed_in_is_kept_as_it_was(graded):
    for name, learner in graded.learners.items():
        kept = graded.out / "submitted" / name / NAME / f"{NAME}.ipynb"
        if 0 < len(learner.data) < 8 << 20:
            assert kept.read_bytes() == learner.data, name


def test_results_and_the_report_are_json_for_every_reader(graded):
    for path in [
        graded.out / "report.json",
        *graded.out.glob("results/**/*.json"),
        *graded.out.glob("cache/**/*.json"),
    ]:
        json.loads(path.read_bytes().decode(), parse_constant=pytest.fail)
    assert not HIDDEN.search((graded.out / "report.json").read_text())


def test_the_terminal_is_told_names_and_reasons_and_obeys_nobody(graded):
    printed = graded.first.stdout.decode().replace("\r\n", "\n") + graded.first.stderr.decode()
    assert not HIDDEN.search(printed)
    assert "no_json" in printed
    assert "not JSON" in printed
    assert r"\x1b[31mred.txt" in printed


def test_a_repetition_on_a_terminal_without_unicode_changes_nothing(graded):
    assert graded.again.returncode == 0, graded.again.stderr[-3000:]
    assert graded.again.stdout.isascii()
    after = snapshot(graded.out)
    assert sorted(after) == sorted(graded.before)
    changed = [path for path in after if path != "grades.csv" and after[path] != graded.before[path]]
    assert not changed
    cached = {row["student"] for row in graded.rows() if row["cached"]}
    assert cached >= {name for name, learner in graded.learners.items() if learner.status == "graded"}


def test_feedback_written_again_is_the_same(graded):
    again = command("feedback", graded.out, "--root", graded.out.parent / "course")
    assert again.returncode == 0, again.stderr
    files = {path: data for path, data in snapshot(graded.out).items() if path.startswith("feedback")}
    assert files == {path: data for path, data in graded.before.items() if path.startswith("feedback")}


@pytest.mark.parametrize("name", ["[/red]", "[bold]bob[/bold]", "[link=http://x]y", "[[", "{{ x }} %s {0}"])
def test_the_progress_line_takes_a_name_as_it_is(name):
    out = io.StringIO()
    with _progress(Console(file=out, force_terminal=True, width=200)) as (on_start, on_result):
        on_start(1)
        on_result(Result(name, NAME, "graded"))
    assert f"{name} {NAME}" in out.getvalue()
