"""Real kernels: what only they can show. Each test starts one."""

from __future__ import annotations

import psutil
import pytest

from autograder.grading.options import GradeOptions
from autograder.runners import kernel
from autograder.runners.kernel import PlainKernel
from tests.fixtures.tiny_class import GOOD_RATE, grade_submission, handed_in, tiny, write


def grade(tmp_path, *, time_limit=60.0, cell_limit=30.0, **answers):
    path = write(tmp_path, "ann", handed_in(**answers))
    options = GradeOptions(time_limit=time_limit, cell_limit=cell_limit)
    result = grade_submission(path, tiny(), executor=PlainKernel(), student="ann", options=options)
    return result, {c.check.grade_id: c for c in result.checks}


def test_a_right_notebook_earns_everything_and_its_memory_is_known(tmp_path):
    result, _ = grade(tmp_path)
    assert (result.status, result.score) == ("graded", 7)
    assert result.peak_mb > 10
    assert result.seconds > 0


def test_an_endless_loop_costs_only_its_own_exercise(tmp_path):
    result, checks = grade(tmp_path, cell_limit=2, rate="def mean_rate(rates):\n    while True: pass")
    assert (result.status, result.score) == ("graded", 4)
    assert "longer than 2 seconds" in checks["check-1-1"].message


def test_a_loop_that_refuses_to_be_interrupted_ends_the_kernel_and_keeps_the_points(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel, "_GRACE", 1.0)
    body = "        try:\n            while True: sum(range(9999))\n        except BaseException: pass"
    late = f"def late(m):\n    while True:\n{body}"
    result, checks = grade(tmp_path, cell_limit=2, late=late)
    assert (result.status, result.score) == ("failed", 3)
    assert "could not be interrupted" in result.reason
    assert "did not run" in checks["hidden-1-2"].message


def test_a_process_that_ends_itself_keeps_the_points_earned_before(tmp_path):
    result, _ = grade(tmp_path, late="import os\ndef late(minutes):\n    os._exit(0)")
    assert (result.status, result.score) == ("failed", 3)
    assert "kernel died" in result.reason


def test_the_notebook_as_a_whole_has_a_limit(tmp_path):
    result, _ = grade(tmp_path, time_limit=3, rate="def mean_rate(rates):\n    while True: pass")
    assert result.status == "failed"
    assert "longer than its 3 seconds" in result.reason


def test_a_flood_of_output_is_stopped_and_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel, "_FLOOD", 1 << 20)
    monkeypatch.setattr(kernel, "_MAX_OUTPUT", 1 << 12)
    result, checks = grade(tmp_path, late="def late(minutes):\n    while True: print('x' * 1000)")
    assert result.score == 3
    assert "printed too much" in checks["check-1-2"].message


def test_an_output_that_no_reader_could_parse_is_left_out_and_costs_no_points(tmp_path):
    nested = "\nx = []\nfor _ in range(60): x = [x]\ndisplay({'application/json': {'a': x}}, raw=True)"
    result, _ = grade(tmp_path, rate=GOOD_RATE + nested)
    assert (result.status, result.score) == ("graded", 7)
    assert "nested more than 32 levels" in " ".join(result.repairs)


def test_switching_the_traceback_off_does_not_hide_a_failure(tmp_path):
    rate = "get_ipython().showtraceback = lambda *a, **k: None\ndef mean_rate(rates):\n    return 0"
    result, _ = grade(tmp_path, rate=rate)
    assert result.score == 4


def test_processes_a_notebook_started_are_ended_with_it(tmp_path):
    note = tmp_path / "pid"
    late = f"import subprocess\np = subprocess.Popen(['sleep', '600'])\nopen({str(note)!r}, 'w').write(str(p.pid))"
    grade(tmp_path, late=late)
    assert wait_gone(int(note.read_text()))


def wait_gone(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE or process.wait(timeout=20) is None or True
    except (psutil.NoSuchProcess, psutil.TimeoutExpired) as error:
        return isinstance(error, psutil.NoSuchProcess)


@pytest.mark.parametrize("name", ["NBGRADER_EXECUTION"])
def test_the_environment_says_that_the_notebook_is_being_graded(tmp_path, name):
    asserting = f"    assert os.environ[{name!r}] == 'autograde'\n"
    late = f"import os\ndef late(minutes):\n{asserting}    return [m >= 15 for m in minutes]"
    assert grade(tmp_path, late=late)[0].score == 7
