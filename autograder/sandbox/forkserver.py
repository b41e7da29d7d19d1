"""Forkserver as the grader holds it: one process that has imported the libraries, behind the sandbox.

It is told to fork a session for each submission, snapshot or kernel. What runs on the other end is
:mod:`autograder.sandbox.inside.forkserver`.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from autograder.sandbox.errors import ExecutionError
from autograder.sandbox.isolation.launcher import launch_command
from autograder.sandbox.isolation.mounts import HELPERS, layout, packages
from autograder.sandbox.messages import ForkserverReady, ForkserverSettings, ForkSession, Malformed, dumps
from autograder.sandbox.rpc.framing import Closed, recv_message, send_message

__all__ = ["ForkServer", "as_archive", "as_memory_file", "sandbox_environment", "write_etc"]

_START_SECONDS = 180.0
_SINGLE_THREADED = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1", "ITERATIVE_DO_NOT_TRACK": "1", "WANDB_MODE": "offline",
    "GIT_PYTHON_REFRESH": "quiet", "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # a thread that would not survive a fork
}  # fmt: skip
_SHELL = ("IPython.core.interactiveshell", "IPython.core.completer")
_KERNEL = ("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "IPython.core.completer")


class ForkServer:
    """A process behind the sandbox that has imported libraries and forks sessions. Close it to end all of them.

    Attributes
    ----------
    sandbox
        "bwrap", "native" or "none".
    kernels
        The folder for the sockets of Jupyter kernels, if any will be started.
    helpers
        The folder with a folder of files for each notebook that has some beside it, if there are any.
    missing
        Libraries that were to be imported in advance and couldn't be.
    """

    def __init__(
        self,
        *,
        sandbox: str,
        preload: Sequence[str],
        cache: Path | None,
        kernels: Path | None = None,
        read_only: Sequence[Path] = (),
        helpers: Path | None = None,
        shell: bool = True,
    ) -> None:
        self._shell = shell
        self.sandbox = sandbox
        self.kernels = kernels
        self.helpers = helpers.absolute() if helpers is not None and helpers.is_dir() else None
        self.missing: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self._folder = Path(tempfile.mkdtemp(prefix="course-engine-"))
        self._folder.chmod(0o755)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.environment = sandbox_environment(walls=self.walls)
        self._process = self._start(theirs, preload, cache, read_only)
        theirs.close()
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    @property
    def walls(self) -> bool:
        """Whether submissions are walled in."""
        return self.sandbox != "none"

    @property
    def pid(self) -> int:
        """Process id of the outermost process; everything else the server starts is below it."""
        return self._process.pid

    def _start(
        self, theirs: socket.socket, preload: Sequence[str], cache: Path | None, read_only: Sequence[Path]
    ) -> subprocess.Popen[bytes]:
        settings = ForkserverSettings(
            walls=self.walls,
            preload=tuple(preload),
            shell=self._shell,
            base=_SHELL if self._shell else _KERNEL,
            while_importing=_SINGLE_THREADED,
        )
        number = str(theirs.fileno())
        command = [sys.executable, "-m", "autograder.sandbox.inside.forkserver", number, dumps(settings)]
        environment = {
            **self.environment,
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(str(p.parent) for p in packages())),
        }
        if self.walls:
            etc = self._folder / "etc"
            write_etc(etc)
            plan = layout(etc=etc, cache=cache, kernels=self.kernels, helpers=self.helpers, extra=read_only)
            command = launch_command(plan, wall=self.sandbox, command=command, environment=environment)
        return subprocess.Popen(
            command,
            env={**environment, "PATH": os.environ.get("PATH", os.defpath)},
            pass_fds=[theirs.fileno()],
            cwd=self._folder,  # nothing can be imported from it
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            start_new_session=True,
        )

    def _wait_until_ready(self) -> None:
        ready, _, _ = select.select([self.control], [], [], _START_SECONDS)
        try:
            if not ready:
                raise Closed("it took too long")
            message, _ = recv_message(self.control, ForkserverReady)
        except (Closed, Malformed) as error:
            raise ExecutionError(
                f"The process that runs submissions did not start ({error}).",
                expected="a warm process behind the sandbox",
                next_step=f"read what it said: {self.stderr_tail()}",
            ) from error
        self.missing = message.missing

    def helpers_at(self, name: str) -> str:
        """Return where its sessions see the helper files ``name``; empty for none."""
        if not name or self.helpers is None:
            return ""
        return f"{HELPERS}/{name}" if self.walls else str(self.helpers / name)

    def stderr_tail(self) -> str:
        """Return the end of what the processes inside have printed, for error messages."""
        self._errors.seek(0)
        return self._errors.read()[-2000:].decode(errors="replace").strip() or "nothing"

    def fork(self, message: ForkSession, fds: Sequence[int], *, snapshot: socket.socket | None = None) -> None:
        """Have the forkserver, or the ``snapshot`` at the other end of a socket, fork a session."""
        with self._lock:
            send_message(snapshot or self.control, message, fds)

    def close(self) -> None:
        """End the server and everything it has forked; return when nothing of it is left."""
        self.control.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._errors.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def folders(self) -> Iterator[dict[str, str]]:
        """Give a session without walls folders of its own for the length of the block."""
        if self.walls:
            yield {}
            return
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=self._folder))
        found = {name: str(folder / name) for name in ("work", "tmp", "home")}
        for path in found.values():
            Path(path).mkdir()
        try:
            yield found
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sandbox_environment(*, walls: bool) -> dict[str, str]:
    """Return the environment variables of submissions: none of the caller's."""
    program = str(Path(sys.executable).parent)
    common = {
        "PATH": f"{program}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    common |= {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "NBGRADER_EXECUTION": "autograde"}
    common |= _SINGLE_THREADED | _QUIET
    if walls:
        return {
            **common,
            "HOME": "/home/learner",
            "TMPDIR": "/tmp",
            "COURSE_CACHE": "/cache",
            "IPYTHONDIR": "/home/learner/.ipython",
        }
    kept = {name: os.environ[name] for name in ("COURSE_CACHE", "HOME") if name in os.environ}
    return {**common, **kept}


def write_etc(folder: Path) -> None:
    """Write the small system files that a sandbox has of its own to the new ``folder``."""
    folder.mkdir(mode=0o755)
    uid, gid = (os.getuid(), os.getgid()) if os.getuid() else (65534, 65534)
    files = {
        "passwd": f"learner:x:{uid}:{gid}:learner:/home/learner:/bin/sh\n",
        "group": f"learner:x:{gid}:\n",
        "hosts": "127.0.0.1 localhost grader\n::1 localhost\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)


def as_memory_file(data: bytes) -> int:
    """Return the descriptor of an unnamed file with ``data``."""
    fd = os.memfd_create("course")
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(data)
    return fd


def as_archive(files: Mapping[str, bytes]) -> bytes:
    """Return ``files`` as a tar archive; names must be relative and stay below the folder they are put in."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), int(time.time())
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
