"""Start a local server, wait until it answers, and stop it with everything it started: also when the cell fails."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from course_lib.errors import EngineError

__all__ = ["Server", "answers", "free_port", "require_free", "stop_tree", "wait_until"]

LOOPBACK = "127.0.0.1"
_RUNNING: set[Server] = set()


def free_port() -> int:
    """Return a TCP port on the loopback address that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def require_free(port: int) -> None:
    """Check that nothing listens on ``port``.

    Raises
    ------
    EngineError
        The port is taken.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise EngineError(
                f"Port {port} is in use by another program.",
                expected="a free port",
                next_step="stop that program, or leave the port out: a free one is then chosen",
            ) from error


class Server:
    """A server process on the loopback address.

    Parameters
    ----------
    name
        What to call it in messages.
    command
        Program and arguments.
    port
        TCP port that the command listens on.
    ready_path
        Path that answers with a status below 400 when the server is ready; ``None`` waits for the port alone.
    env
        Environment variables added to those of this process.
    cwd
        Working folder; by default a private temporary one.
    timeout
        Seconds that :meth:`wait_ready` waits.

    Examples
    --------
    >>> with Server("files", ["python", "-m", "http.server", "8000"], port=8000) as server:  # doctest: +SKIP
    ...     server.wait_ready()
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        port: int,
        ready_path: str | None = "/",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 60.0,
    ) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.port = port
        self.timeout = timeout
        self.ready_path = ready_path
        self._env = dict(env or {})
        self._cwd = cwd
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Base URL of the server."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def folder(self) -> Path:
        """A folder that the server alone uses, removed when it stops: it holds the log, and what a caller puts in."""
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="course-server-")
        return Path(self._scratch.name)

    @property
    def pid(self) -> int:
        """Process id; only while the server runs."""
        if self._process is None:
            raise EngineError(f"{self.name} is not running.", next_step="start it first")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        process = self._process  # read once: another thread may stop the server
        return process is not None and process.poll() is None

    def start(self) -> Self:
        """Start the process and return at once.

        Raises
        ------
        EngineError
            The port is taken, or the program is not installed.
        """
        require_free(self.port)
        try:
            with (self.folder / "server.log").open("wb") as output:
                self._process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self._cwd or self.folder,
                    env=os.environ | self._env,
                    start_new_session=True,  # a group of its own, so that its children stop with it
                )
        except OSError as error:
            self.stop()
            raise EngineError(
                f"{self.name} could not be started: {error}",
                expected=f"the program {self.command[0]!r}",
                next_step="run `make engines`, or read in the notebook what runs without it",
            ) from error
        _RUNNING.add(self)
        return self

    def wait_ready(self) -> Self:
        """Wait until the server answers.

        Raises
        ------
        EngineError
            The process ended or did not answer in time; the end of its log is in the message.
        """
        deadline = time.monotonic() + self.timeout
        while not self.answers():
            if not self.running:
                raise self._failed("stopped before it was ready")
            if time.monotonic() > deadline:
                raise self._failed(f"did not answer within {self.timeout:.0f} s")
            time.sleep(0.05)
        return self

    def stop(self, *, grace: float = 5.0) -> None:
        """Stop the process and everything it started: a polite signal first, after ``grace`` seconds a final one."""
        _RUNNING.discard(self)
        if self._process is not None:
            stop_tree(self._process.pid, grace=grace)
            self._process.wait()
            self._process = None  # its number may soon be another process's
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def log(self, *, lines: int = 20) -> str:
        """Return the last lines that the server printed."""
        if self._scratch is None or not (path := self.folder / "server.log").exists():
            return ""
        with path.open(errors="replace") as file:
            return "".join(deque(file, maxlen=lines)).rstrip()

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answers(self) -> bool:
        """Ask once whether the server is ready, and return at once."""
        if self.ready_path is not None:
            return answers(self.url + self.ready_path)
        try:
            socket.create_connection((LOOPBACK, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _failed(self, what: str) -> EngineError:
        log = self.log()
        self.stop()
        return EngineError(
            f"{self.name} {what}.",
            expected=f"an answer on {self.url}{self.ready_path or ''}",
            next_step=f"read the end of its log:\n{log or '(it printed nothing)'}",
        )


def answers(url: str) -> bool:
    """Return whether a GET is answered with a status below 400."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310 - loopback
            return int(reply.status) < 400
    except (OSError, ValueError):
        return False


def stop_tree(pid: int, *, grace: float = 5.0) -> None:
    """Stop a process and all its descendants; return when none is left."""
    import psutil

    try:
        root = psutil.Process(pid)
        tree = [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        tree = []
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(tree, timeout=grace)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=grace)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # what left the tree but stayed in the group


def wait_until(condition: Callable[[], object], *, timeout: float = 10.0, what: str = "the condition") -> None:
    """Wait until ``condition()`` is true.

    Raises
    ------
    EngineError
        It is still false after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise EngineError(f"{what} did not come true within {timeout:.0f} s.", next_step="look at the log above")
        time.sleep(0.02)


@atexit.register
def _stop_all() -> None:
    """Stop what a notebook left running when its kernel ends."""
    for server in list(_RUNNING):
        server.stop(grace=1.0)
