"""Sandboxed programs: run a program that somebody handed in, signal it, connect to it, read what it printed.

On your own machine a program is a child process in a temporary folder. The grader installs a launcher of its own
(:func:`launch_with`): there the same program runs in a box with its own process, mount and network namespace, so that
it can neither see nor signal what judges it. Code that runs a learner's text therefore starts it here, and reaches it
by :meth:`Program.connect` and by nothing else: its files and its ports are not the caller's.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Protocol, Self

from course_lib.errors import CourseError, EngineError

__all__ = ["Launcher", "Program", "launch_with", "local_program", "require_relative", "start", "wait"]

_MOST_OUTPUT = 1 << 20


class Program(Protocol):
    """A running program; leave the ``with`` block to end it and everything that it started."""

    def poll(self) -> int | None:
        """Return the exit code, negative for the signal that killed it; ``None`` while the program runs."""

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing happens to a program that has ended."""

    def connect(self, port: int, *, timeout: float) -> socket.socket:
        """Return a connection to ``port`` of the loopback address as the program sees it.

        Raises
        ------
        OSError
            Nobody listens there, or the program has ended.
        """

    def output(self) -> str:
        """Return what it has printed so far, at most the first megabyte."""

    def close(self) -> None:
        """Kill it with everything that it started, and remove its files."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


Launcher = Callable[[Sequence[str], Mapping[str, str | bytes]], Program]


class _LocalProgram:
    """A child process in a folder of its own."""

    def __init__(self, command: Sequence[str], files: Mapping[str, str | bytes]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="course-program-", ignore_cleanup_errors=True)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the program
        try:
            for name, content in files.items():
                path = Path(self._folder.name, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.encode() if isinstance(content, str) else content)
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                cwd=self._folder.name,
                start_new_session=True,
            )
        except OSError as error:
            self._output.close()
            self._folder.cleanup()
            raise EngineError(
                f"The program could not be started: {error}.", expected=f"a program {command[0]!r}"
            ) from error

    def poll(self) -> int | None:
        return self._process.poll()

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def connect(self, port: int, *, timeout: float) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), timeout=timeout)

    def output(self) -> str:
        return os.pread(self._output.fileno(), _MOST_OUTPUT, 0).decode(errors="replace")

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._output.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def local_program(command: Sequence[str], files: Mapping[str, str | bytes]) -> Program:
    """Run a program as a child process of this one: what :func:`start` does outside the grader."""
    return _LocalProgram(command, files)


_launchers: list[Launcher] = [local_program]  # the last one is used


def launch_with(launcher: Launcher) -> None:
    """Have :func:`start` use ``launcher`` in this process from here on; the grader does so."""
    _launchers.append(launcher)


def start(command: Sequence[str], *, files: Mapping[str, str | bytes]) -> Program:
    """Start a program that somebody handed in.

    Parameters
    ----------
    command
        The program and its arguments. It begins in a folder that holds ``files`` and nothing else.
    files
        Contents by relative path.

    Raises
    ------
    CourseError
        A path of ``files`` leaves the folder, or there is no command.
    EngineError
        The program cannot be started.
    """
    if not command:
        raise CourseError("There is no command to run.", expected="a program and its arguments")
    for name in files:
        require_relative(name)
    return _launchers[-1]([str(part) for part in command], files)


def require_relative(name: str) -> None:
    """Check that a file name stays below the folder it is put in.

    Raises
    ------
    CourseError
        It is absolute, empty, or climbs out.
    """
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise CourseError(
            f"The file {name!r} would lie outside the program's folder.", expected="a relative path without '..'"
        )


def wait(program: Program, timeout: float) -> int:
    """Wait for the end of ``program`` and return its exit code.

    Raises
    ------
    TimeoutError
        It still runs after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while (code := program.poll()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"The program still runs after {timeout:g} s.")
        time.sleep(0.005)
    return code
