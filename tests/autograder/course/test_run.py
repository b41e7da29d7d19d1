from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from autograder.authoring import release
from autograder.course import pairs, run
from autograder.course.model import CourseReport, EngineReport, NotebookReport
from autograder.course.report import executed_page, report_page
from autograder.reports.terminal import console
from course_lib import engines

SOURCES = Path(__file__).parents[2] / "fixtures" / "sources"
HERE = {
    "found": engines.Engine("Lathe", lambda: "4.2", "turning", "nothing turns"),
    "gone": engines.Engine("Ghost", lambda: None, "haunting", "nothing haunts"),
}


MORE = """

# %%
share = mean([1, 2])

# %%
share

# %%
import subprocess
sleeper = subprocess.Popen(["sleep", "300"])

# %% [markdown]
"""


def renumbered(text):
    """The tiny notebook as notebook 2."""
    text = re.sub(r"\b1\.([12])\b", r"2.\1", text.replace("[1, 2]) is 1:", "[1, 2]) is one:").replace("1.5", "1.50"))
    return re.sub(r"(ex|check|hidden)-1-", r"\1-2-", text).replace("# # 1 ·", "# # 2 ·")


def add_second(root):
    """Add a notebook whose reference is wrong, leaves a process, and whose untouched copy breaks in a plain cell."""
    solutions = root / "solutions"
    text = renumbered((SOURCES / "01_tiny.py").read_text())
    text = text.replace("return statistics.median(values)", "return min(values)")
    text = text.replace("# ## Interview question", "# After the exercises." + MORE + "# ## Interview question")
    (solutions / "02_broken.py").write_text(text)
    answers = solutions / "answers" / "02_broken"
    answers.mkdir()
    for k in (1, 2):
        shutil.copy(SOURCES / "answers" / "01_tiny" / f"ex_1_{k}.py", answers / f"ex_2_{k}.py")


@pytest.fixture(autouse=True)
def same_engines(monkeypatch):
    """Find the same engines on every machine."""
    monkeypatch.setattr(engines, "ENGINES", HERE)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A course of two notebooks, the second one bad, after it ran."""
    root = tmp_path_factory.mktemp("course")
    shutil.copytree(SOURCES, root / "solutions")
    add_second(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "ENGINES", HERE)
        report = run.run_course(root, console(), jobs=1, whole_copies=True)
        page = run.write_report(report, root)
    return root, report, page


def test_a_good_notebook_earns_everything_and_its_untouched_copy_nothing(ran):
    good = ran[1].notebooks[0]

    assert good.status == "passed"
    assert (good.points, good.max_points, good.learner_points) == (7, 7, 0)
    assert good.seconds > 0
    assert good.peak_mb > 10
    assert good.cpu_seconds > 0
    assert [(e.number, e.misconceptions, e.alternatives) for e in good.exercises] == [("1.1", 3, 2), ("1.2", 3, 2)]


def test_a_bad_notebook_fails_with_every_reason_and_stops_no_other(ran):
    bad = ran[1].notebooks[1]

    assert bad.status == "failed"
    assert not ran[1].passed
    text = "\n".join(bad.problems)
    assert "loses points at check-2-2" in text
    assert "leaves a process running: sleep 300" in text
    assert "untouched learner copy breaks at" in text
    assert "NameError" in text


def test_the_report_is_written_as_values_and_as_a_page_that_loads_nothing(ran):
    root, report, page = ran
    assert report.notebooks[0].budget == 60
    values = json.loads(page.with_suffix(".json").read_text())

    assert values["passed"] is False
    assert [n["name"] for n in values["notebooks"]] == ["01_tiny", "02_broken"]
    text = page.read_text()
    assert "1 of 2 notebooks failed" in text
    assert "<b>Ghost</b> was not found on this machine: nothing haunts." in text
    assert "<script" not in text
    assert not re.search(r'(src|href)="(?!#|executed/)', text)
    executed = root / "build" / report.notebooks[0].executed
    assert "mean([1, 2])" in re.sub(r"<[^>]+>", "", executed.read_text())
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="http', executed.read_text())
    assert "flowchart LR" in executed.read_text()


def test_what_is_unchanged_is_not_run_again_and_says_so(ran, monkeypatch, capsys):
    root, report, _ = ran
    monkeypatch.setattr(pairs, "run_notebook", lambda *a, **k: pytest.fail("it was run again"))

    again = run.run_course(root, console(), names=["01_tiny"], whole_copies=True)

    assert again.passed
    assert again.notebooks[0].since
    assert replace(again.notebooks[0], since="") == report.notebooks[0]
    assert re.search(r"unchanged since \d{4}-\d\d-\d\d \d\d:\d\d, 100 %, took [\d.]+ s then", capsys.readouterr().out)
    assert "unchanged since" in report_page(again)


@pytest.mark.parametrize("what", ["source", "engines", "force", "page"])
def test_a_change_of_what_a_run_depends_on_runs_it_again(ran, monkeypatch, tmp_path, what):
    root = tmp_path / "copy"
    shutil.copytree(ran[0], root)
    if what == "engines":
        monkeypatch.setattr(engines, "ENGINES", {"found": HERE["found"]})
    if what == "source":
        path = root / "solutions" / "01_tiny.py"
        path.write_text(path.read_text().replace("is automated", "are automated").replace("Averages", "Means"))
    if what == "page":
        (root / "build" / "executed" / "01_tiny.html").unlink()
    asked = []

    def refuse(*args, **kwargs):
        asked.append(args)
        raise run.CourseError("stopped by the test")

    monkeypatch.setattr(pairs, "run_notebook", refuse)
    report = run.run_course(root, console(), names=["01_tiny"], force=what == "force", whole_copies=True)

    assert len(asked) == 1
    assert report.notebooks[0].problems == ("stopped by the test",)


def test_notebooks_without_a_source_are_named_and_fail_no_one(tmp_path, capsys):
    (tmp_path / "course.toml").write_text(
        '[[notebook]]\nname = "01_tiny"\ntitle = "A tiny notebook"\n[[notebook]]\nname = "04_far"\ntitle = "Far"\n'
    )
    report = run.run_course(tmp_path, console())

    assert report.passed
    assert [(n.name, n.title, n.status) for n in report.notebooks] == [
        ("01_tiny", "A tiny notebook", "not written"),
        ("04_far", "Far", "not written"),
    ]
    assert capsys.readouterr().out.count("not written yet") == 2
    assert "No notebook is written yet" in report_page(report)


def test_the_list_gives_title_and_budget_and_a_source_that_is_not_on_it_fails(tiny_course, monkeypatch):
    (tiny_course / "course.toml").write_text('[[notebook]]\nname = "01_tiny"\ntitle = "Tiny, listed"\nbudget = 3\n')
    (tiny_course / "solutions" / "02_stray.py").touch()
    monkeypatch.setattr(pairs, "run_notebook", lambda *a, **k: 1 / 0)
    first, second = run.run_course(tiny_course, console(), whole_copies=True).notebooks

    assert (first.name, first.title, first.budget, first.status) == ("01_tiny", "Tiny, listed", 3, "failed")
    assert (second.name, second.title, second.status) == ("02_stray", "Stray", "failed")
    assert "course.toml does not list it" in second.problems[0]


def test_a_bad_source_and_a_surprise_are_reported_and_the_next_notebook_still_runs(tiny_course, change, monkeypatch):
    change('"points": 1,', '"points": 0,')
    bad = run.run_course(tiny_course, console(), whole_copies=True)

    assert any("positive number of points" in problem for problem in bad.notebooks[0].problems)

    change('"points": 0,', '"points": 1,')
    monkeypatch.setattr(pairs, "run_notebook", lambda *a, **k: 1 / 0)
    surprise = run.run_course(tiny_course, console(), whole_copies=True)

    assert surprise.notebooks[0].problems == ("ZeroDivisionError: division by zero",)


def test_copies_are_graded_behind_the_sandbox_beside_the_references(tmp_path):
    shutil.copytree(SOURCES, tmp_path / "solutions")
    text = renumbered((SOURCES / "01_tiny.py").read_text())
    (tmp_path / "solutions" / "02_small.py").write_text(text)
    shutil.copytree(SOURCES / "answers" / "01_tiny", tmp_path / "solutions" / "answers" / "02_small")
    for k in (1, 2):
        (tmp_path / "solutions" / "answers" / "02_small" / f"ex_1_{k}.py").rename(
            tmp_path / "solutions" / "answers" / "02_small" / f"ex_2_{k}.py"
        )

    report = run.run_course(tmp_path, console(), jobs=2)

    assert [(n.name, n.status, n.problems) for n in report.notebooks] == [
        ("01_tiny", "passed", ()),
        ("02_small", "passed", ()),
    ]
    assert [(n.points, n.learner_points) for n in report.notebooks] == [(7, 0), (7, 0)]
    assert all(n.learner_seconds > 0 for n in report.notebooks)


def test_without_a_sandbox_copies_run_whole(tiny_course, monkeypatch):
    from autograder.runners import sandbox
    from autograder.sandbox.errors import SandboxUnavailable

    def unavailable(_):
        raise SandboxUnavailable("no namespaces here", expected="x", next_step="y")

    monkeypatch.setattr(sandbox, "Sandboxed", unavailable)
    (note,) = run.run_course(tiny_course, console()).notebooks

    assert (note.status, note.points, note.learner_points) == ("passed", 7, 0)


def test_what_fails_beside_another_notebook_gets_a_run_alone(tiny_course, monkeypatch, capsys):
    ran = []

    def beside(sources, root, lines, *, jobs, whole):
        ran.append((jobs, len(sources)))
        for pair in pairs.run_pairs(sources, root, lines, jobs=jobs, whole=whole):
            spoiled = replace(pair, reference=replace(pair.reference, leftovers=("sleep 9",)), beside=True)
            yield spoiled if len(ran) == 1 else pair

    monkeypatch.setattr(run, "run_pairs", beside)
    (report,) = run.run_course(tiny_course, console(), jobs=2, whole_copies=True).notebooks

    assert ran == [(2, 1), (1, 1)]
    assert report.status == "passed"
    assert "failed beside another notebook" in report.notes[0]
    assert "sleep 9" in capsys.readouterr().out


def test_a_small_session_runs_one_notebook_at_a_time(monkeypatch):
    monkeypatch.setenv("MEM_LIMIT", str(2 * 2**30))
    assert pairs.usual_jobs() == 1
    monkeypatch.setenv("MEM_LIMIT", "2G")  # no number: the machine's own memory counts
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"total": 16 * 2**30}))
    monkeypatch.setattr("autograder.grading.classroom.processors", lambda: 8)
    monkeypatch.setattr(Path, "read_text", lambda self: "max\n")
    assert pairs.usual_jobs() == 2


def test_a_run_that_is_broken_off_leaves_nothing_running(tiny_course, change):
    import psutil

    from autograder.authoring.sources import read_source
    from autograder.reports.terminal import board

    change("return statistics.median(values)", "import time; time.sleep(60); return statistics.median(values)")
    source = read_source(tiny_course / "solutions" / "01_tiny.py")
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    calls = iter(range(1000))

    def stop():
        return next(calls) > 5

    with board(console()), pytest.raises(KeyboardInterrupt):
        pairs.run_notebook(source.notebook, stop=stop)

    assert {p.pid for p in psutil.Process().children(recursive=True)} == before


def test_a_notebook_that_was_worked_in_is_noted_and_not_judged(ran):
    root = ran[0]
    release.build(root, ["01_tiny"])
    clean = run.run_course(root, console(), names=["01_tiny"], whole_copies=True)
    path = root / "notebooks" / "01_tiny.ipynb"
    path.write_text(path.read_text().replace("Averages", "My averages"))
    worked = run.run_course(root, console(), names=["01_tiny"], whole_copies=True)
    path.unlink()

    assert clean.notebooks[0].notes == ()
    assert worked.passed
    assert "differs from its source" in worked.notebooks[0].notes[0]


def test_the_page_shows_text_as_text_and_names_what_took_too_long():
    engine = EngineReport("x", "X<1>", "", "a & b")
    notebook = NotebookReport("01_x", "<i>T</i>", "failed", 25.0, ("a < b",), ("slow",), seconds=50.0, max_points=4.0)
    page = report_page(CourseReport("today", 1.0, "3.11", "here", (notebook,), (engine,)))

    assert "&lt;i&gt;T&lt;/i&gt;" in page
    assert "a &lt; b" in page
    assert "a &amp; b" in page
    assert "over-budget" in page
    assert "width:100.0%" in page


def test_an_executed_page_loads_no_script_from_the_network(tiny_course):
    from autograder.authoring.sources import read_source

    source = read_source(tiny_course / "solutions" / "01_tiny.py")

    assert "cdnjs" not in re.sub(r"<style.*?</style>", "", executed_page(source.notebook, "t"), flags=re.S)
