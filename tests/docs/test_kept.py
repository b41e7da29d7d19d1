"""What the pages for instructors promise, where no other test looks at it (`promises.py` names them all)."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.authoring.format import written
from autograder.authoring.sources import SourceError
from autograder.cli import app
from autograder.grading import submission
from autograder.grading.collect import collect
from autograder.grading.gradebook import GradebookError, open_gradebook
from autograder.grading.identity.level import UnsupportedLayoutError
from autograder.grading.options import GradingError
from autograder.runners import pool
from autograder.sandbox import Engine, choose, processes
from tests.autograder.grading.test_layouts import as_folder
from tests.autograder.sandbox.walled import LIMITS, plan
from tests.fixtures.small_class import DUE, LATE, SmallClass, released
from tests.fixtures.tiny_class import NAME

ROOT = Path(__file__).parents[2]
GRADING, INSTRUCTOR = ((ROOT / "docs" / f"{page}.md").read_text() for page in ("grading", "instructor"))


@pytest.fixture
def graded(tmp_path):
    small = SmallClass(tmp_path)
    small.hand_in("ann", LATE)
    small.hand_in("ben")
    small.grade(due={NAME: DUE}, seed="a secret")
    return small


def test_the_output_has_what_the_page_says(graded):
    rows = re.findall(r"^\| (`[^|]+) \|", GRADING.partition("## What you get")[2].partition("## ")[0], re.M)
    named = [name.replace("STUDENT", "ann").rstrip("/") for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert len(named) > 12
    assert [name for name in named if not (graded.out / name).exists()] == []
    there = {path.name for path in graded.out.iterdir() if not path.name.startswith(".")}
    assert there - {name.split("/")[0] for name in named} == {"nbgrader_config.py"}  # named further down
    assert "`nbgrader_config.py` in the `--out` folder" in " ".join(GRADING.split())


def test_neither_export_nor_feedback_runs_a_notebook(graded, monkeypatch):
    graded.give("ann", "interview-1", 3.5)

    def never(*_, **__):
        raise AssertionError("a notebook was run")

    for module, name in ((submission, "Grader"), (pool, "run_jobs"), (Engine, "__init__")):
        monkeypatch.setattr(module, name, never)
    graded.export()
    assert graded.total("ann") == 10.5
    assert "A person gave these points." in graded.feedback("ann")


def test_the_supervisor_looks_as_often_as_the_page_says():
    (often,) = re.findall(r"a supervisor that looks (\w+) times a second", " ".join(GRADING.split()))
    assert (often, round(1 / processes._LOOK_EVERY)) == ("ten", 10)


def test_learner_and_judge_share_tmp_as_the_page_warns():
    learner = "def f():\n    open('/tmp/shared', 'w').write('seen')\n    return '/tmp/shared'"
    check = "assert open(f()).read() == 'seen', 'nothing is shared'"
    with Engine(sandbox=choose("auto"), preload=(), cache=None) as engine:
        done = engine.run(plan(learner, check), limits=LIMITS)
    assert done.outcome("t0").ok, done.outcome("t0").message


@pytest.mark.parametrize(
    ("words", "late", "named"),
    [
        ("", None, False),
        ("Late Submission - ", True, False),
        ("Verspatete Abgabe - ", True, False),
        ("Verspätete Abgabe - ", True, False),
        ("Remise tardive - ", None, True),
        ("Meine Loesung - ", None, True),
        ("Late Submission ", None, False),
        ("Late Submission - Late Submission - ", True, False),
    ],
)
def test_words_in_front_of_a_name_in_ilias_are_a_mark_or_are_named(tmp_path, words, late, named):
    names = [f"Sheet/Submissions/Doe_{n}_x_{n}/{words if n == 1 else ''}{NAME}.ipynb" for n in (1, 2)]
    room = collect(as_folder(tmp_path, names, {}), [NAME], scratch=tmp_path / "scratch")
    assert [found.late for found in room.found] == [late, None]
    assert [found.path is not None for found in room.found] == [True, True]
    said = [note for note in room.notes if "ILIAS marks late work so" in note]
    assert (len(said) == 1 and f"{words}{NAME}.ipynb" in said[0]) if named else not said


def test_the_report_has_the_seconds_of_a_submission(graded):
    report = graded.summary()
    assert report["grader"]["seconds"] >= 0
    assert {row["student"] for row in report["slowest"]} == {"ann", "ben"}
    assert all(row["seconds"] >= 0 for row in report["slowest"])


def test_only_hands_out_a_part(tmp_path):
    first, second = written(ROOT)[:2]
    out = tmp_path / "part.zip"
    given = ["bundle", "--out", str(out), "--root", str(ROOT), "--only", f"{first[:2]},{second[:2]}"]
    assert CliRunner().invoke(app, given).exit_code == 0
    with zipfile.ZipFile(out) as archive:
        held = [name for name in archive.namelist() if "/notebooks/" in name and name.endswith(".ipynb")]
    assert held == [f"mlops-course/notebooks/{name}.ipynb" for name in (first, second)]


def test_what_the_page_quotes_is_what_is_said(graded, tmp_path, tiny_course):
    table = INSTRUCTOR.partition("## When something goes wrong")[2]
    layout, apart, unwritable, writing, reference = re.findall(r'^\| "([^"]+)" \|', table, re.M)
    assert unwritable == "… cannot be written"  # tests/autograder/test_unwritable.py looks for it in every command

    (tmp_path / "both").mkdir()
    both = as_folder(
        tmp_path / "both", [f"01_tiny/ann/{NAME}.ipynb", f"01_tiny/ben/{NAME}.ipynb", f"02_x/ann/{NAME}.ipynb"], {}
    )
    with pytest.raises(UnsupportedLayoutError, match=layout) as refused:
        collect(both, [NAME, "02_x"], scratch=tmp_path / "scratch")
    assert refused.value.next_step

    (tmp_path / "inside").mkdir()
    done = CliRunner().invoke(app, ["grade", str(tmp_path), "--out", str(tmp_path / "inside"), "--root", str(ROOT)])
    assert apart in str(done.exception)

    with open_gradebook(graded.out), pytest.raises(GradebookError, match=writing):
        graded.export()

    with pytest.raises(GradingError, match=reference):
        graded.grade(released(("return sum(rates) / len(rates)", "return 0.0")))

    (tiny_course / "solutions" / f"{NAME}.py").write_text("# %% [markdown]\n# # 1 · Nothing\n")
    (tiny_course / "solutions" / "02_other.py").write_text("# %% [markdown]\n# # 2 · Nothing\n")
    given = ["grade", str(graded.room), "--out", str(tmp_path / "new"), "--root", str(tiny_course)]
    refused_source = CliRunner().invoke(app, given).exception
    assert isinstance(refused_source, SourceError)
    assert "--only 02" in refused_source.next_step
    assert "add `--only` with their numbers" in table
