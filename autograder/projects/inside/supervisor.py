"""Supervisor: the trusted process inside a project's sandbox, which starts commands and sends requests.

The grader sends one JSON message a line, and it answers each with one line. Commands of the learner run
as notebooks do (:mod:`autograder.sandbox.isolation.confine`): in process, mount and user namespaces of their own,
below a filter for system calls, with limits. They share the supervisor's loopback network, so its probes can ask a
server that they start, and they can neither see nor signal it.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import multiprocessing
import os
import select
import shutil
import signal
import stat
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from autograder.projects.inside import probes
from autograder.sandbox.isolation import confine, syscalls
from autograder.sandbox.isolation.forked import exit_code, fatal, reap_until
from course_lib.archives import unpack

__all__ = ["main"]

_TAIL = 200_000  # bytes kept of what a command printed
_TICK = 0.02
_MAX_FILES = 5_000


class LearnerCommand:
    """A command of the learner: the process outside its walls that stands for it, and what it prints."""

    def __init__(self, argv: Sequence[str], cwd: str, env: Mapping[str, str], limits: Mapping[str, Any]) -> None:
        self._out = os.memfd_create("output")
        self._status: int | None = None
        self.pid = os.fork()
        if not self.pid:
            with fatal(127):
                self._become(argv, cwd, env, limits)

    def _become(self, argv: Sequence[str], cwd: str, env: Mapping[str, str], limits: Mapping[str, Any]) -> None:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (self._out, 1), (self._out, 2)):
            os.dup2(source, target)
        os.closerange(3, 1024)
        confine.wall_in_learner()
        confine.limit(limits, walls=True)
        _become_init()
        os.chdir(cwd)
        os.execvpe(argv[0], list(argv), dict(env))  # noqa: S606 - this is what a sandbox is for

    def poll(self) -> int | None:
        """Return the exit status, ``None`` while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = exit_code(status)
        return self._status

    def wait(self, seconds: float) -> int | None:
        """Return the exit status, ``None`` if it still runs after ``seconds``."""
        end = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < end:
            time.sleep(_TICK)
        return self.poll()

    def terminate(self) -> None:
        """Ask the command to end: process 1 inside its walls passes the signal on."""
        for child in _children(self.pid):
            _kill(child, signal.SIGTERM)

    def kill(self) -> None:
        """End the command and everything it left behind: its process namespace ends with it."""
        if self.poll() is None:
            _kill(self.pid, signal.SIGKILL)
            self.wait(20)

    def output(self) -> str:
        """Return the end of what it printed."""
        size = os.fstat(self._out).st_size
        return os.pread(self._out, _TAIL, max(size - _TAIL, 0)).decode(errors="replace")

    def close(self) -> None:
        """Forget the output."""
        os.close(self._out)


def _become_init() -> None:
    """Fork: the parent stays process 1 of its namespace and reaps orphans; the child returns and runs the command."""
    child = os.fork()
    if not child:
        return
    signal.signal(signal.SIGTERM, lambda *_: _kill(child, signal.SIGTERM))
    os.closerange(0, 16)
    os._exit(reap_until(child))


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


class Supervisor:
    """Supervisor of the sandbox: carries out the grader's messages, one after the other."""

    def __init__(self, limits: Mapping[str, Any]) -> None:
        self._limits = limits
        self._processes: dict[int, LearnerCommand] = {}
        self._number = 0

    def serve(self) -> None:
        """Read messages from standard input until the grader hangs up."""
        for line in sys.stdin.buffer:
            message = json.loads(line)
            try:
                answer = getattr(self, "do_" + message.pop("op"))(**message)
            except Exception as error:  # the grader must hear why
                answer = {"failed": f"{type(error).__name__}: {error}"}
            sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
            sys.stdout.buffer.flush()

    def do_put(self, to: str, tar: str, *, programs: bool) -> dict[str, Any]:
        """Unpack files below the folder ``to``, as programs if they are."""
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(tar))) as archive:
            unpack(archive, to)
            for name in archive.getnames() if programs else ():
                (Path(to) / name).chmod(0o755)
        return {}

    def do_remove(self, path: str) -> dict[str, Any]:
        """Remove a file or a folder, whether it is there or not."""
        place = Path(path)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)
        return {}

    def do_get(self, path: str, most: int) -> dict[str, Any]:
        """Return the bytes of a plain file of at most ``most`` bytes; nothing of anything else."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError:
            return {}
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_size > most:
                return {}
            return {"data": base64.b64encode(file.read()).decode()}

    def do_list(self, path: str) -> dict[str, Any]:
        """Return the plain files below a folder with their sizes, by path."""
        found: dict[str, int] = {}
        for folder, _, names in os.walk(path):
            for name in names:
                place = Path(folder) / name
                with contextlib.suppress(OSError):
                    if place.is_file() and not place.is_symlink():
                        found[str(place.relative_to(path))] = place.stat().st_size
            if len(found) > _MAX_FILES:
                break
        return {"files": dict(sorted(found.items()))}

    def do_start(self, argv: list[str], cwd: str, env: dict[str, str]) -> dict[str, Any]:
        """Start a command."""
        self._number += 1
        self._processes[self._number] = LearnerCommand(argv, cwd, env, self._limits)
        return {"id": self._number}

    def do_wait(self, id: int, seconds: float) -> dict[str, Any]:  # noqa: A002 - the message's word
        """Wait until a command ends, and forget it; after ``seconds`` end it."""
        process, started = self._processes[id], time.monotonic()
        code = process.wait(seconds)
        if code is None:
            process.kill()
        return {**self._forget(id), "overdue": code is None, "seconds": time.monotonic() - started}

    def do_alive(self, id: int) -> dict[str, Any]:  # noqa: A002
        """Return whether a command still runs, and what it printed so far."""
        return {"alive": self._processes[id].poll() is None, "out": self._processes[id].output()}

    def do_stop(self, id: int, grace: float) -> dict[str, Any]:  # noqa: A002
        """Ask a command to end; after ``grace`` seconds end it."""
        process, started = self._processes[id], time.monotonic()
        ended_before = process.poll() is not None
        process.terminate()
        code = process.wait(grace)
        process.kill()
        outcome = {"ended_before": ended_before, "forced": code is None, "seconds": time.monotonic() - started}
        return {**self._forget(id), **outcome}

    def _forget(self, number: int) -> dict[str, Any]:
        process = self._processes.pop(number)
        ended = {"code": process.poll(), "out": process.output()}
        process.close()
        return ended

    def do_probe(self, what: str, within: float, options: dict[str, Any]) -> dict[str, Any]:
        """Run one of :data:`autograder.projects.inside.probes.PROBES` in a process of its own."""
        context = multiprocessing.get_context("fork")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_run_probe, args=(what, options, sender))
        process.start()
        sender.close()
        try:
            return dict(json.loads(receiver.recv_bytes() if receiver.poll(within) else b""))
        except (EOFError, ValueError):
            return {"failed": f"no result after {within:.0f} s"}
        finally:
            receiver.close()
            process.kill()
            process.join()


def _run_probe(what: str, options: Mapping[str, Any], sender: Connection) -> None:
    syscalls.die_with_parent()
    sender.send_bytes(json.dumps(probes.PROBES[what](**options)).encode())


def _reap_as_init(child: int) -> None:
    """As process 1, reap what ends; end with everything inside once the supervisor has, or the grader has hung up."""
    grader = select.poll()
    grader.register(0, 0)  # hang-ups only: what comes in is the supervisor's to read
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            os._exit(min(abs(os.waitstatus_to_exitcode(status)), 255))
        if not pid and grader.poll(100):
            os._exit(0)


def main() -> None:
    """Build the session that the JSON argument describes, and serve; process 1 waits and reaps."""
    settings = json.loads(sys.argv[1])
    child = os.fork()
    if child:
        _reap_as_init(child)
    syscalls.die_with_parent()
    confine.enter_session(disk_mb=settings["limits"]["disk_mb"])
    confine.private_folders()
    sys.stdout.buffer.write(b'{"ready": true}\n')
    sys.stdout.buffer.flush()
    Supervisor(settings["limits"]).serve()


if __name__ == "__main__":
    main()
