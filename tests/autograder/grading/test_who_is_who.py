"""Who is who, to the last file: rows, reasons, report, terminal, and the points that people gave."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from io import StringIO

import pytest
from nbgrader.api import Gradebook
from rich.console import Console

from autograder.grading.classroom import grade_class
from autograder.grading.collect import SubmissionsError
from autograder.grading.command import _print_summary
from autograder.grading.gradebook import COURSE_ID
from autograder.grading.options import GradeOptions, GradingError
from autograder.grading.store import refresh
from autograder.reports.class_report import write_report
from autograder.reports.tables import write_exports
from tests.fixtures.assignments import catalogue_of
from tests.fixtures.tiny_class import NAME, InProcess, handed_in, inline, tiny, write

WRONG = "def mean_rate(rates):\n    return sum(rates)"  # earns 4 of 7
STAMP = "2026-11-30 18:00:00 UTC"


def run(submissions, out, **options):
    report = grade_class(
        submissions,
        out,
        catalogue=catalogue_of(tiny()),
        make_executor=InProcess,
        executor_name="in-process",
        options=GradeOptions(workers=1, **options),
        runner=inline,
    )
    write_exports(report.rows, [tiny()], out)
    write_report(report, out, limits={})
    return report


def table(out):
    with (out / "grades.csv").open() as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def said(report, out):
    """Return what stands in the report and on the terminal: both must say the same."""
    console = Console(record=True, width=400, file=StringIO())
    _print_summary(console, report, out)
    page = (out / "report.html").read_text()
    terminal = console.export_text()
    for note in report.notes:
        assert note in terminal
        assert note in json.loads((out / "report.json").read_text())["notes"]
    assert "What to know about the submissions" in page
    return terminal


def export(folder, files):
    """Write an archive; a file is a full solution, a half one (4 points), or bytes."""
    full, half = (
        write(folder / "made", k, handed_in(**w)).read_bytes() for k, w in (("f", {}), ("h", {"rate": WRONG}))
    )
    with zipfile.ZipFile(folder / "class.zip", "w") as bundle:
        for name, content in files.items():
            bundle.writestr(name, {"full": full, "half": half}.get(content, content))
    return folder / "class.zip"


def give(out, student, points):
    """Give points by hand, as somebody in the formgrader."""
    with Gradebook(f"sqlite:///{out / 'gradebook.db'}", COURSE_ID) as book:
        grade = book.find_grade("interview-1", NAME, NAME, student)
        grade.manual_score = points
        book.db.commit()


def given(out):
    with Gradebook(f"sqlite:///{out / 'gradebook.db'}", COURSE_ID) as book:
        return {s.student.id: book.find_grade("interview-1", NAME, NAME, s.student.id).manual_score
                for s in book.assignment_submissions(NAME)}  # fmt: skip


NUMBERS = ("20231234", "20231255", "20231299")


@pytest.mark.parametrize("form", ["{}_{}.ipynb", "{}/{}.ipynb", "{}-{}.ipynb", "{} {}.ipynb", "{}_{} (1).ipynb"])
def test_students_who_are_numbers_each_have_their_own_points(tmp_path, form):
    kinds = dict(zip(NUMBERS, ("full", "half", "full"), strict=True))
    run(export(tmp_path, {form.format(n, NAME): kind for n, kind in kinds.items()}), tmp_path / "out")
    assert {n: row["score"] for n, row in table(tmp_path / "out").items()} == dict(zip(NUMBERS, "747", strict=True))


@pytest.mark.parametrize(
    ("one", "other"), [("ann", "ann "), ("zoe", ".zoe"), ("Ann", "ann"), ("a:b", "a_b"), ("x" * 200, "x" * 201)]
)
def test_names_that_look_alike_have_two_rows_two_folders_and_two_feedbacks(tmp_path, one, other):
    out = tmp_path / "out"
    report = run(export(tmp_path, {f"{one}/{NAME}.ipynb": "full", f"{other}/{NAME}.ipynb": "half"}), out)
    assert {row.result.name: row.result.score for row in report.rows} == {one: 7, other: 4}
    keys = [row.result.student for row in report.rows]
    for place in ("submitted", "autograded"):
        assert {path.name for path in (out / place).iterdir()} == set(keys)
    for row in report.rows:
        text = (out / "feedback" / row.result.student / f"{NAME}.md").read_text()
        assert ("7 of 11 points" in text) == (row.result.score == 7)
    assert "has the key" in said(report, out)
    assert any("has the key" in row["reason"] for row in table(out).values())


def test_a_full_solution_is_not_beaten_by_what_a_system_left_beside_it(tmp_path):
    files = {f"ann/{NAME}.ipynb": "full", f"ann/.ipynb_checkpoints/{NAME}.ipynb": "half", f"ann/._{NAME}.ipynb": b"\0"}
    report = run(export(tmp_path, files), tmp_path / "out")
    assert table(tmp_path / "out")["ann"]["score"] == "7"
    assert "Ignored, as copies that Jupyter makes: ann/.ipynb_checkpoints." in said(report, tmp_path / "out")


def test_a_student_of_whom_only_a_checkpoint_is_there_reads_so_in_the_reason_column(tmp_path):
    run(
        export(tmp_path, {f"ann/.ipynb_checkpoints/{NAME}.ipynb": "full", f"ben/{NAME}.ipynb": "half"}),
        tmp_path / "out",
    )
    row = table(tmp_path / "out")["ann"]
    assert row["score"] == "0"
    assert ".ipynb_checkpoints (copies that Jupyter makes)" in row["reason"]


def test_the_reason_column_names_the_file_that_was_not_graded(tmp_path):
    run(export(tmp_path, {f"ann/{NAME}.ipynb": "full", f"ann/old/{NAME}.ipynb": "half"}), tmp_path / "out")
    row = table(tmp_path / "out")["ann"]
    assert row["status"] == "graded"
    assert "2 files of this notebook" in row["reason"]


def test_points_given_by_hand_stay_with_the_first_jane_doe_when_a_second_one_comes(tmp_path):
    out, form = tmp_path / "out", "Jane Doe_{}_assignsubmission_file_/" + NAME + ".ipynb"
    run(export(tmp_path, {form.format(7): "half"}), out)
    give(out, "Jane Doe", 3.5)
    report = run(export(tmp_path, {form.format(7): "half", form.format(8): "full"}), out)
    assert given(out) == {"Jane Doe": 3.5, "Jane Doe_8": None}
    assert {k: row["score"] for k, row in table(out).items()} == {"Jane Doe": "4", "Jane Doe_8": "7"}
    assert "keeps that row and its points" in said(report, out)
    assert "keeps that row and its points" in table(out)["Jane Doe_8"]["reason"]
    assert table(out)["Jane Doe"]["reason"] == "2 students are called 'Jane Doe': their numbers tell them apart."
    assert "keeps that row" not in (out / "feedback" / "Jane Doe_8" / f"{NAME}.html").read_text()
    report = run(export(tmp_path, {form.format(8): "full"}), out)  # the first one hands in nothing more
    assert given(out) == {"Jane Doe": 3.5, "Jane Doe_8": None}


def test_points_given_by_hand_stay_with_the_name_when_a_newcomer_of_nearly_the_same_name_comes(tmp_path):
    room, out = tmp_path / "class", tmp_path / "out"
    write(room, "ann", handed_in())
    run(room, out)
    give(out, "ann", 2)
    write(room, "ann ", handed_in(rate=WRONG))
    write(room, "Ann", handed_in(rate=WRONG))
    run(room, out)
    assert given(out)["ann"] == 2
    assert sorted(row["score"] for row in table(out).values()) == ["4", "4", "7"]


@pytest.mark.parametrize(
    ("submissions", "out"),
    [
        ("class", "class"),
        ("class", "class/out"),
        ("class", "class/ann/out"),
        ("out/submitted", "out"),
        (".", "out"),
        ("link", "class"),
    ],
)
def test_submissions_and_output_that_lie_in_one_another_are_refused_and_nothing_is_written(tmp_path, submissions, out):
    for place in ("class", "out/submitted"):
        write(tmp_path / place, "ann", handed_in())
    (tmp_path / "link").symlink_to(tmp_path / "class")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(GradingError, match="lies in the other"):
        run(tmp_path / submissions, tmp_path / out)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_archive_may_lie_in_the_output_folder(tmp_path):
    (tmp_path / "out").mkdir()
    path = shutil.move(export(tmp_path, {f"ann/{NAME}.ipynb": "full"}), tmp_path / "out")
    run(tmp_path / "out" / "class.zip", tmp_path / "out")
    assert path
    assert table(tmp_path / "out")["ann"]["score"] == "7"


def test_a_class_in_which_an_older_grader_wrote_is_refused_and_no_newcomer_is_lost(tmp_path):
    room = tmp_path / "class"
    write(room, f"submitted/ann/{NAME}", handed_in())
    write(room, "ann", handed_in())
    write(room, "newcomer", handed_in())
    with pytest.raises(Exception, match="beside nbgrader's folder 'submitted' there are 'ann', 'newcomer'"):
        run(room, tmp_path / "out")


CANVAS, MOODLE = f"doe_7_1001_{NAME}.ipynb", f"Jane Doe_7_assignsubmission_file_/{NAME}.ipynb"
TIMED = f"1-2 - Ann - Nov 29, 2026 933 PM/{NAME}.ipynb"


@pytest.mark.parametrize(
    ("files", "warned"),
    [([MOODLE], True), ([f"ann/{NAME}.ipynb"], True), ([f"ann_{NAME}.ipynb"], True), ([CANVAS], False),
     ([TIMED], False), ([f"ann/{NAME}.ipynb", "ann/timestamp.txt"], False)],
)  # fmt: skip
def test_a_due_date_without_a_submission_time_is_said_to_have_no_effect(tmp_path, files, warned):
    contents = {file: STAMP if file.endswith(".txt") else "full" for file in files}
    report = run(export(tmp_path, contents), tmp_path / "out", due={NAME: STAMP})
    text = said(report, tmp_path / "out")
    assert (f"--due {NAME} has no effect on any of the submissions" in text) == warned
    assert not any("--due" in note for note in run(tmp_path / "class.zip", tmp_path / "2").notes)


def test_a_due_date_names_those_without_a_time(tmp_path):
    files = {
        f"ann/{NAME}.ipynb": "full",
        "ann/timestamp.txt": STAMP,
        f"ben/{NAME}.ipynb": "full",
        f"cem/{NAME}.ipynb": "half",
    }
    report = run(export(tmp_path, files), out := tmp_path / "out", due={NAME: STAMP})
    assert f"--due {NAME} has no effect on ben, cem: no submission time" in said(report, out)


def test_what_is_said_of_submissions_and_names_stay_when_all_is_derived_again(tmp_path):
    files = {f"a:b/{NAME}.ipynb": "full", f"ben/{NAME}.ipynb": "half"}
    before = run(export(tmp_path, files), out := tmp_path / "out", due={NAME: STAMP})
    refresh(out, catalogue_of(tiny()))
    assert {*before.on_submissions} <= {*json.loads((out / "report.json").read_text())["notes"]}
    (key,) = (row.result.student for row in before.rows if row.result.name == "a:b")
    assert "a:b · " in (out / "feedback" / key / f"{NAME}.md").read_text()
    assert ",a:b,graded," in (out / "moodle" / f"{NAME}.csv").read_text()
    assert f"a:b,,,{key}," in (out / "canvas.csv").read_text()


def test_of_many_refused_files_the_terminal_shows_some_and_the_report_all(tmp_path):
    files = {f"ann/{NAME}.ipynb": "full", **{f"stray {n}.csv": "" for n in range(30)}}
    report = run(export(tmp_path, files), tmp_path / "out")
    text = said(report, tmp_path / "out")
    assert text.count("refused stray") == 20
    assert "and 10 more, in the report" in text
    assert (tmp_path / "out" / "report.html").read_text().count("<td>stray ") == 30


def test_a_path_with_nothing_at_it_makes_no_folder(tmp_path):
    with pytest.raises(SubmissionsError, match="no submissions"):
        run(tmp_path / "nope", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_that_a_terminal_would_obey_are_shown_and_not_obeyed(tmp_path):
    files = {f"\x1b[31mann\u202e/{NAME}.ipynb": b"{", f"ben/{NAME}.ipynb": "full", "\x1b]0;x\x07.csv": ""}
    report = run(export(tmp_path, files), tmp_path / "out")
    text = said(report, tmp_path / "out")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[31mann" in text
