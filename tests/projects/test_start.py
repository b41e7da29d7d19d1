"""A starting repository is written whole or not at all, and holds the brief and no solution."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from autograder.projects.registry import KINDS
from course_lib.projects import StartError, __main__ as command, start


@pytest.mark.parametrize("kind", KINDS)
def test_a_repository_has_a_brief_a_frame_and_one_commit(kind, tmp_path):
    folder = start(kind, tmp_path / "mine")
    assert {"README.md", "pyproject.toml", "src", "tests", ".github", ".gitignore"} <= {
        p.name for p in folder.iterdir()
    }
    log = subprocess.run(["git", "log", "--oneline"], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert len(log.splitlines()) == 1
    status = subprocess.run(["git", "status", "--short"], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert status == ""


@pytest.mark.parametrize("kind", KINDS)
def test_the_rubric_is_what_is_graded(kind, tmp_path):
    text = (start(kind, tmp_path / "mine") / "README.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \| (\d+) \| (.+) \|$", text, re.M)
    wanted = [(r.id, str(r.points), r.title) for r in KINDS[kind].requirements]
    assert rows == wanted
    assert sum(int(points) for _, points, _ in rows) == 100


@pytest.mark.parametrize("kind", KINDS)
def test_no_solution_is_inside(kind, tmp_path):
    folder = start(kind, tmp_path / "mine")
    code = [path for path in folder.rglob("*.py") if ".git" not in path.parts]
    assert all(len(path.read_text().splitlines()) <= 1 for path in code)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(StartError, match="is not empty"):
        start("model-api", tmp_path)
    assert command.main(["start", "model-api", str(tmp_path)]) == 2
    assert "name another folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="is not empty"):
        start("model-api", tmp_path / "file")


def test_an_unknown_project_is_refused(tmp_path):
    with pytest.raises(StartError, match="'blockchain'"):
        start("blockchain", Path(tmp_path / "mine"))
