"""The sandbox of one program that a learner wrote: namespaces of its own, and the keeper that answers for it.

    judge ──start: command, files──► session's first process ──fork──► keeper ──fork──► init ──exec──► program
      ▲                                                                  │  (process 1 of the box)
      └───────────── poll, signal, connect; no memory, no folder ────────┘

The keeper lives in the box's network and mounts but outside its process namespace: the program can't see it. Init is
process 1 of the box, so the kernel ends everything in there with it; its memory is closed (`syscalls.hide_memory`).
Nothing of the box is shared with the judge, the learner's process or the next box: ``/box``, ``/tmp``, the home folder
and the loopback interface are new. What runs here may be hostile; the judge takes an exit code, sockets and text.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import select
import signal
import socket
import tarfile
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from autograder.sandbox.isolation import confine, syscalls, usage
from autograder.sandbox.messages import (
    TO_KEEPER,
    Dialled,
    DialProgram,
    Message,
    PollProgram,
    ProgramState,
    SignalProgram,
    StartProgram,
)
from autograder.sandbox.rpc.framing import Closed, recv_message, send_message
from course_lib.errors import EngineError

__all__ = ["BoxedProgram", "keep"]

_LIMITS = {"memory_mb": 512, "processes": 32, "cpu_seconds": 60, "file_mb": 64}
_DISK_MB = 64
_MOST_OUTPUT = 1 << 20
_LOOK_EVERY = 0.1
_KEPT_VARIABLES = ("PATH", "LANG", "TZ", "HOME", "TMPDIR", "PYTHONDONTWRITEBYTECODE")


class BoxedProgram:
    """A program in its box, as the judge holds it: see :class:`course_lib.programs.Program`."""

    def __init__(
        self, requests: socket.socket, lock: threading.Lock, command: Sequence[str], files: Mapping[str, str | bytes]
    ) -> None:
        self._lock = threading.Lock()
        self._code: int | None = None
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        job = _memory_file(json.dumps(list(command)).encode())
        archive = _memory_file(_packed(files))
        self._output = _memory_file(b"")
        try:
            with lock:
                send_message(requests, StartProgram(), [theirs.fileno(), job, archive, self._output])
            theirs.close()
            state, _ = recv_message(self._control, ProgramState)
        except Closed:
            state = ProgramState(code=None, why="its sandbox could not be built")
        finally:
            theirs.close()
            os.close(job)
            os.close(archive)
        if state.why:
            self.close()
            raise EngineError(f"The program could not be started: {state.why}.", expected=f"{command[0]!r}")

    def _ask(self, question: Message) -> tuple[ProgramState | Dialled, list[int]]:
        with self._lock:
            try:
                send_message(self._control, question)
                return recv_message(self._control, ProgramState, Dialled)
            except Closed:  # whoever ends the keeper ends the box
                return ProgramState(code=-signal.SIGKILL), []

    def poll(self) -> int | None:
        """Return the exit code; ``None`` while it runs."""
        if self._code is None:
            state, _ = self._ask(PollProgram())
            self._code = state.code if isinstance(state, ProgramState) else None
        return self._code

    def send_signal(self, number: int) -> None:
        """Send a signal to the program."""
        self._ask(SignalProgram(number=int(number)))

    def connect(self, port: int, *, timeout: float) -> socket.socket:
        """Return a connection that was made inside the box."""
        answer, fds = self._ask(DialProgram(port=port))
        if not fds:
            number = answer.errno if isinstance(answer, Dialled) else errno.ECONNREFUSED
            raise OSError(number, os.strerror(number))
        connection = socket.socket(fileno=fds[0])
        connection.settimeout(timeout)
        return connection

    def output(self) -> str:
        """Return the first megabyte of what it printed."""
        return os.pread(self._output, _MOST_OUTPUT, 0).decode(errors="replace")

    def close(self) -> None:
        """End the box and wait until nothing of it is left."""
        with self._lock:
            if self._output < 0:
                return
            with contextlib.suppress(OSError):
                self._control.shutdown(socket.SHUT_WR)
                self._control.settimeout(20)
                while self._control.recv(1 << 16):  # the keeper hangs up last
                    pass
            self._control.close()
            os.close(self._output)
            self._output = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _memory_file(data: bytes) -> int:
    fd = os.memfd_create("program")
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(data)
    return fd


def _packed(files: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            data = content.encode(errors="surrogatepass") if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


# ── the other end: a child of the session's first process ──────────────────────────────────────────────────────────


def keep(control: socket.socket, job: int, archive: int, output: int) -> None:
    """Build a box around the program, run it, and answer for it until the judge hangs up. Does not return."""
    os.setsid()
    try:
        command = json.loads(os.pread(job, 1 << 24, 0))
        confine.enter_program_box(disk_mb=_DISK_MB)
        _unpack(archive)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        syscalls.unshare(syscalls.CLONE_NEWPID)
        init = os.fork()
        if not init:
            try:
                for fd in (control.fileno(), ours.fileno(), job, archive):
                    os.close(fd)
                _be_init(theirs, output, command)
            finally:
                os._exit(70)
        theirs.close()
        started, _ = recv_message(ours, ProgramState)
    except (OSError, ValueError) as error:
        with contextlib.suppress(Closed):
            send_message(control, ProgramState(code=None, why=str(error) or "its sandbox could not be built"))
        os._exit(1)
    with contextlib.suppress(Closed):
        send_message(control, started)
        _answer(control, ours, init)
    os.kill(init, signal.SIGKILL)
    os.waitpid(init, 0)
    os._exit(0)


def _unpack(archive: int) -> None:
    os.lseek(archive, 0, os.SEEK_SET)
    with os.fdopen(os.dup(archive), "rb") as file, tarfile.open(fileobj=file) as members:
        options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        members.extractall(".", **options)  # noqa: S202 - packed by the judge


def _answer(control: socket.socket, init: socket.socket, pid: int) -> None:
    code: int | None = None
    while True:
        ready, _, _ = select.select([control, init] if code is None else [control], [], [], _LOOK_EVERY)
        if init in ready:
            try:
                code = recv_message(init, ProgramState)[0].code
            except Closed:
                code = -signal.SIGKILL
        elif not ready and code is None and _uses_too_much(pid):
            os.kill(pid, signal.SIGKILL)
        if control in ready:
            question, _ = recv_message(control, *TO_KEEPER)
            match question:
                case DialProgram():
                    _dial(control, question.port)
                    continue
                case SignalProgram() if code is None:
                    with contextlib.suppress(Closed):
                        send_message(init, question)
            send_message(control, ProgramState(code=code))


def _dial(control: socket.socket, port: int) -> None:
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with connection:
        connection.settimeout(1)  # on a loopback interface it is accepted or refused at once, unless the queue is full
        try:
            connection.connect(("127.0.0.1", port))
        except OSError as error:
            send_message(control, Dialled(errno=error.errno or errno.ETIMEDOUT))
            return
        connection.settimeout(None)
        send_message(control, Dialled(errno=0), [connection.fileno()])


def _uses_too_much(pid: int) -> bool:
    used = usage.usage(pid, baseline_mb=0.0, alarm_mb=_LIMITS["memory_mb"])
    return used.memory_mb > 2 * _LIMITS["memory_mb"] or used.cpu_seconds > _LIMITS["cpu_seconds"]


def _be_init(control: socket.socket, output: int, command: list[str]) -> None:
    """Be process 1 of the box: start the program, pass signals on, reap, and say how it ended."""
    confine.wall_in_program()
    refused, failure = os.pipe()
    program = os.fork()
    if not program:
        try:
            _execute(command, output)
        except BaseException as error:
            os.write(failure, f"{error}".encode())
        finally:
            os._exit(127)
    os.close(failure)
    os.close(output)
    why = os.read(refused, 4096).decode()
    send_message(control, ProgramState(code=None, why=why))
    handle = os.pidfd_open(program)
    alive = True
    while True:
        sources: list[socket.socket | int] = [control, handle] if alive else [control]
        ready, _, _ = select.select(sources, [], [], None if alive else 0.2)
        if handle in ready:
            _, status = os.waitpid(program, 0)
            alive = False
            send_message(control, ProgramState(code=os.waitstatus_to_exitcode(status)))
        if control in ready:
            number = recv_message(control, SignalProgram)[0].number  # raises when the keeper is gone: the box ends
            if alive:
                os.kill(program, number)
        with contextlib.suppress(ChildProcessError):
            while (gone := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and gone.si_pid != program:
                os.waitpid(gone.si_pid, 0)


def _execute(command: list[str], output: int) -> None:
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    os.setsid()
    confine.limit(_LIMITS, walls=True, after_exec=True)
    confine.set_streams(output, output)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(command[0], command, environment)
