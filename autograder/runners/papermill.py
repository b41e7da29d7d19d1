"""Papermill runner: a notebook in a process of its own, with progress, time, peak memory, a limit, and no survivors.

For notebooks that are trusted: references, and copies that a learner runs on his or her own machine. Strangers'
submissions are run by the grader's sandbox.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psutil

from autograder.authoring.release import notebook_text
from autograder.runners.papermill_child import kill_children
from autograder.runners.run import CellEvent, NotebookRun, cell_name
from course_lib import progress
from course_lib.errors import CourseError

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["QUIET", "TIME_LIMIT", "RunError", "run_notebook"]

TIME_LIMIT = 600.0  # seconds: far above every notebook's budget; only a hung cell meets it
_SAMPLE_EVERY = 0.2  # seconds between two looks at the memory
_START_LIMIT = 120.0  # seconds for a kernel to start on a very busy machine
_GRACE = 10.0  # seconds to write the notebook down after its kernel was killed
_PRIVATE = (
    "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "JUPYTER_PATH",
    progress.VARIABLE,  # a reference that runs in a learner's terminal earns the learner nothing
)  # fmt: skip
QUIET = {  # no telemetry, and figures that end up in the notebook
    "DO_NOT_TRACK": "1",
    "ITERATIVE_DO_NOT_TRACK": "1",
    "JUPYTER_PREFER_ENV_PATH": "1",  # the environment's kernel, not one of the same name in the user's home
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_NUM_THREADS": "1",  # on shared processors OpenMP's threads spin for one another: 12 s instead of 2
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "WANDB_MODE": "offline",
}


class RunError(CourseError):
    """A notebook could not be started at all."""


def run_notebook(
    notebook: NotebookNode,
    *,
    allow_errors: bool = False,
    parameters: Mapping[str, Any] | None = None,
    time_limit: float = TIME_LIMIT,
    kernel_name: str = "python3",
    save_to: Path | None = None,
    save_each_cell: bool = True,
    environment: Mapping[str, str] | None = None,
    on_cell: Callable[[CellEvent], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> NotebookRun:
    """Run ``notebook`` from top to bottom in a fresh kernel and a private temporary folder.

    Parameters
    ----------
    notebook
        What to run; it is not changed.
    allow_errors
        Go on after a failing cell instead of stopping there.
    parameters
        Values for the cell tagged ``parameters``.
    time_limit
        Seconds from the first cell on, after which the kernel is killed with all it started.
    kernel_name
        The kernel specification to use.
    save_to
        Where to save the executed copy.
    save_each_cell
        Write the copy after each cell, so that a killed run still shows how far it came; costs time where the outputs
        are large.
    environment
        Environment variables to add.
    on_cell
        Called at the start and at the end of each cell.
    stop
        Asked several times a second; once it says yes, the run is broken off with everything it started.

    Raises
    ------
    KeyboardInterrupt
        ``stop`` said so.
    RunError
        The process that runs notebooks could not do its work at all.
    """
    with tempfile.TemporaryDirectory(prefix="course-run-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        job = {
            "input": str(folder / "input.ipynb"),
            "output": str(folder / "output.ipynb"),
            "parameters": dict(parameters or {}),
            "kernel_name": kernel_name,
            "allow_errors": allow_errors,
            "save_each_cell": save_each_cell,
        }
        (folder / "input.ipynb").write_text(notebook_text(notebook), encoding="utf-8")
        names = [cell_name(cell, index) for index, cell in enumerate(notebook.cells)]
        monitor = _RunMonitor(names, time_limit, on_cell, stop)
        with _process(folder, job, environment) as (process, pipe):
            monitor.follow(process, pipe)
        executed = _read(Path(str(job["output"])), folder / "log.txt", monitor)
    run = monitor.result(executed)
    if save_to is not None:
        save_to.parent.mkdir(parents=True, exist_ok=True)
        save_to.write_text(notebook_text(executed), encoding="utf-8")
    return run


@contextlib.contextmanager
def _process(
    folder: Path, job: dict[str, object], added: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start the runner; whatever happens, nothing that it started outlives this block."""
    for part in ("work", "tmp", "ipython", "runtime"):
        (folder / part).mkdir()
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in _PRIVATE} | QUIET
    environment |= {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    environment |= {"TMPDIR": str(folder / "tmp"), **(added or {})}
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "autograder.runners.papermill_child", str(folder / "job.json"), str(writing)]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder / "work",
            env=environment,
            stdin=subprocess.PIPE,  # held open: the runner ends when it closes, even if we are killed
            stdout=log,
            stderr=log,
            pass_fds=(writing,),
            start_new_session=True,  # Ctrl-C reaches us only, and we stop the runner
        )
    os.close(writing)
    try:
        yield process, reading
    finally:
        kill_children(process.pid)
        process.kill()
        process.communicate()
        os.close(reading)


class _RunMonitor:
    """Follows a run: reads its events, samples its memory, and kills its kernel at the time limit."""

    def __init__(
        self,
        names: list[str],
        limit: float,
        on_cell: Callable[[CellEvent], None] | None,
        stop: Callable[[], bool] | None,
    ) -> None:
        self.names, self.limit, self.on_cell, self.stop = names, limit, on_cell, stop
        self.started = time.monotonic()
        self.seconds = self.peak = 0.0
        self.died, self.failed, self.ended = "", "", False
        self.leftovers: tuple[str, ...] = ()
        self.ran: set[str] = set()
        self.cells: list[tuple[str, float]] = []
        self._cpu: dict[psutil.Process, float] = {}  # of each process ever seen below the runner
        self._cell_started = self.started
        self.deadline = self.started + _START_LIMIT
        self._rest = b""

    def follow(self, process: subprocess.Popen[bytes], pipe: int) -> None:
        """Return when the run has ended, one way or the other."""
        killed = 0.0
        try:
            while self._read_events(pipe):
                if self.stop is not None and self.stop():
                    raise KeyboardInterrupt
                self._sample(process.pid)
                now = time.monotonic()
                if not killed and now > self.deadline:
                    self.died = f"The notebook took longer than {self.limit:g} seconds and was stopped."
                    killed = now
                    kill_children(process.pid)
                elif killed and now > killed + _GRACE:
                    break
        finally:
            self.seconds = time.monotonic() - self.started
            for child in self._cpu:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()

    def result(self, notebook: NotebookNode) -> NotebookRun:
        """Return the run as a value."""
        return NotebookRun(
            notebook,
            seconds=self.seconds,
            peak_mb=self.peak,
            cpu_seconds=sum(self._cpu.values()),
            died=self.died or self.failed,
            leftovers=self.leftovers,
            cell_seconds=tuple(self.cells),
            ran=frozenset(self.ran),
        )

    def _read_events(self, pipe: int) -> bool:
        """Wait a moment for events and handle them; return whether more can come."""
        if not select.select([pipe], [], [], _SAMPLE_EVERY)[0]:
            return True
        chunk = os.read(pipe, 1 << 16)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._handle(json.loads(line))
        return bool(chunk) and not self.ended

    def _handle(self, event: dict[str, Any]) -> None:
        now = time.monotonic()
        match event["event"]:
            case "start":
                if not self.cells:
                    self.deadline = now + self.limit
                self._cell_started = now
                self._notify("start", event["index"], now)
            case "done":
                self.ran.add(event["id"])
                self.cells.append((self._name(event["index"]), now - self._cell_started))
                self._notify("done", event["index"], now)
            case "leftovers":
                self.leftovers = tuple(event["names"])
            case "end":
                self.ended, self.died, self.failed = True, self.died or event["died"], event["failed"]

    def _name(self, index: int) -> str:
        return self.names[min(index, len(self.names) - 1)]

    def _notify(self, state: Literal["start", "done"], index: int, now: float) -> None:
        if self.on_cell is not None:
            self.on_cell(CellEvent(state, index, len(self.names), self._name(index), now - self.started))

    def _sample(self, pid: int) -> None:
        total = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(pid).children(recursive=True):
                self._cpu.setdefault(child, 0.0)
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    total += _memory(child)
                    times = child.cpu_times()
                    self._cpu[child] = times.user + times.system
        self.peak = max(self.peak, total / 2**20)


def _memory(process: psutil.Process) -> int:
    """Return the bytes of memory that a process costs.

    On Linux a page that n processes share counts 1/n in each (PSS): forked workers and servers share most of theirs,
    and the sum of resident sizes would count it once a process.
    """
    try:
        return int(process.memory_full_info().pss)
    except (AttributeError, psutil.AccessDenied):  # another system, or a process of somebody else
        return int(process.memory_info().rss)


def _read(output: Path, log: Path, monitor: _RunMonitor) -> NotebookNode:
    """Read what papermill wrote, without its error markers and without the paths of the temporary folder."""
    import nbformat

    if not output.is_file() or (monitor.failed and not monitor.ran):
        tail = " ".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:])
        raise RunError(
            f"The notebook could not be run: {monitor.died or monitor.failed or tail[-500:] or 'its process ended'}",
            expected="a kernel that starts and a notebook that papermill can read",
            next_step="run `python -m autograder doctor`, and fix what it names",
        )
    notebook: NotebookNode = nbformat.read(output, as_version=4)  # type: ignore[no-untyped-call]
    notebook.cells = [c for c in notebook.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", [])]
    notebook.metadata.pop("papermill", None)
    return notebook
