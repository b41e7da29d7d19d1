"""The whole path of a class, with an executor that needs no kernel."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from autograder.grading.cache import Cache, CachedRun
from autograder.grading.classroom import grade_class
from autograder.grading.gradebook import COURSE_ID, GradebookError, open_gradebook, sole_writer
from autograder.grading.options import GradeOptions
from autograder.reports.class_report import write_report
from autograder.reports.tables import write_exports
from tests.fixtures.assignments import catalogue_of
from tests.fixtures.tiny_class import (
    NAME,
    InProcess,
    cell_of,
    grade_submission,
    handed_in,
    inline,
    tiny,
    write,
)

WRONG_RATE = "def mean_rate(rates):\n    return sum(rates)"


@pytest.fixture
def folder(tmp_path):
    """A class of seven: what each of them handed in is in the name."""
    room = tmp_path / "class"
    write(room, "perfect", handed_in())
    write(room, "twin", handed_in())
    write(room, "half", handed_in(rate=WRONG_RATE))
    write(room, "empty", tiny().learner)
    write(room, "broken", "{ this is no JSON")
    cheat = handed_in(rate=WRONG_RATE)
    cell_of(cheat, "check-1-1").source = "pass"
    cell_of(cheat, "hidden-1-2").metadata.nbgrader.points = 50
    write(room, "cheat", cheat)
    (room / "absent").mkdir()
    return room


def run(folder, out, executor=None, **options):
    executor = executor or InProcess()
    roster = options.pop("roster", ())
    report = grade_class(
        folder,
        out,
        catalogue=catalogue_of(tiny()),
        make_executor=lambda: executor,
        executor_name=executor.name,
        options=GradeOptions(workers=1, **options),
        roster=roster,
        runner=inline,
    )
    write_exports(report.rows, [tiny()], out)
    write_report(report, out, limits={})
    return report


def open_book(out):
    return Gradebook(f"sqlite:///{out / 'gradebook.db'}", COURSE_ID)


def scores(out):
    with open_book(out) as book:
        return {
            (s.student.id, g.name): (g.auto_score, g.manual_score, g.needs_manual_grade)
            for s in book.assignment_submissions(NAME)
            for n in s.notebooks
            for g in n.grades
        }


def table(out):
    with (out / "grades.csv").open() as file:
        return {row["student"]: row for row in csv.DictReader(file)}


EXPECTED = {"perfect": "7", "twin": "7", "half": "4", "empty": "0", "broken": "0", "cheat": "4", "absent": "0"}


def test_every_student_has_a_row_with_the_right_score_and_a_reason_where_there_is_none(folder, tmp_path):
    report = run(folder, tmp_path / "out")
    rows = table(tmp_path / "out")
    assert {student: row["score"] for student, row in rows.items()} == EXPECTED
    assert {row["max"] for row in rows.values()} == {"7"}
    assert (rows["half"]["1.1"], rows["half"]["1.2"]) == ("0", "4")
    assert rows["broken"]["status"] == rows["absent"]["status"] == "rejected"
    assert "not JSON" in rows["broken"]["reason"]
    assert "was handed in" in rows["absent"]["reason"]
    assert report.broken == ()


def test_nbgrader_reads_the_same_scores_from_its_database(folder, tmp_path):
    run(folder, tmp_path / "out")
    with open_book(tmp_path / "out") as book:
        totals = {s.student.id: s.score for s in book.assignment_submissions(NAME)}
        assert totals == {student: float(score) for student, score in EXPECTED.items()}
        assert book.find_assignment(NAME).max_score == 11
        waiting = {s.student.id for s in book.assignment_submissions(NAME) if s.needs_manual_grade}
        assert waiting == {"perfect", "twin", "half", "cheat"}
        comment = book.find_comment("ex-1-1", NAME, NAME, "half")
        assert "divide by the count" in comment.auto_comment


def test_a_second_run_runs_nothing_and_changes_nothing(folder, tmp_path):
    run(folder, tmp_path / "out")
    before, again = scores(tmp_path / "out"), InProcess()
    run(folder, tmp_path / "out", executor=again)
    assert again.runs == 0
    assert scores(tmp_path / "out") == before
    assert table(tmp_path / "out")["half"]["cached"] == "yes"


def test_identical_submissions_are_run_once_and_named_in_the_report(folder, tmp_path):
    executor = InProcess()
    run(folder, tmp_path / "out", executor=executor)
    assert executor.runs == 4  # the reference; half and cheat have the same answers once the tests are restored
    values = json.loads((tmp_path / "out" / "report.json").read_text())
    groups = {tuple(group["students"]) for group in values["identical"]}
    assert groups == {("perfect", "twin"), ("cheat", "half")}


def test_force_runs_everything_again(folder, tmp_path):
    run(folder, tmp_path / "out")
    executor = InProcess()
    run(folder, tmp_path / "out", executor=executor, force=True)
    assert executor.runs == 6  # the reference too


def test_a_changed_submission_is_graded_again(folder, tmp_path):
    run(folder, tmp_path / "out")
    write(folder, "half", handed_in())
    executor = InProcess()
    run(folder, tmp_path / "out", executor=executor)
    assert table(tmp_path / "out")["half"]["score"] == "7"
    assert executor.runs == 0  # its cells are those of "perfect" now


def test_scores_and_comments_of_a_person_survive_grading_again(folder, tmp_path):
    out = tmp_path / "out"
    run(folder, out)
    with open_book(out) as book:
        grade = book.find_grade("interview-1", NAME, NAME, "perfect")
        grade.manual_score, grade.needs_manual_grade, grade.extra_credit = 3.5, False, 0.5
        book.find_grade("hidden-1-1", NAME, NAME, "half").manual_score = 1.0
        book.find_comment("interview-1", NAME, NAME, "perfect").manual_comment = "Well put."
        book.db.commit()
    run(folder, out, force=True)
    assert scores(out)["perfect", "interview-1"] == (None, 3.5, False)
    assert scores(out)["half", "hidden-1-1"][:2] == (0.0, 1.0)
    assert table(out)["perfect"]["total"] == "11"
    with open_book(out) as book:
        assert book.find_comment("interview-1", NAME, NAME, "perfect").comment == "Well put."


def test_a_person_is_asked_to_look_again_when_the_answer_changed(folder, tmp_path):
    out = tmp_path / "out"
    run(folder, out)
    with open_book(out) as book:
        grade = book.find_grade("interview-1", NAME, NAME, "perfect")
        grade.manual_score, grade.needs_manual_grade = 3.0, False
        book.db.commit()
    write(folder, "perfect", handed_in(answer="Another thought."))
    run(folder, out)
    assert scores(out)["perfect", "interview-1"] == (None, 3.0, True)


@pytest.mark.parametrize(("method", "total"), [("none", 4.0), ("zero", 0.0)])
def test_late_submissions_cost_what_nbgrader_takes(folder, tmp_path, method, total):
    (folder / "half" / "timestamp.txt").write_text("2026-01-02 00:00:10 UTC")
    (folder / "perfect" / "timestamp.txt").write_text("2026-01-01 23:59:59 UTC")
    out = tmp_path / "out"
    run(folder, out, due={NAME: "2026-01-02 00:00:00 UTC"}, late=method)
    rows = table(out)
    assert float(rows["half"]["total"]) == total
    assert float(rows["perfect"]["total"]) == 7
    with open_book(out) as book:
        submission = book.find_submission(NAME, "half")
        assert submission.total_seconds_late == 10
        assert submission.score - submission.late_submission_penalty == total


def test_the_penalty_of_nbgrader_config_is_used(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "nbgrader_config.py").write_text("c = get_config()\nc.LateSubmissionPlugin.penalty_method = 'zero'\n")
    (folder / "half" / "timestamp.txt").write_text("2026-01-03")
    run(folder, out, due={NAME: "2026-01-02"})
    assert table(out)["half"]["penalty"] == "4"


def test_a_submission_time_that_is_none_is_ignored_and_noted(folder, tmp_path):
    (folder / "half" / "timestamp.txt").write_text("tomorrow, maybe")
    report = run(folder, tmp_path / "out", due={NAME: "2026-01-02"}, late="zero")
    row = next(row for row in report.rows if row.result.student == "half")
    assert row.penalty == 0
    assert any("timestamp.txt" in repair for repair in row.result.repairs)


def test_test_source_is_in_nothing_a_learner_gets(folder, tmp_path):
    write(folder, "nosy", handed_in(rate="def mean_rate(rates):\n    raise AssertionError(str(rates))"))
    run(folder, tmp_path / "out")
    given = "".join(p.read_text() for p in (tmp_path / "out" / "feedback").rglob("*.*"))
    for secret in ("secret_rates", "hidden_cases", "0.125", "BEGIN HIDDEN", "isclose"):
        assert secret not in given


def test_feedback_is_written_for_everybody_and_escapes_what_learners_wrote(folder, tmp_path):
    evil = "def mean_rate(rates):\n    raise ValueError('<script>alert(1)</script> | `x`')"
    write(folder, "evil", handed_in(rate=evil))
    run(folder, tmp_path / "out")
    assert {p.parent.name for p in (tmp_path / "out" / "feedback").rglob("*.html")} == {*EXPECTED, "evil"}
    page = (tmp_path / "out" / "feedback" / "evil" / f"{NAME}.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "divide by the count" in (tmp_path / "out" / "feedback" / "half" / f"{NAME}.md").read_text()
    assert "sum over the count" in (tmp_path / "out" / "feedback" / "half" / f"{NAME}.html").read_text()
    assert "<script>" not in (tmp_path / "out" / "report.html").read_text()


def test_the_report_counts_what_went_wrong(folder, tmp_path):
    run(folder, tmp_path / "out")
    values = json.loads((tmp_path / "out" / "report.json").read_text())
    assert values["submissions"]["all"] == 7
    assert values["submissions"]["rejected"] == 2
    first = values["notebooks"][0]["exercises"][0]
    assert sum(bar["count"] for bar in first["distribution"]) == 5
    assert first["messages"][0]["count"] == 2
    assert "divide by the count" in first["messages"][0]["message"]
    assert {row["student"] for row in values["rejected"]} == {"broken", "absent"}


def test_the_tables_for_learning_platforms_carry_their_numbers(tmp_path):
    room = tmp_path / "class"
    room.mkdir()
    full = write(tmp_path, "x", handed_in()).read_bytes()
    (room / f"doejane_4711_1099_{NAME}.ipynb").write_bytes(full)
    (room / f"=cmd()_4712_1100_{NAME}.ipynb").write_bytes(full)
    run(room, tmp_path / "out")
    canvas = list(csv.reader((tmp_path / "out" / "canvas.csv").read_text().splitlines()))
    assert canvas[1][0].strip() == "Points Possible"
    assert ["doejane", "4711", "", "", "", "7"] in canvas
    moodle = (tmp_path / "out" / "moodle" / f"{NAME}.csv").read_text()
    assert "Participant 4711,doejane,graded,7,11," in moodle
    assert "'=cmd()" in moodle  # a spreadsheet must not run a name


def test_one_submission_on_which_the_grader_fails_does_not_stop_the_class(folder, tmp_path):
    class Fragile(InProcess):
        def run(self, notebook, release, *, time_limit, cell_limit, files=None):
            if "return sum(rates)\n" in "".join(c.source + "\n" for c in notebook.cells):
                raise OSError("disk full")
            return super().run(notebook, release, time_limit=time_limit, cell_limit=cell_limit)

    report = run(folder, tmp_path / "out", executor=Fragile())
    assert len(report.broken) == 2
    rows = table(tmp_path / "out")
    assert rows["half"]["status"] == "failed"
    assert "disk full" in rows["half"]["reason"]
    assert rows["perfect"]["score"] == "7"


def test_a_failure_of_the_grader_is_not_remembered(folder, tmp_path):
    class Broken(InProcess):
        def run(self, notebook, release, *, time_limit, cell_limit, files=None):
            raise OSError("disk full")

    run(folder, tmp_path / "out", executor=Broken())
    run(folder, tmp_path / "out")
    assert table(tmp_path / "out")["perfect"]["score"] == "7"


def test_two_graders_cannot_write_one_gradebook(tmp_path):
    with open_gradebook(tmp_path), pytest.raises(GradebookError, match="Another grader"), open_gradebook(tmp_path):
        pass


def test_a_file_that_is_no_gradebook_is_said_so(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "gradebook.db").write_text("not a database" * 100)
    with pytest.raises(GradebookError, match="cannot be opened"):
        run(folder, tmp_path / "out")


def test_an_unreadable_due_date_is_said_so(folder, tmp_path):
    with pytest.raises(GradebookError, match="due date"):
        run(folder, tmp_path / "out", due={NAME: "soon"})


def test_a_damaged_cache_entry_is_run_again(tmp_path):
    cache = Cache(tmp_path)
    entry = CachedRun((("check-1-1", 1.0, "Passed."), ("interview-1", None, "")), "", 1.0, 2.0, "{}")
    cache.put("ab" * 32, entry)
    assert cache.get("ab" * 32) == entry
    next(Path(tmp_path).rglob("*.json")).write_text('{"checks": [[1')
    assert cache.get("ab" * 32) is None


def test_one_file_can_be_graded_by_itself(tmp_path):
    path = write(tmp_path, "ann", handed_in(rate=WRONG_RATE))
    result = grade_submission(path, tiny(), executor=InProcess(), student="ann")
    assert (result.student, result.status, result.score, result.max_score) == ("ann", "graded", 4, 7)
    assert result.first_failure().check.grade_id == "check-1-1"


def test_the_workers_end_when_the_grader_fails_in_the_middle(folder, tmp_path):
    ended = []

    def watched(*args, **options):
        try:
            yield from inline(*args, **options)
        finally:
            ended.append(True)

    def full(_):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        grade_class(
            folder,
            tmp_path / "out",
            catalogue=catalogue_of(tiny()),
            make_executor=InProcess,
            executor_name="in process",
            options=GradeOptions(workers=1),
            runner=watched,
            on_result=full,
        )
    assert ended == [True], f"although the traceback of {caught.value} is kept"


@pytest.mark.parametrize("there", [False, True])
def test_nobody_else_can_write_from_before_the_first_job(folder, tmp_path, there):
    out, refused = tmp_path / "out", []
    if there:
        run(folder, out)

    def tries_too(*args, **options):
        with pytest.raises(GradebookError, match="Another grader"), sole_writer(out):
            pass
        refused.append(True)
        return inline(*args, **options)

    grade_class(
        folder,
        out,
        catalogue=catalogue_of(tiny()),
        make_executor=InProcess,
        executor_name="in process",
        options=GradeOptions(workers=1),
        runner=tries_too,
    )
    assert refused == [True]
    with sole_writer(out):  # free again
        pass


def test_a_grader_that_finds_another_at_a_new_folder_runs_nothing(folder, tmp_path):
    out = tmp_path / "out"
    with sole_writer(out), pytest.raises(GradebookError, match="Another grader"):
        run(folder, out)
    assert [path.name for path in out.iterdir() if path.name != ".grading.lock"] == []
