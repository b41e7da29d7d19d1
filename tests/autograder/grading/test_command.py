"""The command as an instructor gives it: real workers, the real sandbox, the real course."""

from __future__ import annotations

import csv
import importlib
import json
from pathlib import Path

import pytest

from autograder.authoring.format import source_path
from autograder.authoring.release import learner_copy
from autograder.authoring.sources import read_source
from autograder.grading import command
from autograder.grading.command import choose_executor, grade_command
from autograder.grading.options import GradeOptions, GradingError
from autograder.sandbox.capabilities import Capabilities, Option
from autograder.sandbox.errors import SandboxUnavailable
from tests.fixtures import make_submissions
from tests.fixtures.broken_executor import Broken
from tests.fixtures.tiny_class import write

TINY = "01_tiny"


def grade(submissions: Path, *, out: Path, root: Path | None = None, **options: object) -> int:
    return grade_command(submissions, out, GradeOptions(**options), root=root)


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "grades.csv").open() as file:
        return {row["student"]: row for row in csv.DictReader(file)}


@pytest.fixture
def tiny_room(tiny_course, tmp_path):
    """A class of the tiny course: one who solved it, one who did nothing, one whose file is broken."""
    source = read_source(source_path(tiny_course, TINY))
    room = tmp_path / "class"
    for student, notebook in (("ann", make_submissions.solved(source)), ("ben", learner_copy(source)), ("cem", "{")):
        write(room, student, notebook, name=f"{TINY}.ipynb")
    return room


@pytest.mark.timeout(600)
def test_a_class_is_graded_behind_walls_by_the_command(tiny_room, tiny_course, tmp_path, capsys):
    out = tmp_path / "out"
    assert grade(tiny_room, out=out, workers=2, root=tiny_course) == 0
    rows = table(out)
    assert float(rows["ann"]["score"]) == float(rows["ann"]["max"]) > 0
    assert (rows["ben"]["score"], rows["ben"]["status"]) == ("0", "graded")
    assert (rows["cem"]["score"], rows["cem"]["status"]) == ("0", "rejected")
    for name in ("gradebook.db", "report.html", "report.json", "canvas.csv", f"feedback/ann/{TINY}.html"):
        assert (out / name).is_file()
    cells = json.loads((out / "autograded" / "ann" / TINY / f"{TINY}.ipynb").read_text())["cells"]
    (shown,) = (cell for cell in cells if "".join(cell["source"]) == "statistics.mean(delays)")
    assert shown["outputs"] == []  # no check can notice it: it was left out
    printed = capsys.readouterr().out
    assert "3 submissions" in printed
    assert "not JSON" in printed
    assert "No sandbox" not in printed


@pytest.mark.timeout(600)
def test_when_the_grader_itself_fails_every_row_says_so_and_so_does_the_exit_code(
    tiny_room, tiny_course, tmp_path, monkeypatch
):
    monkeypatch.setattr(command, "choose_executor", lambda _, **_options: (Broken, "broken", ""))
    assert grade(tiny_room, out=tmp_path / "out", workers=1, root=tiny_course) == 1
    rows = table(tmp_path / "out")
    assert rows["ann"]["status"] == rows["ben"]["status"] == "failed"
    assert "disk is full" in rows["ann"]["reason"]


def test_without_a_sandbox_it_refuses_unless_told_to_do_without(monkeypatch):
    nothing = Capabilities((Option("bwrap", works=False, reason="not installed"),), "none", 0, "install bubblewrap")
    module = importlib.import_module("autograder.sandbox.capabilities")  # the package has a function of that name
    monkeypatch.setattr(module, "capabilities", lambda: nothing)
    monkeypatch.setattr(module, "_PROBES", {})
    for wanted in ("auto", "bwrap"):
        with pytest.raises(SandboxUnavailable, match="bubblewrap"):
            choose_executor(wanted)
    _, name, warning = choose_executor("none")
    assert "none" in name
    assert "No sandbox" in warning


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"time_limit": 0}, "--time-limit"),
        ({"cell_limit": float("nan")}, "--cell-limit"),
        ({"workers": -1}, "--workers"),
        ({"executor": "slurm"}, "--executor"),
        ({"sandbox": "docker"}, "--sandbox"),
        ({"late": "double"}, "--late"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(tmp_path, options, word):
    with pytest.raises(GradingError, match=word):
        grade(tmp_path, out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_the_committed_class_is_what_the_sources_give():
    wanted = make_submissions.submissions()
    here = {
        path.relative_to(make_submissions.FOLDER).as_posix(): path.read_text(encoding="utf-8")
        for path in make_submissions.FOLDER.rglob("*")
        if path.is_file()
    }
    assert sorted(here) == sorted(wanted)
    stale = [name for name, text in wanted.items() if here[name] != text]
    assert not stale, "run `python -m tests.fixtures.make_submissions`"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_committed_class_earns_what_it_should(tmp_path):
    source = read_source(source_path(make_submissions.ROOT, make_submissions.NAME))
    points = [exercise.points for exercise in source.spec.exercises]
    everything, without_first = sum(points), sum(points[1:])
    out = tmp_path / "out"
    assert grade(make_submissions.FOLDER, out=out, root=make_submissions.ROOT, cell_limit=30) == 0
    rows = table(out)
    wrong = rows.pop("wrong")
    assert {student: float(row["score"]) for student, row in rows.items()} == {
        "perfect": everything,
        "half": sum(points[0::2]),
        "empty": 0,
        "syntax_error": without_first,
        "duplicated_cell": everything,
        "deleted_test": everything,
        "tampered_test": 0,
        "endless_loop": without_first,
        "not_json": 0,
        "missing": 0,
    }
    for exercise in source.spec.exercises:
        assert float(wrong[exercise.number]) < exercise.points
    assert {student for student, row in rows.items() if row["status"] == "rejected"} == {"not_json", "missing"}
