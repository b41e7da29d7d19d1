"""Run a notebook in an ordinary Jupyter kernel: no walls around it, so only for code that is trusted.

This is the simplest :class:`autograder.runners.executor.Executor`. Strangers' submissions belong in
the sandbox.
"""

from __future__ import annotations

import contextlib
import os
import queue
import tempfile
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autograder.runners.executor import Executed
from course_lib import progress

if TYPE_CHECKING:
    import psutil
    from jupyter_client.blocking.client import BlockingKernelClient
    from jupyter_client.manager import KernelManager
    from nbformat import NotebookNode

    from autograder.authoring.assignments import Assignment

__all__ = ["TIMEOUT_ERROR", "PlainKernel"]

TIMEOUT_ERROR = "CellTimeoutError"
_START_LIMIT = 60.0  # seconds for a kernel to answer on a busy machine
_GRACE = 3.0  # seconds a cell has to stop after it was interrupted
_MAX_OUTPUT = 1 << 20  # bytes of output kept for each cell
_FLOOD = 64 << 20  # bytes after which a cell that keeps printing is stopped


class PlainKernel:
    """Runs notebooks one after the other, each in a fresh kernel."""

    name = "plain"

    def prepare(self, assignment: Assignment) -> None:
        """Do nothing: each run starts from an empty kernel."""

    def run(self, notebook: NotebookNode, release: NotebookNode, *, time_limit: float, cell_limit: float) -> Executed:
        """Run ``notebook`` in place; see :class:`autograder.runners.executor.Executor`. The release is not needed."""
        del release
        started = time.monotonic()
        ran: set[str] = set()
        died = ""
        with tempfile.TemporaryDirectory(prefix="grade-") as folder, _kernel(folder) as (manager, client):
            peak = 0.0
            for cell in notebook.cells:
                if cell.cell_type != "code" or not cell.source.strip():
                    ran.add(cell.id)
                    continue
                left = time_limit - (time.monotonic() - started)
                if left <= 0:
                    died = f"The notebook took longer than its {time_limit:g} seconds."
                    break
                died = _run_cell(manager, client, cell, limit=min(cell_limit, left))
                if died:
                    break
                ran.add(cell.id)
                peak = max(peak, _peak_mb(manager))
        return Executed(notebook, time.monotonic() - started, peak, died, frozenset(ran))

    def close(self) -> None:
        """Do nothing: each run ends its own kernel."""


@contextlib.contextmanager
def _kernel(folder: str) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3")
    environment = {**os.environ, "NBGRADER_EXECUTION": "autograde", "IPYTHONDIR": folder + "/.ipython"}
    environment.pop(progress.VARIABLE, None)
    arguments = ["--HistoryManager.hist_file=:memory:"]
    manager.start_kernel(cwd=folder, env=environment, extra_arguments=arguments, stderr=_nowhere(), stdout=_nowhere())
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=_START_LIMIT)
        client.allow_stdin = False
        yield manager, client
    finally:
        family = _family(manager)
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
        _end(family)


def _family(manager: KernelManager) -> list[psutil.Process]:
    """Return the processes the kernel started, as far as they have not left it."""
    import psutil

    try:
        return psutil.Process(getattr(manager.provisioner, "pid", None)).children(recursive=True)
    except (psutil.Error, TypeError, ValueError):
        return []


def _end(family: list[psutil.Process]) -> None:
    import psutil

    for process in family:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _nowhere() -> int:
    import subprocess

    return subprocess.DEVNULL


def _run_cell(manager: KernelManager, client: BlockingKernelClient, cell: NotebookNode, *, limit: float) -> str:
    """Run one cell and store its outputs; return why the kernel is gone, if it is."""
    cell.outputs = []
    request = client.execute(cell.source, store_history=True, allow_stdin=False, stop_on_error=False)
    deadline = time.monotonic() + limit
    interrupted = flooded = False
    size = 0
    while True:
        flood = size > _FLOOD and not interrupted  # what was sent before the interrupt still arrives after it
        if time.monotonic() > deadline or flood:
            flooded = flooded or flood
            if interrupted:
                _append_error(cell, TIMEOUT_ERROR, f"The cell did not stop after {limit:g} seconds.")
                return f"A cell ran longer than {limit:g} seconds and could not be interrupted."
            manager.interrupt_kernel()
            interrupted, deadline = True, time.monotonic() + _GRACE
        try:
            message = client.get_iopub_msg(timeout=0.5)
        except queue.Empty:
            if not manager.is_alive():
                _append_error(cell, "DeadKernelError", "The kernel died while it ran this cell.")
                return "The kernel died: the code ended the process, or used more memory than there is."
            continue
        if message["parent_header"].get("msg_id") != request:
            continue
        if _take(message, cell, room=_MAX_OUTPUT - size):
            break
        size += _size(message["content"])
    if interrupted:
        cell.outputs = [output for output in cell.outputs if output.output_type != "error"]
        why = "printed too much" if flooded else f"took longer than {limit:g} seconds"
        _append_error(cell, TIMEOUT_ERROR, f"The cell {why} and was stopped.")
        return ""
    _take_reply(client, request, cell)
    return ""


def _take(message: dict[str, Any], cell: NotebookNode, *, room: int) -> bool:
    """Add what ``message`` says to the outputs of ``cell``; return whether it was the last one."""
    from nbformat.v4 import output_from_msg

    kind = message["msg_type"]
    if kind == "status":
        return bool(message["content"]["execution_state"] == "idle")
    if kind == "execute_input":
        cell.execution_count = message["content"].get("execution_count")
    elif kind == "clear_output":
        cell.outputs = []
    elif kind == "error" or (kind in ("stream", "display_data", "execute_result") and room > 0):
        output = output_from_msg(message)
        last = cell.outputs[-1] if cell.outputs else None
        if kind == "stream" and last is not None and last.output_type == "stream" and last.name == output.name:
            last.text += output.text[:room]
        else:
            cell.outputs.append(output)
    return False


def _size(content: dict[str, Any]) -> int:
    text = content.get("text") or content.get("data") or ""
    return len(text) if isinstance(text, str) else sum(len(str(value)) for value in text.values())


def _take_reply(client: BlockingKernelClient, request: str, cell: NotebookNode) -> None:
    """Record an error that the kernel reports but did not show: code can switch the traceback off."""
    deadline = time.monotonic() + _GRACE
    while time.monotonic() < deadline:
        try:
            reply = client.get_shell_msg(timeout=_GRACE)
        except queue.Empty:
            return
        if reply["parent_header"].get("msg_id") == request:
            content = reply["content"]
            shown = any(o.output_type == "error" and o.ename == content.get("ename") for o in cell.outputs)
            if content.get("status") == "error" and not shown:
                _append_error(cell, content.get("ename", "Error"), content.get("evalue", ""))
            return


def _append_error(cell: NotebookNode, name: str, text: str) -> None:
    from nbformat.v4 import new_output

    cell.outputs.append(new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"]))


def _peak_mb(manager: KernelManager) -> float:
    """Return the most memory the kernel's process has held, in MB; 0 where the system doesn't tell."""
    pid = getattr(manager.provisioner, "pid", None)
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123 — a kernel file, not a path of ours
            peak = next((line for line in status if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    except OSError:
        return 0.0
    return int(peak.split()[1]) / 1024
