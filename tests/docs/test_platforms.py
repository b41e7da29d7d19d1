"""docs/platforms.md: its commands are typed, and what it says of Gradescope is what the zip does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import get_args

from autograder.grading.book.settings import parse_due
from autograder.grading.gradescope.settings import GradescopeSettings, HiddenUntil
from tests.fixtures.small_class import SmallClass
from tests.fixtures.tiny_class import NAME

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "platforms.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
GRADESCOPE, NGSHARE = COMMANDS


def test_the_commands_of_the_page_are_tested():
    """`tests/autograder/grading/test_gradescope.py` runs the first as it stands; the second is run below."""
    assert " autograder gradescope --only 01 --out build/gradescope-01.zip" in GRADESCOPE
    assert " autograder grade course/submitted --out build/grades --due 01=" in NGSHARE


def test_what_ngshare_collects_is_graded_by_its_own_times(tmp_path):
    """The names and times are those that ngshare_exchange 0.5.3 wrote."""
    due = parse_due([word for word in shlex.split(NGSHARE) if word.startswith("01=")], [NAME])
    assert due == {NAME: "2026-11-30 18:00:00 UTC"}
    small = SmallClass(tmp_path)
    small.room = tmp_path / "course" / "submitted"
    small.hand_in("ann", "2026-11-30 17:59:59.999999\n")
    small.hand_in("ben", "2026-11-30 18:00:07.287327\n")
    small.grade(due=due, late="zero")
    assert (small.total("ann"), small.total("ben")) == (7, 0)
    assert "Layout: nbgrader's submitted folder." in small.report.on_submissions


def test_the_options_that_the_page_names_are_those_of_the_zip():
    choices = set(get_args(HiddenUntil))
    assert GradescopeSettings(NAME).hidden == "after_published"
    assert {f"--hidden {choice}" for choice in choices - {"after_published"}} <= set(re.findall(r"--hidden \w+", PAGE))
    assert {"--late zero", "--sandbox none", "--time-limit", "--cell-limit", "--seed"} <= set(
        re.findall(r"--\w[\w-]*(?: zero| none)?", PAGE)
    )


def test_each_part_says_when_and_with_which_versions_it_was_tried():
    parts = PAGE.split("\n## ")[1:]
    assert [part.splitlines()[0] for part in parts] == [
        "Gradescope's autograder", "JupyterHub", "ngshare", "nbgitpuller", "LTI 1.3",
    ]  # fmt: skip
    for part in parts:
        assert re.search(r"on 2026-\d\d-\d\d", part), part
        assert re.search(r"\d+\.\d+\.\d+", part), part
    for part in parts[:2] + parts[4:]:
        assert "Not tried:" in part


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\((?!https:)([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists()
