"""Progress is kept by the learner's kernel, never lost, and never in a check's way."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from course_lib import progress

CHECK = 'assert answer() == 4, "wrong"\nchecks.passed("1.2, visible check", 2)'


def outcome(exercise="1.1", status="passed", points=2.0, at=1000.0):
    return progress.Outcome(exercise=exercise, status=status, points=points, at=at)


@pytest.fixture
def file(tmp_path):
    return tmp_path / progress.FILE


@pytest.fixture
def shell(file, monkeypatch):
    """A shell as a kernel of JupyterLab has it: told where to keep the progress."""
    shell = InteractiveShell(user_ns={"__name__": "__main__"})
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setenv(progress.VARIABLE, str(file))
    progress.watch()
    shell.run_cell("from course_lib import checks")
    return shell


def run(shell, *cells):
    for cell in cells:
        shell.run_cell(cell)


def test_what_was_written_is_read_again(file):
    assert progress.record(outcome(), file)
    assert progress.record(outcome("1.2", "failed", 0.0), file)

    assert progress.read(file) == {"1.1": outcome(), "1.2": outcome("1.2", "failed", 0.0)}


def test_the_last_outcome_counts(file):
    progress.record(outcome(at=2000.0), file)
    progress.record(outcome(status="failed", points=0.0, at=1000.0), file)  # after the clock was set back

    assert progress.read(file)["1.1"].status == "failed"


def test_without_a_file_nothing_was_done_yet(file):
    assert progress.read(file) == {}


@pytest.mark.parametrize(
    "damage",
    [
        b'{"exercise": "1.2", "status": "pas',
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"null",
        b'{"exercise": "1.2", "status": "won", "points": 1, "at": 1}',
        b'{"exercise": "<b>", "status": "passed", "points": 1, "at": 1}',
        b'{"exercise": "1.2", "status": "passed", "points": NaN, "at": 1}',
        b'{"exercise": "1.2", "status": "passed", "points": 1, "at": Infinity}',
        b'{"exercise": "1.2", "status": ["passed"], "points": 1, "at": 1}',
    ],
)
def test_damage_costs_one_line_and_is_left_as_it_is(file, damage):
    progress.record(outcome(), file)
    before = file.read_bytes() + b"\n" + damage
    file.write_bytes(before)
    progress.record(outcome("1.3"), file)

    assert progress.read(file) == {"1.1": outcome(), "1.3": outcome("1.3")}
    assert file.read_bytes().startswith(before)


def _write_many(file, exercise):
    for k in range(200):
        progress.record(outcome(exercise, points=float(k)), file)


def test_two_kernels_write_at_once(file):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(file, exercise)) for exercise in ("1.1", "1.2")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    lines = [json.loads(line) for line in file.read_text().split("\n") if line]
    assert len(lines) == 400
    assert {one.points for one in progress.read(file).values()} == {199.0}


def test_a_folder_that_cannot_be_written_gives_way_to_the_users_data(tmp_path, monkeypatch):
    (tmp_path / "notebooks").write_text("a file: nothing can be made below it, not even by root")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    first, second = (progress.file_for(tmp_path / "notebooks" / name) for name in "ab")

    assert first.is_relative_to(tmp_path / "data")
    assert first != second  # two copies of the course have two progresses


def test_where_nothing_can_be_written_nothing_is_kept_and_nothing_breaks(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(blocked))

    assert progress.file_for(blocked / "notebooks") is None
    assert not progress.record(outcome(), blocked / "x")


def test_a_check_that_holds_is_recorded_with_its_points(shell, file):
    before = time.time()
    run(shell, "def answer(): return 4", CHECK)

    (kept,) = progress.read(file).values()
    assert (kept.exercise, kept.status, kept.points) == ("1.2", "passed", 2.0)
    assert before - 1 <= kept.at <= time.time() + 1


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("def answer(): return 5", "failed"),
        ("def answer(): return nothing_of_that_name", "failed"),
        ("def answer(): return 1 / 0", "failed"),
        ("def answer(): raise NotImplementedError('Exercise 1.2')", "open"),
    ],
)
def test_an_answer_that_fails_later_does_not_stay_passed(shell, file, answer, status):
    run(shell, "def answer(): return 4", CHECK, answer, CHECK)

    assert progress.read(file)["1.2"].status == status
    assert progress.read(file)["1.2"].points == 0


@pytest.mark.parametrize("cell", [CHECK, CHECK.replace("assert", "raise KeyboardInterrupt\nassert"), "1 +\n" + CHECK])
def test_a_check_that_could_not_judge_changes_nothing(shell, file, cell):
    run(shell, "def answer(): return 4", CHECK, "del answer", cell)

    assert progress.read(file)["1.2"].status == "passed"


def test_other_cells_are_not_recorded(shell, file):
    run(shell, "1 + 1", "1 / 0", 'text = "checks.passed(1)"', "def checked():\n    checks.passed('1.2', 2)")

    assert not file.exists()


def test_a_folder_that_vanished_breaks_no_check(shell, file, capsys):
    file.parent.rmdir()
    run(shell, "def answer(): return 4", CHECK)

    assert capsys.readouterr().out == "✓ Exercise 1.2, visible check: 2 points\n"


def test_what_a_notebook_starts_is_not_the_learners_work(shell):
    assert progress.VARIABLE not in os.environ


def test_elsewhere_nothing_is_watched(monkeypatch):
    shell = InteractiveShell()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.delenv(progress.VARIABLE, raising=False)
    callbacks = list(shell.events.callbacks["post_run_cell"])
    progress.watch()

    assert shell.events.callbacks["post_run_cell"] == callbacks


def test_every_visible_check_of_the_course_says_which_exercise_it_is():
    import nbformat

    folder = Path(__file__).parents[2] / "notebooks"
    cells = [
        cell
        for path in sorted(folder.glob("[0-9]*.ipynb"))
        for cell in nbformat.read(path, as_version=4).cells
        if cell.metadata.get("nbgrader", {}).get("grade_id", "").startswith("check-")
    ]
    assert cells
    for cell in cells:
        said = progress._CHECK.search(cell.source)
        assert said is not None, cell.id
        assert said["exercise"].replace(".", "-") in cell.id
        assert float(said["points"]) == cell.metadata.nbgrader.points


def test_time_is_counted_between_cells_and_pauses_are_not(file):
    for at in (0.0, 60.0, 600.0, 4000.0, 4100.0):
        progress._append({"notebook": 2, "at": at}, file)
    progress.record(outcome("2.1", at=700.0), file)
    progress.record(outcome("3.1", at=50.0), file)
    for damage in (b'{"notebook": "x", "at": 1}', b'{"notebook": 2}', b'{"notebook": 2, "at": NaN}', b"[1]", b"\xff"):
        file.write_bytes(file.read_bytes() + b"\n" + damage)

    assert progress.spent(file) == {2: 800.0, 3: 0.0}
    assert set(progress.read(file)) == {"2.1", "3.1"}
    assert progress.spent(file.with_name("none")) == {}


def test_a_kernel_says_once_a_minute_which_notebook_is_worked_on(file, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "time", lambda: now[0])
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/03_model_serving.ipynb")
    shell = InteractiveShell(user_ns={"__name__": "__main__"})
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setenv(progress.VARIABLE, str(file))
    progress.watch()
    for at in (1000.0, 1030.0, 1061.0, 1200.0):
        now[0] = at
        shell.run_cell("1 + 1")

    assert [json.loads(line)["at"] for line in file.read_text().split("\n") if line] == [1000.0, 1061.0, 1200.0]
    assert progress.spent(file) == {3: 200.0}
