"""The secret of a grading: kept for the next run, named to instructors, given again, and never shown to a learner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autograder.authoring.format import source_path
from autograder.authoring.sources import read_source
from autograder.grading.command import grade_command
from autograder.grading.options import GradeOptions, GradingError
from autograder.grading.seed import keep_seed, seed_for
from tests.fixtures import make_submissions
from tests.fixtures.tiny_class import write

TINY = "01_tiny"


def test_a_seed_is_drawn_once_for_a_folder(tmp_path: Path):
    first = seed_for(tmp_path / "out")
    assert len(first) >= 32
    assert seed_for(tmp_path / "out") != first, "nothing is kept before a class is graded"
    (tmp_path / "out").mkdir()
    keep_seed(tmp_path / "out", first)
    assert seed_for(tmp_path / "out") == first
    assert seed_for(tmp_path / "out", "given") == "given"
    assert (tmp_path / "out" / "seed.txt").stat().st_mode & 0o077 == 0, "a learner on this machine could read it"


@pytest.mark.parametrize("content", ["", "\n", "  "])
def test_an_empty_file_is_no_seed(tmp_path: Path, content: str):
    (tmp_path / "seed.txt").write_text(content)
    assert len(seed_for(tmp_path)) >= 32


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / "seed.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GradingError, match=r"seed.txt|seed"):
        seed_for(tmp_path)


@pytest.fixture
def room(tiny_course: Path, tmp_path: Path) -> Path:
    """A class of one, whose hidden test fails and says what it drew."""
    source = read_source(source_path(tiny_course, TINY))
    write(tmp_path / "class", "ann", make_submissions.solved(source), name=f"{TINY}.ipynb")
    return tmp_path / "class"


def grade(room: Path, out: Path, root: Path, **options: object) -> dict[str, object]:
    assert grade_command(room, out, GradeOptions(workers=1, **options), root=root) == 0  # type: ignore[arg-type]
    values: dict[str, object] = json.loads((out / "report.json").read_text())
    return values


@pytest.mark.timeout(600)
def test_reports_and_results_name_the_seed_and_feedback_does_not(room: Path, tiny_course: Path, tmp_path: Path):
    out = tmp_path / "out"
    seed = grade(room, out, tiny_course)["grader"]["seed"]  # type: ignore[index]
    assert isinstance(seed, str)
    assert len(seed) >= 32
    assert json.loads((out / "results" / "ann" / f"{TINY}.json").read_text())["result"]["extra"]["seed"] == seed
    assert seed in (out / "report.html").read_text()
    shown = [path for folder in ("feedback", "release", "autograded") for path in (out / folder).rglob("*.*")]
    assert shown
    assert not [path for path in shown if seed in path.read_text(errors="replace")]
    assert grade(room, out, tiny_course)["grader"]["seed"] == seed  # type: ignore[index]
    again = grade(room, tmp_path / "other", tiny_course, seed=seed)
    assert again["grader"]["seed"] == seed  # type: ignore[index]
    assert grade(room, tmp_path / "new", tiny_course)["grader"]["seed"] != seed  # type: ignore[index]
