"""Run a notebook in an ordinary Jupyter kernel: no walls around it, so only for code that is trusted.

This is the simplest :class:`autograder.runners.executor.Executor`: nbclient's `NotebookClient`, with a limit for output
and without giving up at the first cell that hangs. Strangers' submissions belong in the sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbclient.util import ensure_async, run_sync

from autograder.runners.executor import Executed
from autograder.text import LEFT_OUT, Unbounded, bounded_json
from course_lib import progress

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from autograder.authoring.assignments import Assignment

__all__ = ["PlainKernel"]

_GRACE = 3.0  # seconds a cell has to stop after it was interrupted
_MAX_OUTPUT = 1 << 20  # bytes of output kept for each cell
_FLOOD = 64 << 20  # bytes after which a cell that keeps printing is stopped


class PlainKernel:
    """Runs notebooks one after the other, each in a fresh kernel."""

    name = "plain"

    def __init__(self, helpers: Path | None = None) -> None:
        self._helpers = helpers  # the folder with the files that lie beside notebooks, a folder for each
        self._assignments: dict[int, Assignment] = {}  # by the release's id

    def prepare(self, assignment: Assignment) -> None:
        """Know what lies beside the notebook; each run starts from an empty kernel."""
        self._assignments[id(assignment.graded)] = assignment

    def run(
        self,
        notebook: NotebookNode,
        release: NotebookNode,
        *,
        time_limit: float,
        cell_limit: float,
        files: Mapping[str, bytes] | None = None,
    ) -> Executed:
        """Run ``notebook`` in place; see :class:`autograder.runners.executor.Executor`."""
        started = time.monotonic()
        ran: set[str] = set()
        died, peak = "", 0.0
        with self._folder(release, files or {}) as folder, _client(notebook, folder) as client:
            for index, cell in enumerate(notebook.cells):
                left = time_limit - (time.monotonic() - started)
                if cell.cell_type == "code" and cell.source.strip():
                    late = f"The notebook took longer than its {time_limit:g} seconds."
                    died = client.run_cell(index, min(cell_limit, left)) if left > 0 else late
                    peak = max(peak, _peak_mb(client.pid))
                if died:
                    break
                ran.add(cell.id)
        return Executed(notebook, time.monotonic() - started, peak, died, frozenset(ran))

    @contextlib.contextmanager
    def _folder(self, release: NotebookNode, files: Mapping[str, bytes]) -> Iterator[str]:
        """Make a work folder with the learner's files and the course's own in it."""
        with tempfile.TemporaryDirectory(prefix="grade-") as folder:
            for name, content in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            assignment = self._assignments.get(id(release))
            if self._helpers is not None and assignment is not None and assignment.helpers:
                shutil.copytree(self._helpers / assignment.helpers, folder, dirs_exist_ok=True)
            yield folder

    def close(self) -> None:
        """Do nothing: each run ends its own kernel."""


class _Client(NotebookClient):
    """One kernel, and what the cell that runs in it has printed."""

    size = 0
    flooded = False

    @property
    def pid(self) -> int | None:
        return getattr(getattr(self.km, "provisioner", None), "pid", None)

    def run_cell(self, index: int, limit: float) -> str:
        """Run one cell and store its outputs; return why the kernel is gone, if it is."""
        cell = self.nb.cells[index]
        self.size, self.flooded, self.timeout_func = 0, False, lambda _: limit  # type: ignore[assignment]
        stopped = ""
        try:
            try:
                self.execute_cell(cell, index)
            except CellTimeoutError:
                stopped = f"took longer than {limit:g} seconds"
                run_sync(self._interrupt)()
        except TimeoutError:
            _append_error(cell, "CellTimeoutError", f"The cell did not stop after {limit:g} seconds.")
            return f"A cell ran longer than {limit:g} seconds and could not be interrupted."
        except DeadKernelError:
            _append_error(cell, "DeadKernelError", "The kernel died while it ran this cell.")
            return "The kernel died: the code ended the process, or used more memory than there is."
        if stopped or self.flooded:
            cell.outputs = [output for output in cell.outputs if output.output_type != "error"]
            why = "printed too much" if self.flooded else stopped
            _append_error(cell, "CellTimeoutError", f"The cell {why} and was stopped.")
        return ""

    async def _interrupt(self) -> None:
        """Stop the running cell, and wait until the kernel answers again."""
        assert self.km is not None and self.kc is not None  # noqa: PT018
        await ensure_async(self.km.interrupt_kernel())
        await asyncio.wait_for(self.async_wait_for_reply(await ensure_async(self.kc.kernel_info())), _GRACE)

    def output(self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Store an output as far as there is room; stop a cell that keeps printing."""
        content = msg["content"]
        if "data" in content:
            content["data"] = dict(_fitting(content["data"]))
        room = _MAX_OUTPUT - self.size
        self.size += sum(len(str(value)) for value in (content.get("text", ""), *content.get("data", {}).values()))
        if self.size > _FLOOD and not self.flooded:
            assert self.km is not None
            self.flooded = True
            self._stopping = asyncio.ensure_future(ensure_async(self.km.interrupt_kernel()))
        if msg["msg_type"] == "stream":
            content["text"] = content["text"][: max(0, room)]
        return super().output(outs, msg, display_id, cell_index) if room > 0 or msg["msg_type"] == "error" else None

    def handle_comm_msg(self, outs: list[NotebookNode], msg: dict[str, Any], cell_index: int) -> None:
        """Ignore messages of widgets: there is nobody to show them to."""


@contextlib.contextmanager
def _client(notebook: NotebookNode, folder: str) -> Iterator[_Client]:
    from autograder.runners.papermill_child import kill_children

    environment = {**os.environ, "NBGRADER_EXECUTION": "autograde", "IPYTHONDIR": folder + "/.ipython"}
    environment.pop(progress.VARIABLE, None)
    client = _Client(
        notebook,
        kernel_name="python3",
        allow_errors=True,
        coalesce_streams=True,
        record_timing=False,
        iopub_timeout=10,  # seconds for outputs that are still on their way when a cell is done
        shutdown_kernel="immediate",
        skip_cells_with_tag="\0",  # none: a learner's tag skips nothing
        on_cell_executed=_show_hidden_error,
    )
    nowhere = subprocess.DEVNULL
    with client.setup_kernel(cwd=folder, env=environment, stdout=nowhere, stderr=nowhere):
        try:
            yield client
        finally:
            if client.pid:
                kill_children(client.pid)


def _show_hidden_error(cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
    """Record an error that the kernel reports but did not show: code can switch the traceback off."""
    del cell_index
    content = execute_reply["content"]
    shown = any(o.output_type == "error" and o.ename == content.get("ename") for o in cell.outputs)
    if content.get("status") == "error" and not shown:
        _append_error(cell, content.get("ename", "Error"), content.get("evalue", ""))


def _fitting(data: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the forms of an output that can be stored; where one cannot, a note is there in place of no text at all."""
    for kind, value in data.items():
        try:
            yield kind, value if isinstance(value, str) else bounded_json(value)
        except Unbounded as error:
            if "text/plain" not in data:
                yield "text/plain", f"{LEFT_OUT}{kind}: {error}"


def _append_error(cell: NotebookNode, name: str, text: str) -> None:
    from nbformat.v4 import new_output

    cell.outputs.append(new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"]))


def _peak_mb(pid: int | None) -> float:
    """Return the most memory the kernel's process has held, in MB; 0 where the system doesn't tell."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123 — a kernel file, not a path of ours
            peak = next((line for line in status if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    except OSError:
        return 0.0
    return int(peak.split()[1]) / 1024
