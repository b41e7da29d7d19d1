"""`docs/instructor.md` is a promise: every command in it is run here, in its order, on a small class."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from autograder.authoring.release import learner_copy, notebook_text
from autograder.authoring.sources import read_source
from course_lib import processes
from tests.fixtures.make_submissions import solved

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "tests" / "fixtures" / "sources"
PAGE = (ROOT / "docs" / "instructor.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
NAME = "01_tiny"


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A clone whose course is the tiny one, beside a class in each form that the page names."""
    root = tmp_path_factory.mktemp("instructor") / "mlops-course"
    shutil.copytree(SOURCES, root / "solutions")
    for name in ("course_lib", "autograder", "docs", "scripts"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*ROOT.glob("requirements*"), *ROOT.glob("LICENSE*")):
        shutil.copy(path, root / path.name)
    for name in ("pyproject.toml", ".gitignore", "Makefile"):
        shutil.copy(ROOT / name, root / name)
    (root / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "jupyter"):
        (root / ".venv" / "bin" / name).write_text(f'#!/bin/sh\nexec "{Path(sys.executable).with_name(name)}" "$@"\n')
        (root / ".venv" / "bin" / name).chmod(0o755)
    source = read_source(root / "solutions" / f"{NAME}.py")
    full, empty = notebook_text(solved(source)), notebook_text(learner_copy(source))
    files = {
        f"class/ann/{NAME}.ipynb": full,
        "class/ann/timestamp.txt": "2026-12-01 10:00:00 UTC",
        f"class/ben/{NAME}.ipynb": empty,
        "class.csv": "student,section\nann,1\nben,1\ncem,2\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with zipfile.ZipFile(root / "submissions.zip", "w") as archive:
        archive.writestr(f"doejane_12345_67890_{NAME}.ipynb", full)
        archive.writestr(f"Ben Roe_777_assignsubmission_file_/{NAME}.ipynb", empty)
    return root


def run(command: str, root: Path) -> str:
    done = subprocess.run(
        ["sh", "-c", command], cwd=root, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "COLUMNS": "160"},
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def points(root: Path, out: str) -> dict[str, str]:
    with (root / "build" / out / "grades.csv").open() as file:
        return {row["student"]: row["score"] for row in csv.DictReader(file)}


@pytest.mark.timeout(900)
def test_the_walk_from_release_to_export(room):
    walked = []
    for command in COMMANDS:
        if "jupyter lab" in command:
            opens_the_formgrader(command, room)
        else:
            run(command, room)
        walked.append(re.search(r"autograder (\w+)|jupyter lab", command)[0])
    assert walked == [
        "autograder bundle", "autograder grade", "autograder grade", "autograder grade", "jupyter lab",
        "autograder feedback", "autograder export",
    ]  # fmt: skip

    with zipfile.ZipFile(room / "build" / "mlops-course.zip") as archive:
        assert f"mlops-course/notebooks/{NAME}.ipynb" in archive.namelist()
    assert points(room, "grades") == {"ann": "7", "ben": "0", "cem": "0"}
    assert points(room, "grades-from-zip") == {"doejane": "7", "Ben Roe": "0"}
    assert "No file" in (room / "build" / "grades" / "grades.csv").read_text()  # cem's reason
    for name in ("report.html", "report.json", "canvas.csv", "moodle", f"feedback/ann/{NAME}.html", f"release/{NAME}"):
        assert (room / "build" / "grades" / name).exists(), name


def opens_the_formgrader(command: str, room: Path) -> None:
    """Start the server of the page with a port of ours, and look whether the graded class is in its formgrader."""
    port = processes.free_port()
    options = f"--no-browser --allow-root --port={port} --ServerApp.port_retries=0 --IdentityProvider.token="
    home = room.parent / "home"
    env = {name: str(home) for name in ("HOME", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    server = processes.Server(
        "JupyterLab", ["sh", "-c", f"{command} {options}"], port=port, ready_path="/api/status", env=env, cwd=room,
        timeout=120,
    )  # fmt: skip
    with server:
        server.wait_ready()
        (assignment,) = httpx.get(f"{server.url}/formgrader/api/assignments", timeout=60).json()
    assert (assignment["name"], assignment["num_submissions"]) == (NAME, 3)


def test_the_page_links_to_files_that_are_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists()
    assert "make bundle" in PAGE
    assert "bundle:" in (ROOT / "Makefile").read_text()
