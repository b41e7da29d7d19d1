from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.runners import papermill
from autograder.runners.run import faults, only_not_implemented

KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
ORPHAN = """
import subprocess, sys
command = [sys.executable, "-c", "import time; time.sleep(600)", {mark!r}]
subprocess.Popen(command, start_new_session=True)
"""


def notebook(*sources):
    return new_notebook(cells=[new_code_cell(source) for source in sources], metadata=KERNEL)


def processes_with(mark):
    everything = psutil.process_iter(["cmdline", "status"])
    living = [process for process in everything if process.info["status"] != psutil.STATUS_ZOMBIE]
    return [process for process in living if mark in (process.info["cmdline"] or [])]


def text_of(run, index):
    return "".join(output.get("text", "") for output in run.notebook.cells[index].outputs)


def test_a_run_reports_progress_time_and_memory_in_a_private_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    events = []
    nb = notebook("import os\nprint(os.getcwd())",
                  "names = ['PYTHONPATH', 'MLFLOW_TRACKING_URI', 'WANDB_MODE', 'ADDED']",
                  "print([os.environ.get(n) for n in names])")  # fmt: skip
    nb.cells.insert(0, new_markdown_cell("# text"))
    run = papermill.run_notebook(
        nb, on_cell=events.append, save_to=tmp_path / "deep" / "done.ipynb", environment={"ADDED": "yes"}
    )

    assert not Path(text_of(run, 1).strip()).exists()
    assert text_of(run, 3).strip() == "[None, None, 'offline', 'yes']"
    assert [(e.state, e.index, e.total) for e in events[:2]] == [("start", 1, 4), ("done", 1, 4)]
    assert run.seconds > 0
    assert run.peak_mb > 10
    assert run.cpu_seconds > 0
    assert not run.died
    assert not run.leftovers
    assert run.ran == {cell.id for cell in nb.cells[1:]}
    assert "papermill_input" not in (tmp_path / "deep" / "done.ipynb").read_text()


def test_a_run_stops_at_the_first_error_unless_errors_are_allowed():
    nb = notebook("1 / 0", "print('reached')")

    stopped = papermill.run_notebook(nb)
    went_on = papermill.run_notebook(nb, allow_errors=True)

    assert [f.error for f in faults(stopped.notebook)] == ["ZeroDivisionError"]
    assert [f.error for f in faults(went_on.notebook)] == ["ZeroDivisionError"]
    assert len(stopped.notebook.cells) == len(nb.cells)
    assert (text_of(stopped, 1), text_of(went_on, 1)) == ("", "reached\n")


def test_parameters_reach_the_cell_tagged_for_them():
    nb = notebook("QUICK = False", "print(QUICK)")
    nb.cells[0].metadata["tags"] = ["parameters"]

    run = papermill.run_notebook(nb, parameters={"QUICK": True})

    assert text_of(run, 2) == "True\n"


def test_a_process_left_behind_is_named_and_killed():
    mark = f"orphan-{os.getpid()}-left"

    run = papermill.run_notebook(notebook(ORPHAN.format(mark=mark)))

    assert len(run.leftovers) == 1
    assert not processes_with(mark)


def test_the_time_limit_stops_the_kernel_with_all_it_started_and_keeps_what_ran():
    mark = f"orphan-{os.getpid()}-limit"
    nb = notebook("print('first')", ORPHAN.format(mark=mark), "while True: pass", "print('never')")

    run = papermill.run_notebook(nb, time_limit=2, allow_errors=True)

    assert "longer than 2 seconds" in run.died
    assert text_of(run, 0) == "first\n"
    assert nb.cells[2].id not in run.ran
    assert not processes_with(mark)


def test_a_kernel_that_dies_is_reported_with_what_ran_before():
    run = papermill.run_notebook(notebook("x = 1", "import os; os._exit(0)", "x"))

    assert "kernel died" in run.died
    assert len(run.ran) == 1


def test_an_unknown_kernel_is_an_error_with_its_reason():
    with pytest.raises(papermill.RunError, match="no-such-kernel"):
        papermill.run_notebook(notebook("1"), kernel_name="no-such-kernel")


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_no_process_survives_when_the_command_is_ended(tmp_path, end):
    mark = f"orphan-{os.getpid()}-{end.name}"
    script = tmp_path / "script.py"
    script.write_text(
        "from nbformat.v4 import new_code_cell, new_notebook\n"
        "from autograder.runners.papermill import run_notebook\n"
        f"cells = [new_code_cell({ORPHAN.format(mark=mark)!r}), new_code_cell('while True: pass')]\n"
        "run_notebook(new_notebook(cells=cells), on_cell=lambda e: print(e.state, e.index, flush=True))\n"
    )
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # A test run in the background of a shell ignores Ctrl-C, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - this test has one thread
    ) as command:
        assert command.stdout is not None
        assert any(line.strip() == "start 1" for line in command.stdout)
        below = psutil.Process(command.pid).children(recursive=True)
        assert processes_with(mark)
        command.send_signal(end)
        command.wait()

    _, living = psutil.wait_procs([*below, *processes_with(mark)], timeout=30)
    assert not [p for p in living if p.status() != psutil.STATUS_ZOMBIE]


def test_an_untouched_copy_may_only_stop_at_exercises():
    run = papermill.run_notebook(
        notebook("def f(): raise NotImplementedError('Exercise 1.1')", "x = f()", "print(x)"), allow_errors=True
    )

    (fault,) = only_not_implemented(run.notebook)
    assert (fault.cell, fault.error) == ("cell 3: print(x)", "NameError")


def test_the_checks_of_a_class_that_is_still_to_be_written_do_not_break_an_untouched_copy():
    nb = notebook("raise NotImplementedError('Exercise 1.1')", "Flight(1)", "Flight(2)", "Flight(3)")
    for cell, grade_id in zip(nb.cells, ["ex-1-1", "check-1-1", "hidden-1-1", "check-1-2"], strict=True):
        cell.metadata["nbgrader"] = {"grade_id": grade_id}
    run = papermill.run_notebook(nb, allow_errors=True)

    (fault,) = only_not_implemented(run.notebook)
    assert fault.cell == "check-1-2"  # not of the exercise that stopped
