"""Folders that cannot be written: each command says which, ends with 2, and leaves nothing half done."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from autograder import cli
from autograder.authoring.bundle import Bundle
from autograder.authoring.sources import read_source
from autograder.course.run import run_course
from autograder.reports.files import require_writable, write_atomically
from course_lib.errors import UnwritableError
from tests.fixtures.make_submissions import solved
from tests.fixtures.permissions import without_override
from tests.fixtures.small_class import SmallClass
from tests.fixtures.tiny_class import NAME, InProcess, write

ROOT = Path(__file__).parents[2]


def no_permission(place: Path) -> Path:
    """Return ``place`` in a folder that may be read only."""
    locked = place.parent / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    return locked / place.name


def a_file_above(place: Path) -> Path:
    """Return ``place`` in what is a file."""
    (place.parent / "file").write_text("mine")
    return place.parent / "file" / place.name


def not_there(place: Path) -> Path:
    """Return ``place`` where the kernel makes no folders, not even for root."""
    return Path("/proc") / place.name


OBSTACLES = pytest.mark.parametrize("obstacle", [no_permission, a_file_above, not_there], ids=lambda o: o.__name__)


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command as root does without its special rights; give the exit code and what it printed."""

    def call(*words: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["autograder", *map(str, words)])
        with without_override(), pytest.raises(SystemExit) as ended:
            cli.run()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out + said.err

    return call


def refused(answer: tuple[int, str], place: Path | str) -> None:
    code, said = answer
    assert code == cli.UNUSABLE
    assert str(place) in said.replace("\n", "")
    assert "cannot be written" in said
    assert "Next: " in said
    assert "Traceback" not in said


def files_below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.fixture
def submissions(tiny_course, tmp_path):
    source = read_source(tiny_course / "solutions" / f"{NAME}.py")
    write(tmp_path / "class", "ann", solved(source), name=f"{NAME}.ipynb")
    return tmp_path / "class"


@pytest.fixture(scope="module")
def small_class(tmp_path_factory):
    room = SmallClass(tmp_path_factory.mktemp("graded"))
    room.hand_in("ann")
    room.grade()
    return room.out


@pytest.fixture
def graded(small_class, tmp_path):
    out = shutil.copytree(small_class, tmp_path / "graded")
    yield out
    for path in (out, *out.rglob("*")):
        path.chmod(0o755)


@OBSTACLES
def test_grade_says_so_before_it_runs_anything(command, tiny_course, submissions, tmp_path, obstacle, monkeypatch):
    monkeypatch.setattr("autograder.grading.command.grade_class", lambda *_, **__: pytest.fail("it began"))
    out = obstacle(tmp_path / "out")
    before = files_below(tmp_path)
    answer = command("grade", submissions, "--out", out, "--root", tiny_course)
    refused(answer, out)
    assert "Grading" not in answer[1]  # no progress bar
    assert files_below(tmp_path) == before


@OBSTACLES
@pytest.mark.parametrize("name", ["course.zip", "course"])
def test_bundle(command, tmp_path, obstacle, name, monkeypatch):
    monkeypatch.setattr("autograder.authoring.bundle.make_bundle", lambda *_: Bundle({"a/b.txt": b"x"}, ("n",)))
    out = obstacle(tmp_path / name)
    refused(command("bundle", "--out", out, "--only", "01", "--root", ROOT), out)


@OBSTACLES
def test_gradescope_says_so_before_it_runs_anything(command, tmp_path, obstacle, monkeypatch):
    monkeypatch.setattr("autograder.grading.gradescope.package.make_package", None)  # to be called would fail
    out = obstacle(tmp_path / "autograder.zip")
    refused(command("gradescope", "--only", "01", "--out", out, "--root", ROOT), out.parent)


@OBSTACLES
def test_evidence(command, tmp_path, obstacle):
    report = {"made": "2026-01-01 00:00", "python": "3.11", "machine": "m", "notebooks": [], "engines": []}
    (tmp_path / "course-report.json").write_text(json.dumps(report))
    out = obstacle(tmp_path / "evidence.md")
    refused(command("evidence", tmp_path / "course-report.json", "--out", out), out)


@OBSTACLES
def test_project_says_so_before_it_installs_anything(command, tmp_path, obstacle, monkeypatch):
    monkeypatch.setattr("autograder.projects.command.grade", lambda *_, **__: pytest.fail("it began"))
    out = obstacle(tmp_path / "report")
    project = tmp_path / "project"
    shutil.copytree(ROOT / "course_lib" / "projects" / "templates" / "model-api", project)
    refused(command("project", project, "--out", out), out)
    project.chmod(0o555)  # the default is a folder in the project
    refused(command("project", project), project / "build")
    project.chmod(0o755)


def test_build(command, tiny_course):
    (tiny_course / "notebooks").mkdir()
    (tiny_course / "notebooks").chmod(0o555)
    refused(command("build", "--root", tiny_course), tiny_course / "notebooks" / f"{NAME}.ipynb")
    (tiny_course / "notebooks").rmdir()
    (tiny_course / "notebooks").write_text("a file")
    refused(command("build", "--root", tiny_course), tiny_course / "notebooks")


def test_course_says_so_before_it_runs_anything(command, tiny_course, monkeypatch):
    monkeypatch.setattr("autograder.course.run._Course", lambda *_, **__: pytest.fail("it began"))
    (tiny_course / "build").write_text("a file")
    refused(command("course", "--root", tiny_course), tiny_course / "build")
    (tiny_course / "build").unlink()
    (tiny_course / "build").mkdir(mode=0o555)
    with without_override(), pytest.raises(UnwritableError):
        run_course(tiny_course, None)
    refused(command("course", "--root", tiny_course), tiny_course / "build")


@pytest.mark.parametrize("words", [["feedback"], ["export"], ["manual"]], ids=lambda words: words[0])
def test_what_is_made_again_from_a_gradebook(command, graded, tiny_course, words):
    root = [] if words == ["manual"] else ["--root", tiny_course]
    graded.chmod(0o555)
    refused(command(*words, graded, *root), graded)


@pytest.mark.parametrize("folder", ["feedback/ann", "moodle", "."])
def test_one_folder_of_an_earlier_run_that_became_read_only_is_named(command, graded, tiny_course, folder):
    (graded / folder).chmod(0o555)
    for words in (["feedback"], ["export"]):
        code, said = command(*words, graded, "--root", tiny_course)
        assert code == cli.UNUSABLE
        assert str(graded / folder) in said
        assert "Permission denied" in said
        assert "Traceback" not in said


@pytest.mark.parametrize("words", [["feedback"], ["export"]], ids=lambda words: words[0])
def test_a_gradebook_that_may_only_be_read(command, graded, tiny_course, words):
    (graded / "gradebook.db").chmod(0o444)
    code, said = command(*words, graded, "--root", tiny_course)
    if code:  # SQLite opens it to read, and says no when it has something to write
        assert code == cli.UNUSABLE
        assert "gradebook.db" in said
    assert "Traceback" not in said


def test_grade_of_nothing_makes_no_folder_and_draws_no_bar(command, tiny_course, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"\xff\xd8")
    before = files_below(tmp_path)
    for there in ("/nope", tmp_path / "nope", tmp_path / "empty", tmp_path / "photos"):
        out = tmp_path / "new" / "grades"
        code, said = command("grade", there, "--out", out, "--root", tiny_course)
        assert code == cli.UNUSABLE, said
        assert "Next: " in said
        assert "Grading" not in said
        assert "Traceback" not in said
        assert files_below(tmp_path) == before


def test_a_submission_that_cannot_be_read_is_rejected_and_the_others_are_graded(tmp_path):
    room = SmallClass(tmp_path)
    for student in ("ann", "ben", "cem"):
        room.hand_in(student)
    (room.room / "ben" / NAME / f"{NAME}.ipynb").chmod(0)
    with without_override():
        room.grade()
    assert {student: row["status"] for student, row in room.grades().items()} == {
        "ann": "graded", "ben": "rejected", "cem": "graded",
    }  # fmt: skip
    assert "Permission denied" in room.grades()["ben"]["reason"]


def test_a_submission_that_vanishes_while_it_is_graded_stops_nobody(tmp_path, monkeypatch):
    room = SmallClass(tmp_path)
    for student in ("ann", "ben"):
        room.hand_in(student)
    run = InProcess.run

    def vanishing(self, *words, **limits):
        (room.room / "ben" / NAME / f"{NAME}.ipynb").unlink(missing_ok=True)
        return run(self, *words, **limits)

    monkeypatch.setattr(InProcess, "run", vanishing)
    room.grade()
    assert room.grades()["ann"]["status"] == "graded"
    assert set(room.grades()) == {"ann", "ben"}


def test_a_class_that_cannot_be_read_is_named(command, tiny_course, submissions, tmp_path):
    submissions.chmod(0)
    code, said = command("grade", submissions, "--out", tmp_path / "out", "--root", tiny_course)
    submissions.chmod(0o755)
    assert code == cli.UNUSABLE
    assert str(submissions) in said
    assert "Traceback" not in said


def test_a_fault_of_ours_is_still_a_traceback(monkeypatch):
    def fails():
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(OSError, match="Invalid argument"):
        cli.run()


def test_a_full_disk_is_a_message(monkeypatch, capsys):
    def fails():
        raise OSError(28, "No space left on device", "/data/x")

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(SystemExit) as ended:
        cli.run()
    assert ended.value.code == cli.UNUSABLE
    assert "/data/x cannot be read or written: No space left on device." in capsys.readouterr().err


def test_a_file_that_cannot_be_replaced_is_as_it_was(tmp_path):
    path = tmp_path / "there" / "a.txt"
    write_atomically(path, "old")
    path.parent.chmod(0o555)
    with without_override(), pytest.raises(UnwritableError, match=r"a\.txt cannot be written: Permission denied"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    path.parent.chmod(0o755)
    write_atomically(path, "new")
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_looking_whether_a_folder_can_be_written_leaves_no_trace(tmp_path):
    for folder in (tmp_path, tmp_path / "a" / "b"):
        require_writable(folder)
        assert list(tmp_path.iterdir()) == []
