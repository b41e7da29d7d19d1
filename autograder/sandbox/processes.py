"""The processes of one submission, as the grader holds them: start, tell, wait, interrupt, kill, and clean up."""

from __future__ import annotations

import contextlib
import enum
import os
import select
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from autograder.sandbox.errors import ExecutionError
from autograder.sandbox.forkserver import ForkServer, as_archive, as_memory_file
from autograder.sandbox.isolation import cgroups, usage
from autograder.sandbox.model import Limits, Stopped
from autograder.sandbox.rpc.framing import Closed, Malformed, peer_pid, recv_message, send_message
from autograder.sandbox.snapshots import Snapshot
from autograder.sandbox.streams import Frames, Output

__all__ = ["Dead", "Overdue", "Role", "SubmissionProcesses"]

_START_SECONDS = 30.0
_END_SECONDS = 20.0
_TICK = 0.05
_LOOK_EVERY = 0.1  # seconds between two looks at what the tree uses
_TWIN_EXTRA_MB = 1024
_TWIN_PROCESSES = 256


class Role(enum.Enum):
    """Which process of a submission."""

    LEARNER = "learner"
    TWIN = "twin"


class Dead(Exception):
    """A process has ended. ``final`` when there is no point in starting another."""

    def __init__(self, role: Role, why: Stopped, *, final: bool = False) -> None:
        super().__init__(f"{role.value} ended: {why}")
        self.role, self.why, self.final = role, why, final


class Overdue(Exception):
    """No answer came in time."""


class _Process:
    """One forked process and the socket to it."""

    def __init__(self, control: socket.socket, pid: int, group: cgroups.Group | None) -> None:
        self.control = control
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.group = group
        self.frames = Frames()
        self.baseline_mb = usage.resident_mb(pid)
        self.peak_mb = 0.0

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(self.pidfd, number)

    def close(self) -> None:
        self.control.close()
        os.close(self.pidfd)


class SubmissionProcesses:
    """A session with its twin and its learner's process."""

    def __init__(
        self,
        forkserver: ForkServer,
        limits: Limits,
        files: Mapping[str, bytes],
        places: Mapping[str, str],
        prefix: Snapshot | None,
    ) -> None:
        self._forkserver = forkserver
        self._limits = limits
        self._limits_sent = asdict(limits)
        self._groups: list[cgroups.Group] = []
        self._processes: dict[Role, _Process] = {}
        self._number = 0
        self._asked: dict[Role, int] = {}
        self._statuses: dict[str, int] = {}
        self._killed: dict[Role, Stopped] = {}
        self._peak = 0.0
        self._looked = 0.0
        self.ended: Dead | None = None  # the learner's process, if it has
        self._output = Output(limits)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lifeline, end = os.pipe()
        try:
            message = {"op": "session", "disk_mb": limits.disk_mb, **places}
            forkserver.fork(message, [theirs.fileno(), end], host=prefix.control if prefix else None)
        except Closed as error:
            self._control.close()
            os.close(self._lifeline)
            raise ExecutionError(f"The warm process is gone ({error}).", next_step="open a new engine") from error
        finally:
            theirs.close()
            os.close(end)
        try:
            self._expect("ready")
            if files and not prefix:
                self._send_files(files)
            self._start_twin()
            self.start_learner()
        except BaseException:
            self.close()
            raise

    # starting ----------------------------------------------------------------------------------------------------
    def _send_files(self, files: Mapping[str, bytes]) -> None:
        fd = as_memory_file(as_archive(files))
        send_message(self._control, {"op": "files"}, [fd])
        os.close(fd)

    def _start_twin(self) -> None:
        pairs = [socket.socketpair() for _ in range(self._limits.restarts + 1)]
        self._peers = [theirs for _, theirs in pairs]
        null = os.open(os.devnull, os.O_WRONLY)
        limits = self._limits_sent | {
            "memory_mb": self._limits.memory_mb + _TWIN_EXTRA_MB,
            "file_mb": max(self._limits.file_mb, 256),
        }
        try:
            self._spawn(Role.TWIN, limits, null, null, [ours.fileno() for ours, _ in pairs])
        finally:
            os.close(null)
            for ours, _ in pairs:
                ours.close()

    def start_learner(self) -> None:
        """Start the learner's process (again) and connect the twin to it."""
        old = self._processes.pop(Role.LEARNER, None)
        if old is not None:
            self._await_status("learner")
            old.close()
        self.ended = None
        self._killed.pop(Role.LEARNER, None)
        self._statuses.pop("learner", None)
        peer = self._peers.pop(0)
        out, err = self._output.open()
        try:
            self._spawn(Role.LEARNER, self._limits_sent, out, err, [peer.fileno()])
        finally:
            for fd in (out, err):
                os.close(fd)
            peer.close()
        self.tell(Role.TWIN, {"op": "connect"})
        self.reply(Role.TWIN, time.monotonic() + _START_SECONDS)

    def _spawn(self, role: Role, limits: dict[str, Any], out: int, err: int, others: list[int]) -> None:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        ours.settimeout(_START_SECONDS)
        send_message(
            self._control, {"op": "spawn", "role": role.value, "limits": limits}, [theirs.fileno(), out, err, *others]
        )
        theirs.close()
        try:
            pid = peer_pid(ours)
        except (Closed, OSError) as error:
            ours.close()
            raise ExecutionError(
                f"The {role.value}'s process did not start ({error}).", next_step=self._forkserver.stderr_tail()
            ) from error
        group = None
        if self._forkserver.walls and os.getuid() == 0:
            extra = role is Role.TWIN
            processes = _TWIN_PROCESSES if extra else self._limits.processes
            group = cgroups.make_group(memory_mb=limits["memory_mb"], processes=processes)
        if group is not None:
            self._groups.append(group)
            group.add(pid)
        self._processes[role] = _Process(ours, pid, group)
        ours.settimeout(None)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        ours.sendall(b"g")

    def _expect(self, op: str) -> dict[str, Any]:
        deadline = time.monotonic() + _START_SECONDS
        while select.select([self._control], [], [], max(deadline - time.monotonic(), 0))[0]:
            try:
                message, _, _ = recv_message(self._control)
            except Closed:
                break
            if message["op"] == op:
                return message
            self._note(message)
        raise ExecutionError(
            "The walls around a submission could not be built.", next_step=self._forkserver.stderr_tail()
        )

    # talking -----------------------------------------------------------------------------------------------------
    def tell(self, role: Role, message: dict[str, Any]) -> None:
        """Send a command; `reply` waits for what comes of it."""
        self._number += 1
        self._asked[role] = self._number
        data = Frames.frame({**message, "n": self._number})
        process = self._processes[role]
        process.control.settimeout(10.0)  # a process that doesn't read is as good as dead
        try:
            process.control.sendall(data)
        except OSError:
            raise self._death(role) from None
        finally:
            process.control.settimeout(None)

    def reply(self, role: Role, deadline: float) -> dict[str, Any]:
        """Return the answer to the last command for ``role``; keep watch meanwhile.

        Raises
        ------
        Overdue
            At ``deadline`` (monotonic seconds).
        Dead
            If the process ended instead.
        """
        process = self._processes[role]
        while True:
            left = deadline - time.monotonic()
            sources = [process.control, self._control, *self._output.fds()]
            ready, _, _ = select.select(sources, [], [], max(min(left, _TICK), 0))  # type: ignore[type-var]
            self._output.read(ready)
            if self._control in ready:
                self._read_host()
            if process.control in ready:
                answer = self._read(role, process)
                if answer is not None:
                    self._output.drain()
                    return answer
            self._look()
            if left <= 0:
                raise Overdue

    def _read(self, role: Role, process: _Process) -> dict[str, Any] | None:
        try:
            data = process.control.recv(1 << 18)
            if not data:
                raise Closed("end of stream")
            for answer in process.frames.feed(data):
                if answer.get("n") == self._asked[role]:
                    return answer
        except (Closed, Malformed, OSError):
            raise self._death(role) from None
        return None

    def _read_host(self) -> None:
        try:
            self._note(recv_message(self._control)[0])
        except Closed as error:
            raise ExecutionError(
                "The supervisor of a submission is gone.", next_step=self._forkserver.stderr_tail()
            ) from error

    def _note(self, message: dict[str, Any]) -> None:
        if message["op"] == "ended":
            self._statuses[message["role"]] = message["status"]
        elif message["op"] == "failed":
            raise ExecutionError(
                f"A step of starting a submission failed: {message['what']}: {message['why']}",
                next_step=self._forkserver.stderr_tail(),
            )

    def output(self) -> tuple[str, str]:
        """Return what the learner's process printed since the last call (standard output, standard error)."""
        return self._output.take()

    # stopping ----------------------------------------------------------------------------------------------------
    def interrupt(self, role: Role) -> None:
        """Raise ``KeyboardInterrupt`` in the process."""
        if role in self._processes:
            self._processes[role].signal(signal.SIGINT)

    def kill(self, role: Role, why: Stopped) -> None:
        """End a process and everything below it, now."""
        self._killed.setdefault(role, why)
        self._processes[role].signal(signal.SIGKILL)
        with contextlib.suppress(Closed):
            send_message(self._control, {"op": "stop", "role": role.value})
        if role is Role.LEARNER:
            self.ended = Dead(role, self._killed[role])

    def expect_end(self) -> None:
        """Find out why the learner's process hung up; end it if it hasn't ended."""
        if self.ended is None:
            self._death(Role.LEARNER)

    def _death(self, role: Role) -> Dead:
        """Return why ``role`` is gone; make sure that it is."""
        status = self._await_status(role.value, 1.0)
        if role not in self._killed:
            self._killed[role] = self._why(role, status)
        if status is None:
            self.kill(role, self._killed[role])
        death = Dead(role, self._killed[role])
        if role is Role.LEARNER:
            self.ended = death
        return death

    def _why(self, role: Role, status: int | None) -> Stopped:
        group = self._processes[role].group
        if group is not None and group.out_of_memory():
            return "memory"
        if status in (128 + signal.SIGXCPU, -signal.SIGXCPU):
            return "time"
        return "exit" if role is Role.LEARNER else "grader"

    def _await_status(self, role: str, seconds: float = _END_SECONDS) -> int | None:
        deadline = time.monotonic() + seconds
        while role not in self._statuses and (left := deadline - time.monotonic()) > 0:
            if select.select([self._control], [], [], left)[0]:
                self._read_host()
        return self._statuses.get(role)

    def _look(self) -> None:
        """Compare what the learner's process tree uses with its limits."""
        now = time.monotonic()
        process = self._processes.get(Role.LEARNER)
        if process is None or self.ended is not None or now - self._looked < _LOOK_EVERY:
            return
        self._looked = now
        limits = self._limits
        if self._output.flooded:
            self.kill(Role.LEARNER, "output")
            return
        if process.group is not None and process.group.out_of_memory():
            self.kill(Role.LEARNER, "memory")
            return
        root = (usage.parent_of(process.pid) if self._forkserver.walls else 0) or process.pid
        used = usage.usage(root, baseline_mb=process.baseline_mb, alarm_mb=limits.memory_mb)
        process.peak_mb = max(process.peak_mb, used.memory_mb)
        if used.memory_mb > limits.memory_mb:
            self.kill(Role.LEARNER, "memory")
        elif used.cpu_seconds > limits.cpu_seconds:
            self.kill(Role.LEARNER, "time")
        elif used.processes > limits.processes + 4:
            self.kill(Role.LEARNER, "processes")

    def close(self) -> float:
        """End everything of the session and wait until nothing is left; return the learner's peak memory in MB."""
        peak = max(
            (p.group.peak_mb() if p.group else p.peak_mb for r, p in self._processes.items() if r is Role.LEARNER),
            default=0.0,
        )
        for process in self._processes.values():
            process.signal(signal.SIGKILL)
            process.close()
        self._processes.clear()
        self._control.close()
        self._output.close()
        for peer in getattr(self, "_peers", []):
            peer.close()
        select.select([self._lifeline], [], [], _END_SECONDS)
        os.close(self._lifeline)
        for group in self._groups:
            group.remove()
        return peak
