"""CONTRIBUTING's section on a tenth notebook, typed as it stands into a copy of the whole course."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograder.jupyter_ext.overview import notebook_states

ROOT = Path(__file__).parents[1]
SECTION = re.search(r"^## A tenth notebook\n(.*?)^## ", (ROOT / "CONTRIBUTING.md").read_text(), re.M | re.S)[1]
BLOCKS = [block.splitlines() for block in re.findall(r"```sh\n(.*?)```", SECTION, re.S)]
NAME = "10_feature_stores"
SITE = "import sys; sys.path[:0] = ['docs/site', '.']; import build; build.lay_out(build.ROOT / 'build' / 'pages')"

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the course whose programs are this environment's."""
    root = tmp_path_factory.mktemp("tenth") / "mlops-course"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\0"):
        if name and not name.startswith("tests/") and (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (root / ".venv" / "bin" / "python").chmod(0o755)
    return root


def typed(command: str, root: Path) -> tuple[int, str]:
    done = subprocess.run(
        ["sh", "-c", command], cwd=root, capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "COLUMNS": "160"},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_tenth_notebook_from_its_name_to_the_page_that_lists_it(copy):
    start, grade, finish = BLOCKS
    codes = {}
    for command in [*start, *grade]:
        code, said = typed(command, copy)
        word = re.search(r"autograder (\w+)|^\w+", command)
        codes[word[1] or word[0]] = code
        assert "Traceback" not in said, f"{command}\n{said}"
        if "autograder course" in command:
            assert "✓ 10 Feature stores: 100 %" in said
            assert "untouched copy 0 points" in said
            assert "a draft: 9 lines are still to be written" in said
    assert codes == {"new": 0, "build": 0, "check": 1, "answers": 0, "course": 0, "mkdir": 0, "cp": 0, "grade": 0}
    with (copy / "build" / "class-grades" / "grades.csv").open() as file:
        rows = {row["student"]: (row["notebook"], row["score"], row["max"]) for row in csv.DictReader(file)}
    assert rows == {"ann": (NAME, "4", "4"), "ben": (NAME, "0", "4")}
    report = json.loads((copy / "build" / "course-report.json").read_text())
    assert [(n["name"], n["title"], n["status"], n["learner_points"]) for n in report["notebooks"]] == [
        (NAME, "Feature stores", "passed", 0)
    ]

    build, bundle, *pages = finish
    code, said = typed(bundle, copy)
    assert (code, "✓ 9 notebooks" in said, f"✗ {NAME} is not in it" in said) == (1, True, True)
    path = copy / "solutions" / f"{NAME}.py"
    path.write_text(re.sub(r"TODO\b:?", "Written:", path.read_text()))
    assert typed(build, copy)[0] == 0
    code, said = typed(bundle, copy)
    assert (code, "✓ 10 notebooks" in said) == (0, True)
    with zipfile.ZipFile(copy / "build" / "mlops-course.zip") as archive:
        assert f"mlops-course/notebooks/{NAME}.ipynb" in archive.namelist()
        assert "Feature stores" in archive.read("mlops-course/course.toml").decode()
    assert typed(".venv/bin/python -m autograder build --verify", copy)[0] == 0
    the_pages_list_it(copy, pages)


def the_pages_list_it(root: Path, commands: list[str]) -> None:
    """What ``make site`` gives to Sphinx, and what ``make lab`` shows first, hold the notebook."""
    assert [command.split("#")[0].strip() for command in commands] == ["make site", "make lab"]
    assert f"build/site/notebooks/{NAME}.html" in commands[0]
    code, said = typed(f'.venv/bin/python -c "{SITE}"', root)
    assert code == 0, said
    page = (root / "build" / "pages" / "notebooks" / f"{NAME}.ipynb").read_text()
    assert "(ex-10-1)=" in page
    assert "(interview-10)=" in page
    state = notebook_states(root / "notebooks", {})[-1]
    assert (state.number, state.title, state.path, len(state.exercises)) == (10, "Feature stores", f"{NAME}.ipynb", 1)
