from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from autograder.runners.pool import Lost, run_jobs
from course_lib.processes import wait_until
from tests.fixtures.pool_jobs import never, start


def run(jobs, *, workers=2, limit=60.0, starter=start):
    return dict(run_jobs(starter, jobs, workers=workers, limit=limit))


def test_every_job_has_an_outcome():
    jobs = [("say", str(n)) for n in range(7)]
    assert run(jobs) == {job: job[1] for job in jobs}


def test_no_jobs_start_no_process():
    assert run([]) == {}


@pytest.mark.parametrize(("word", "reason"), [("die", "-9"), ("cut", "-9"), ("exit", "3"), ("raise", "ValueError: x")])
def test_a_job_that_takes_its_worker_along_costs_only_itself(word, reason):
    outcomes = run([("say", "a"), (word, "x"), ("say", "b"), ("say", "c")], workers=1)
    assert reason in outcomes.pop((word, "x")).reason
    assert set(outcomes.values()) == {"a", "b", "c"}


def test_a_job_that_hangs_is_given_up_and_its_process_ended(tmp_path):
    note = tmp_path / "pid"
    outcomes = run([("hang", str(note)), ("say", "a")], workers=1, limit=4)
    assert "did not end" in outcomes["hang", str(note)].reason
    assert outcomes["say", "a"] == "a"
    assert not psutil.pid_exists(int(note.read_text()))


def test_a_worker_that_cannot_start_loses_its_job_with_a_reason():
    outcomes = run([("say", "a")], workers=1, starter=never)
    assert isinstance(outcomes["say", "a"], Lost)


def test_workers_end_when_their_parent_is_killed(tmp_path):
    note = tmp_path / "pid"
    script = (
        "from autograder.runners.pool import run_jobs; from tests.fixtures.pool_jobs import start\n"
        f"if __name__ == '__main__': list(run_jobs(start, [('hang', {str(note)!r})], workers=1, limit=600))"
    )
    (tmp_path / "parent.py").write_text(script)
    root = Path(__file__).parents[3]
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py"], env={"PYTHONPATH": str(root)})
    try:
        worker = psutil.Process(wait_for_pid(note, parent))
    finally:
        parent.kill()
        parent.wait()
    worker.wait(timeout=30)


def wait_for_pid(note: Path, parent: subprocess.Popen) -> int:
    while not (note.exists() and note.read_text()):
        assert parent.poll() is None
        with contextlib.suppress(subprocess.TimeoutExpired):
            parent.wait(timeout=0.05)
    return int(note.read_text())


def test_workers_have_their_jobs_before_anybody_asks_and_end_when_nobody_does(tmp_path):
    notes = [tmp_path / "one", tmp_path / "two"]
    with contextlib.closing(run_jobs(start, [("hang", str(note)) for note in notes], workers=2, limit=600.0)):
        wait_until(lambda: all(note.exists() and note.read_text() for note in notes), timeout=60, what="two jobs")
        pids = [int(note.read_text()) for note in notes]
        assert all(psutil.pid_exists(pid) for pid in pids)
    assert not any(psutil.pid_exists(pid) for pid in pids)
