"""Papermill child process: runs one notebook for `runners.papermill` and reports on a pipe how far it is.

It lives in a process of its own so that a notebook can be stopped at any moment with everything it has started. On
Linux it adopts the orphans of the kernel; it ends when the process that started it ends; it leaves no process behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import psutil

from autograder.sandbox.isolation import syscalls

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["kill_children", "main"]

_HELPERS = ("resource_tracker", "loky", "forkserver")  # Python's own, which end with the process they help


def main() -> None:
    """Run the job in the file named first; report on the file descriptor named second."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    report = os.fdopen(int(sys.argv[2]), "w", buffering=1, encoding="utf-8")
    if sys.platform == "linux":
        syscalls.adopt_orphans()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    end = {"died": "", "failed": ""}
    try:
        end["died"] = _run(job, report)
    except Exception as error:  # whatever it is, the parent tells it
        end["failed"] = f"{type(error).__name__}: {error}"
    finally:
        kill_children(os.getpid())
        _report(report, event="end", **end)


def kill_children(pid: int) -> None:
    """Kill every process below ``pid``, also those that are started meanwhile."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        deadline = time.monotonic() + 10
        while (living := [p for p in root.children(recursive=True) if _lives(p)]) and time.monotonic() < deadline:
            for process in living:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(living, timeout=0.1)


def _run(job: dict[str, Any], report: TextIO) -> str:
    import papermill
    from nbclient.exceptions import DeadKernelError

    last = -1

    def started(cell: NotebookNode, cell_index: int) -> None:
        if cell.cell_type == "code":
            _report(report, event="start", id=cell.id, index=cell_index)

    def executed(cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
        _report(report, event="done", id=cell.id, index=cell_index, status=execute_reply["content"]["status"])
        if cell_index >= last:
            _report(report, event="leftovers", names=_leftovers())

    notebook = papermill.iorw.load_notebook_node(job["input"])
    last = max((i for i, c in enumerate(notebook.cells) if c.cell_type == "code" and c.source.strip()), default=-1)
    last += bool(job["parameters"])  # papermill adds a cell for them
    try:
        papermill.execute_notebook(
            job["input"],
            job["output"],
            parameters=job["parameters"],
            kernel_name=job["kernel_name"],
            progress_bar=False,
            request_save_on_cell_execute=job["save_each_cell"],
            allow_errors=job["allow_errors"],
            on_cell_start=started,
            on_cell_executed=executed,
        )
    except papermill.PapermillExecutionError:
        return ""  # the failing cell is in the output
    except DeadKernelError:
        return "The kernel died: the code ended the process, or used more memory than there is."
    return ""


def _report(report: TextIO, **event: Any) -> None:
    report.write(json.dumps(event) + "\n")


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _leftovers() -> list[str]:
    """Return the processes that the notebook started and did not stop; those that are just ending get a second."""
    deadline = time.monotonic() + 1
    while (names := _running()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return names


def _running() -> list[str]:
    me = psutil.Process()
    kernel = min(me.children(), key=lambda p: p.create_time(), default=None)
    names = []
    for process in me.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            command = process.cmdline()
            if process != kernel and _lives(process) and not any(h in " ".join(command) for h in _HELPERS):
                names.append(" ".join(Path(word).name for word in command[:3]) or process.name())
    return names


def _end_with_parent() -> None:
    """Wait for the end of stdin, which the parent holds open as long as it lives."""
    sys.stdin.buffer.read()
    kill_children(os.getpid())
    os._exit(1)


if __name__ == "__main__":
    main()
