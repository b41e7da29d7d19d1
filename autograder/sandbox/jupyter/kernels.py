"""Jupyter kernels forked from a warm process, with or without walls: the process behind a provisioner."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autograder.sandbox.capabilities import choose
from autograder.sandbox.engine import course_cache
from autograder.sandbox.forkserver import ForkServer
from autograder.sandbox.inside.preload import COURSE_LIBRARIES
from autograder.sandbox.isolation import usage
from autograder.sandbox.messages import Ended, KernelStart, Role, Spawn, Stop
from autograder.sandbox.model import Limits
from autograder.sandbox.rpc.framing import Closed
from autograder.sandbox.session import Session

__all__ = ["KernelProcess", "kernel_forkserver", "socket_folder"]

_LOOK_EVERY = 0.2
_forkservers: dict[tuple[bool, bool], ForkServer] = {}
_lock = threading.Lock()


def kernel_forkserver(*, walls: bool, warm: bool) -> ForkServer:
    """Return this process's forkserver for kernels, started at the first call and ended with the process."""
    with _lock:
        key = (walls, warm)
        if key not in _forkservers:
            folder = socket_folder()
            libraries = ("ipykernel.kernelapp", "ipykernel.ipkernel", *(COURSE_LIBRARIES if warm else ()))
            _forkservers[key] = ForkServer(
                sandbox=choose("auto") if walls else "none",
                preload=libraries,
                cache=course_cache() if walls else None,
                kernels=folder,
                shell=False,
            )
            atexit.register(_close, key, folder)
        return _forkservers[key]


def _close(key: tuple[bool, bool], folder: Path) -> None:
    with contextlib.suppress(Exception):
        _forkservers.pop(key).close()
    shutil.rmtree(folder, ignore_errors=True)


def socket_folder() -> Path:
    """Return a new folder with a short name: the path of a socket has at most 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="ck-", dir="/tmp"))
    folder.chmod(0o711)
    return folder


class KernelProcess:
    """A kernel, with the methods of ``subprocess.Popen`` that jupyter_client uses.

    Parameters
    ----------
    forkserver
        Forks it.
    folder
        Where its sockets are: a folder below ``forkserver.kernels``.
    connection
        The connection information, with this folder's path as ``ip``.
    argv, environment, cwd
        What a fresh kernel would be started with; behind walls environment and folder are the sandbox's own.
    limits
        Kept behind walls only.
    """

    stdin = stdout = stderr = None

    def __init__(
        self,
        forkserver: ForkServer,
        *,
        folder: Path,
        connection: Mapping[str, Any],
        argv: Sequence[str],
        environment: Mapping[str, str],
        cwd: str,
        limits: Limits,
    ) -> None:
        self._limits = limits
        self.returncode: int | None = None
        self._finished = threading.Lock()
        folders = {"work": cwd, "tmp": environment.get("TMPDIR", "/tmp"), "home": environment.get("HOME", cwd)}
        start = KernelStart(argv=tuple(argv), environment=dict(environment), cwd=cwd)
        if forkserver.walls:
            inside = {**connection, "ip": "/kernels/k"}
            start = KernelStart(argv=tuple(argv), folder=folder.name, connection=inside)
        self._session = Session(forkserver, disk_mb=limits.disk_mb, folders=folders)
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            self._session.wait_until_ready()
            spawned = self._session.spawn(Spawn(role=Role.KERNEL, limits=limits, kernel=start), [null, null])()
        except BaseException:
            self._session.close()
            raise
        finally:
            os.close(null)
        spawned.control.close()  # a kernel is talked to over its own sockets
        self.pid = spawned.pid
        self._pidfd = os.pidfd_open(self.pid)
        if forkserver.walls:
            threading.Thread(target=self._watch, name="course-kernel-watch", daemon=True).start()

    def poll(self) -> int | None:
        """Return the exit status, ``None`` while it runs."""
        with self._finished:
            if self.returncode is None:
                try:
                    message = self._session.receive(time.monotonic())
                except Closed:
                    message = Ended(role=Role.KERNEL, status=-signal.SIGKILL)
                if isinstance(message, Ended):
                    self.returncode = message.status
                    self._session.close()
                    os.close(self._pidfd)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end and return the exit status."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None and (deadline is None or time.monotonic() < deadline):
            select.select([self._session], [], [], 0.1)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the kernel's own process."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """End the kernel and everything it started."""
        self.send_signal(signal.SIGKILL)
        if self.returncode is None:
            with contextlib.suppress(Closed):
                self._session.send(Stop(role=Role.KERNEL))

    def terminate(self) -> None:
        """Ask the kernel to end."""
        self.send_signal(signal.SIGTERM)

    def _watch(self) -> None:
        """Keep the limits that the kernel of the system doesn't keep."""
        deadline = time.monotonic() + self._limits.wall_seconds
        baseline = usage.resident_mb(self.pid)
        root = usage.parent_of(self.pid) or self.pid
        while self.returncode is None:
            used = usage.usage(root, baseline_mb=baseline, alarm_mb=self._limits.memory_mb)
            over = used.memory_mb > self._limits.memory_mb or used.cpu_seconds > self._limits.cpu_seconds
            if over or time.monotonic() > deadline:
                self.kill()
                return
            select.select([], [], [], _LOOK_EVERY)


def as_argv(command: Sequence[str], connection_file: str) -> list[str]:
    """Return what ``sys.argv`` would be in a fresh kernel that is started with ``command``."""
    words = [word.replace("{connection_file}", connection_file) for word in command]
    if "-m" in words:
        import importlib.util

        place = words.index("-m")
        spec = importlib.util.find_spec(words[place + 1])
        return [spec.origin if spec and spec.origin else words[place + 1], *words[place + 2 :]]
    return words
