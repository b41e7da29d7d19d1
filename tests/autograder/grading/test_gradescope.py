"""Gradescope's autograder zip, from the command to results.json, in the folders that Gradescope lays out.

Gradescope itself cannot be tried here. What runs is its documented layout, the zip as it was written, and the zip's own
`run_autograder`; the environment that `setup.sh` would install is this one.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import jsonschema
import nbformat
import pytest
from typer.testing import CliRunner

from autograder.authoring.assignments import Assignment
from autograder.authoring.release import learner_copy
from autograder.authoring.sources import read_source
from autograder.cli import app
from autograder.grading.gradescope import package, run
from autograder.grading.gradescope.carried import unpacked
from autograder.grading.gradescope.metadata import lateness_of
from autograder.grading.gradescope.package import make_package
from autograder.grading.gradescope.settings import GradescopeError, GradescopeSettings
from autograder.grading.options import GradingError
from autograder.runners.sandbox import libraries_of, solved as solution_of
from autograder.sandbox.errors import SandboxUnavailable
from course_lib import data
from tests.fixtures import make_submissions
from tests.fixtures.tiny_class import InProcess, cell_of

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "tests" / "fixtures" / "gradescope.schema.json").read_text())
NAME = "01_tiny"
SOURCE = read_source(ROOT / "tests" / "fixtures" / "sources" / f"{NAME}.py")
FILE = f"{NAME}.ipynb"


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A clone whose course is the tiny one."""
    root = tmp_path_factory.mktemp("gradescope") / "course"
    shutil.copytree(ROOT / "tests" / "fixtures" / "sources", root / "solutions")
    for name in ("course_lib", "autograder", "binder", "scripts"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements-binder.lock", "LICENSE", "LICENSE-text"):
        shutil.copy(ROOT / name, root / name)
    return root


@pytest.fixture(scope="module")
def archive(course):
    """The zip as the command of docs/platforms.md writes it."""
    page = (ROOT / "docs" / "platforms.md").read_text()
    _, *words = shlex.split(re.search(r"python -m (autograder gradescope .*)", page)[1])
    out = course / words[words.index("--out") + 1]
    words[words.index("--out") + 1] = str(out)
    done = CliRunner().invoke(app, [*words, "--root", str(course)])
    assert done.exit_code == 0, done.output
    assert f"{NAME}, 7 points" in done.output
    return out


@pytest.fixture
def autograder(archive, tmp_path):
    """What is `/autograder` on Gradescope, before anything was handed in; of the zip only what `run` reads."""
    return laid_out(tmp_path / "autograder", archive, {"gradescope.json", "assignment.json"})


@pytest.fixture
def whole(archive, tmp_path):
    """The same with the whole zip, and with this environment in the place of the one that setup.sh would make."""
    folder = laid_out(tmp_path / "autograder", archive)
    shutil.copy(folder / "source" / "run_autograder", folder)
    python = folder / "source" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    here = f'PYTHONPATH="{folder}/source" COURSE_CACHE="{data.cache_dir()}"'
    python.write_text(f'#!/bin/sh\nexec env {here} "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return folder


def laid_out(folder, archive, names=()):
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            if not names or info.filename in names:
                packed.extract(info, folder / "source")
                (folder / "source" / info.filename).chmod(info.external_attr >> 16)
    for name in ("submission", "results"):
        (folder / name).mkdir()
    return folder


def solved():
    return make_submissions.solved(SOURCE)


def hand_in(folder, notebook, name=FILE):
    path = folder / "submission" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(notebook if isinstance(notebook, bytes) else nbformat.writes(notebook).encode())


def settings(folder, **changes):
    path = folder / "source" / "gradescope.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def metadata(folder, created="2026-11-28T10:00:00.365935-08:00", due="2026-11-30T18:00:00.000000-08:00", users=()):
    """Write what Gradescope's page on submission metadata shows."""
    data = {
        "id": 123456, "created_at": created, "submission_method": "upload", "previous_submissions": [],
        "assignment": {"due_date": due, "group_size": None, "group_submission": False, "id": 25828, "course_id": 1234,
                       "late_due_date": None, "release_date": "2026-11-02T00:00:00.000000-08:00", "title": "Tiny",
                       "total_points": "11.0"},
        "users": [{"email": "s@example.com", "id": 1, "name": "Student", **user} for user in users or [{}]],
    }  # fmt: skip
    (folder / "submission_metadata.json").write_text(json.dumps(data))


def results(folder):
    found = json.loads((folder / "results" / "results.json").read_text())
    jsonschema.validate(found, SCHEMA)
    return found


def graded(folder):
    """Run the zip's own program as Gradescope does, and return what it wrote and what it printed."""
    done = subprocess.run(
        [folder / "run_autograder"], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return results(folder), done.stdout


@pytest.fixture
def in_this_process(autograder, capsys, monkeypatch):
    """Return what does the same in this process and without walls: for code that a test wrote itself."""
    monkeypatch.setattr(run, "choose_executor", lambda *_, **__: (InProcess, InProcess.name, ""))

    def graded() -> tuple[int, dict, str]:
        code = run.run(autograder)
        return code, results(autograder), capsys.readouterr().out

    return graded


def shown_to_learners(found, *, published=False):
    """What a learner can read, by Gradescope's rules of visibility."""
    allowed = {"visible", "after_published"} if published else {"visible"}
    tests = [test for test in found["tests"] if test.get("visibility", "visible") in allowed]
    return json.dumps([found.get("output", ""), tests])


def test_the_schema_knows_what_gradescope_takes_and_what_not():
    good = {"tests": [{"score": 1, "max_score": 2}]}
    jsonschema.validate(good, SCHEMA)
    bad = [
        {},
        {"tests": []},
        {"tests": [{"name": "no score anywhere"}]},
        good | {"visibility": "never"},
        good | {"score": "7"},
        {"tests": [{"score": 1, "visible": True}]},
        {"score": 1, "tests": [{"status": "ok"}]},
        {"score": 1, "output_format": "markdown"},
    ]
    for value in bad:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(value, SCHEMA)


# The zip


def test_its_programs_lie_at_the_root_and_may_be_run(archive):
    with zipfile.ZipFile(archive) as packed:
        modes = {info.filename: info.external_attr >> 16 for info in packed.infolist()}
        assert packed.testzip() is None
    for name in ("setup.sh", "run_autograder", "binder/postBuild"):
        assert modes[name] & 0o777 == 0o755
    assert modes["autograder/grading/gradescope/run.py"] & 0o777 == 0o644
    assert not [name for name in modes if "__pycache__" in name or name.startswith(("build/", "notebooks/", "tests/"))]


def test_it_holds_the_one_notebook_with_its_hidden_tests_and_no_other(archive):
    with zipfile.ZipFile(archive) as packed:
        assert not [n for n in packed.namelist() if n.startswith("solutions/")]
        asked = json.loads(packed.read("assignment.json"))
        said = json.loads(packed.read("gradescope.json"))
    assert asked["spec"]["name"] == NAME
    assert "mean([0, 0, 9])" in json.dumps(asked["graded"])
    assert "mean([0, 0, 9])" not in json.dumps(asked["learner"])
    assert said.pop("seed")
    assert said == {
        "notebook": NAME, "sandbox": "auto", "hidden": "after_published", "late": "none",
        "time_limit": 300.0, "cell_limit": 60.0,
    }  # fmt: skip


def test_the_same_settings_give_the_same_bytes(course, archive, monkeypatch):
    monkeypatch.setattr(package, "_prove", lambda *_: None)
    with zipfile.ZipFile(archive) as packed:
        said = GradescopeSettings(**json.loads(packed.read("gradescope.json")))
    assert make_package(course, said).archive() == archive.read_bytes()


def test_what_is_carried_comes_out_as_it_went_in(autograder):
    asked, here = unpacked(autograder / "source"), Assignment.of(SOURCE)
    assert (asked.spec, asked.checks, asked.hints) == (here.spec, here.checks, here.hints)
    assert (asked.learner, asked.graded) == (here.learner, here.graded)
    assert solution_of(asked.graded, asked.source) == solution_of(here.graded, here.source)
    assert libraries_of(asked.source) == libraries_of(here.source)


def test_the_solution_does_not_lie_beside_submissions_that_run_without_walls(course, monkeypatch):
    monkeypatch.setattr(package, "_prove", lambda *_: None)
    bodies = {s: make_package(course, GradescopeSettings(NAME, s)).files["assignment.json"] for s in ("auto", "none")}
    for solution in (b"return sum(values) / len(values)", b"return statistics.median(values)"):
        assert solution in bodies["auto"]
        assert solution not in bodies["none"]


def test_a_reference_that_fails_a_check_is_no_autograder(tiny_course, change, monkeypatch):
    monkeypatch.setattr(package, "choose_executor", lambda *_, **__: (InProcess, InProcess.name, ""))
    change("mean([0, 0, 9]) == 3", "mean([0, 0, 9]) == 4")
    with pytest.raises(GradingError, match="hidden-1-1"):
        make_package(tiny_course, GradescopeSettings(NAME))


@pytest.mark.parametrize(
    ("options", "word"),
    [(["--only", ""], "one notebook"), (["--only", "01", "--out", "zip"], ".zip"), (["--only", "44"], "44")],
)
def test_what_makes_no_autograder_is_refused(course, tmp_path, monkeypatch, options, word):
    monkeypatch.setattr(package, "_prove", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    given = ["gradescope", "--root", str(course), *options]
    done = CliRunner().invoke(app, given if "--out" in options else [*given, "--out", "g.zip"])
    assert done.exit_code != 0
    assert word in f"{done.output}{done.exception}"
    assert not list(tmp_path.iterdir())


def test_every_file_that_setup_needs_is_in_the_zip(whole):
    source = whole / "source"
    setup = (source / "setup.sh").read_text()
    for script in (source / "setup.sh", source / "run_autograder", source / "binder" / "postBuild"):
        assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert "binder/postBuild" in setup
    for name in ("requirements-binder.lock", "scripts/binder_slim.py", "pyproject.toml"):
        assert (source / name).is_file()
    assert "requirements-binder.lock" in (source / "binder" / "postBuild").read_text()


# What Gradescope shows


@pytest.mark.timeout(300)
def test_a_right_notebook_earns_everything(whole):
    hand_in(whole, solved())
    metadata(whole)
    (whole / "json.py").write_text("raise SystemExit('`python -m` looks for modules in the working folder')")
    found, printed = graded(whole)
    assert found["score"] == 7
    assert [(t["number"], t["name"], t["score"], t["max_score"], t["visibility"]) for t in found["tests"][:4]] == [
        ("1.1", "The mean", 1, 1, "visible"),
        ("1.1", "The mean: hidden tests", 2, 2, "after_published"),
        ("1.2", "The median", 2, 2, "visible"),
        ("1.2", "The median: hidden tests", 2, 2, "after_published"),
    ]
    (answer,) = found["tests"][4:]
    assert (answer["name"], answer["status"], "score" in answer) == ("Answer interview-1", "passed", False)
    assert "Written answers are read by a person" in found["output"]
    assert found["stdout_visibility"] == "hidden"
    assert {found[key] for key in ("output_format", "test_output_format", "test_name_format")} == {"text"}
    assert "judge, " in printed
    assert "No sandbox" not in printed


def test_a_wrong_one_is_told_its_misconception_and_never_the_test(autograder, in_this_process):
    notebook = solved()
    cell_of(notebook, "ex-1-1").source = "def mean(values):\n    return sum(values) // len(values)"
    cell_of(notebook, "ex-1-2").source = "def median(values):\n    return sorted(values)[len(values) // 2]"
    hand_in(autograder, notebook)
    metadata(autograder)
    code, found, _ = in_this_process()
    assert (code, found["score"]) == (0, 0 + 2 + 2 + 1)
    assert "floor division drops the half minute" in shown_to_learners(found)
    assert found["tests"][3]["score"] == 1  # half of the hidden tests
    assert "hidden" not in shown_to_learners(found)
    assert "the mean of the two in the middle" not in shown_to_learners(found)
    text = json.dumps(found)
    assert "right = [" not in text
    assert "mean([0, 0, 9]) == 3" not in text


def test_an_untouched_notebook_earns_nothing_and_waits_for_nobody(autograder, in_this_process):
    hand_in(autograder, learner_copy(SOURCE))
    metadata(autograder)
    code, found, _ = in_this_process()
    assert (code, found["score"], {t.get("score", 0) for t in found["tests"]}) == (0, 0, {0})
    assert (found["tests"][4]["status"], found["tests"][4]["output"]) == ("failed", "No answer was written.")
    assert "read by a person" not in found["output"]


@pytest.mark.parametrize("hidden", ["hidden", "after_due_date", "after_published"])
def test_the_hidden_tests_are_shown_when_the_instructor_said(autograder, in_this_process, hidden):
    settings(autograder, hidden=hidden)
    hand_in(autograder, b"{")
    metadata(autograder)
    _, found, _ = in_this_process()
    assert [t["visibility"] for t in found["tests"]] == ["visible", hidden, "visible", hidden, "visible"]
    assert ("hidden tests" in shown_to_learners(found, published=True)) is (hidden == "after_published")


BROKEN = [
    ({FILE: b"{"}, "not JSON"),
    ({FILE: b""}, "empty"),
    ({FILE: b"\x89PNG\r\n"}, "JSON"),
    ({}, "No file 01_tiny.ipynb was handed in."),
    ({"notes.txt": b"sorry"}, "Found instead: notes.txt"),
    ({"work.zip": b"PK\x03\x04"}, "Found instead: work.zip"),
    ({"notebooks/.ipynb_checkpoints/01_tiny-checkpoint.ipynb": b"{}"}, "No file 01_tiny.ipynb"),
]


@pytest.mark.parametrize(("files", "reason"), BROKEN)
def test_a_broken_upload_earns_nothing_with_the_reason(autograder, in_this_process, files, reason):
    for name, body in files.items():
        hand_in(autograder, body, name)
    metadata(autograder)
    code, found, _ = in_this_process()
    assert (code, found["score"]) == (0, 0)
    assert reason in found["output"]
    assert found["extra_data"]["status"] == "rejected"
    assert sum(test.get("max_score", 0) for test in found["tests"]) == 7


@pytest.mark.parametrize(
    "name", [FILE, "01_tiny (1).ipynb", "my work/notebooks/01_tiny.ipynb", "doejane_12345_67890_01_tiny.ipynb"]
)
def test_a_notebook_is_found_wherever_it_lies(autograder, in_this_process, name):
    hand_in(autograder, solved(), name)
    hand_in(autograder, b"{}", "02_other.ipynb")
    hand_in(autograder, b"x", "roebob_11111_22222_essay.txt")
    metadata(autograder)
    _, found, _ = in_this_process()
    assert found["score"] == 7


def test_what_a_learner_wrote_is_text(autograder, in_this_process):
    notebook = solved()
    cell_of(
        notebook, "ex-1-1"
    ).source = "def mean(values):\n    raise ValueError('<img src=x onerror=alert(1)> \\ud800 \\u202e **x** \\x1b[31m')"
    hand_in(autograder, notebook)
    metadata(autograder)
    _, found, _ = in_this_process()
    said = found["tests"][0]["output"]
    assert "<img src=x onerror=alert(1)>" in said  # as text: the formats say so
    assert "\\ud800" in said
    assert "\u202e" not in said
    assert "\x1b" not in said


def test_an_output_is_never_longer_than_a_page(autograder, in_this_process):
    hand_in(autograder, solved(), "x" * 200 + f"_{FILE}")
    for number in range(300):
        hand_in(autograder, b"x", f"{number:03}{'y' * 100}.txt")
    (autograder / "submission" / ("x" * 200 + f"_{FILE}")).unlink()
    metadata(autograder)
    _, found, _ = in_this_process()
    assert len(found["output"]) < 10_100


# Dates


@pytest.mark.parametrize(
    ("created", "due", "users", "seconds"),
    [
        ("2026-11-30T18:00:00-08:00", "2026-11-30T18:00:00-08:00", (), 0),
        ("2026-11-30T18:00:01-08:00", "2026-11-30T18:00:00-08:00", (), 1),
        ("2026-12-01T02:00:01Z", "2026-11-30T18:00:00-08:00", (), 1),
        ("2026-12-01T02:00:01+00:00", None, (), 0),
        ("2026-11-30T18:00:01-08:00", "2026-11-30T18:00:00-08:00", ("2026-12-02T18:00:00-08:00",), 0),
        ("2026-12-02T18:00:05-08:00", "2026-11-30T18:00:00-08:00", ("2026-12-02T18:00:00-08:00",), 5),
        (
            "2026-12-02T18:00:00-08:00",
            "2026-11-30T18:00:00-08:00",
            ("2026-11-30T18:00:00-08:00", "2026-12-03T00:00:00Z"),
            7200,
        ),
    ],
)
def test_lateness_is_by_gradescopes_own_dates(tmp_path, created, due, users, seconds):
    metadata(tmp_path, created, due, [{"assignment": {"due_date": text}} for text in users])
    late = lateness_of(tmp_path)
    assert (late.seconds, late.unknown) == (seconds, "")
    assert bool(late.text) is bool(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"created_at": "yesterday"}', '{"created_at": null}', '{"created_at": "2026-11-30T18:00:00"}',
     '{"created_at": 5}', '{"created_at": "2026-11-30T18:00:00Z", "assignment": {"due_date": "soon"}}'],
)  # fmt: skip
def test_dates_that_cannot_be_read_are_not_guessed(tmp_path, text):
    (tmp_path / "submission_metadata.json").write_text(text)
    assert lateness_of(tmp_path).unknown
    assert lateness_of(tmp_path / "nowhere").unknown


@pytest.mark.parametrize(("late", "score"), [("none", 7), ("zero", 0)])
def test_late_work_is_said_to_be_late_and_costs_what_was_chosen(autograder, in_this_process, late, score):
    settings(autograder, late=late)
    hand_in(autograder, solved())
    metadata(autograder, created="2026-12-01T20:30:00.000000-08:00")
    _, found, _ = in_this_process()
    assert found["score"] == score
    assert "handed in 1 d 2 h 30 min after the due date" in found["output"]
    assert ("earns no points" in found["output"]) is (late == "zero")
    assert sum(test.get("score", 0) for test in found["tests"]) == 7  # what the checks gave stays visible
    assert found["extra_data"]["late_seconds"] == 26.5 * 3600


# It fails closed


def not_graded(code, found, printed, reason):
    """Nothing was judged: instructors read why, learners that it is no grade, and nobody a total."""
    assert code == 1
    assert (found["score"], [test.get("score") for test in found["tests"]]) == (0, [None, None])
    assert found["tests"][1]["visibility"] == "hidden"
    assert reason in found["tests"][1]["output"]
    assert reason in printed
    assert reason not in shown_to_learners(found, published=True)
    assert "not your fault" in shown_to_learners(found)


def test_without_a_sandbox_nothing_is_run(autograder, in_this_process, monkeypatch):
    def none(*_, **__):
        raise SandboxUnavailable("Strangers' code can't be walled in on this machine: bwrap: not permitted")

    monkeypatch.setattr(run, "choose_executor", none)
    monkeypatch.setattr(run, "Grader", None)  # to be called would fail
    mark = autograder / "ran"
    notebook = solved()
    cell_of(notebook, "ex-1-1").source = f"open({str(mark)!r}, 'w')"
    hand_in(autograder, notebook)
    metadata(autograder)
    not_graded(*in_this_process(), "bwrap: not permitted")
    assert not mark.exists()
    assert "--sandbox none" in results(autograder)["tests"][1]["output"]
    assert "autograder grade" in results(autograder)["tests"][1]["output"]


@pytest.mark.timeout(300)
def test_without_walls_it_grades_only_where_the_zip_says_so(autograder, capsys):
    settings(autograder, sandbox="none")
    hand_in(autograder, solved())
    metadata(autograder)
    assert (run.run(autograder), results(autograder)["score"]) == (0, 7)
    assert "No sandbox" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("source/gradescope.json", "{", "settings cannot be read"),
        ("source/gradescope.json", '{"notebook": "01_tiny", "colour": 1}', "settings cannot be read"),
        ("source/assignment.json", "", "notebook of this autograder cannot be read"),
        ("source/assignment.json", '{"spec": {}}', "notebook of this autograder cannot be read"),
    ],
)
def test_a_damaged_zip_grades_nobody(autograder, in_this_process, file, text, reason):
    (autograder / file).write_text(text)
    hand_in(autograder, solved())
    metadata(autograder)
    not_graded(*in_this_process(), reason)


def test_late_work_that_must_earn_nothing_is_not_graded_where_no_date_is_known(autograder, in_this_process):
    settings(autograder, late="zero")
    hand_in(autograder, solved())
    not_graded(*in_this_process(), "late cannot be told")


def test_a_missing_submission_folder_and_a_broken_grader_grade_nobody(autograder, in_this_process, monkeypatch):
    metadata(autograder)
    (autograder / "submission").rmdir()
    not_graded(*in_this_process(), "no submissions")

    class Broken:
        name = "broken"

        def prepare(self, _):
            raise OSError("the disk is full")

        def close(self):
            """Nothing was started."""

    hand_in(autograder, solved())
    monkeypatch.setattr(run, "choose_executor", lambda *_, **__: (Broken, "broken", ""))
    not_graded(*in_this_process(), "the disk is full")


def test_a_grader_that_is_stopped_half_way_leaves_a_reason_behind(autograder, monkeypatch):
    def killed(_):
        raise SystemExit(137)  # nothing below catches it: as if the kernel had ended the process

    monkeypatch.setattr(run, "_graded", killed)
    with pytest.raises(SystemExit):
        run.run(autograder)
    assert "out of memory or out of time" in results(autograder)["tests"][1]["output"]


def test_an_unknown_setting_of_the_error_class_is_an_error_of_ours():
    with pytest.raises(GradescopeError):
        GradescopeSettings.read(Path(os.devnull))
