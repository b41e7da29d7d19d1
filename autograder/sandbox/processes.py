"""Process management of one submission, from the grader's side: start, tell, wait, interrupt, kill, clean up."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from autograder.sandbox.errors import ExecutionError
from autograder.sandbox.forkserver import ForkServer
from autograder.sandbox.isolation import usage
from autograder.sandbox.messages import (
    FROM_JUDGE,
    FROM_LEARNER,
    Answer,
    Command,
    Connect,
    Done,
    Ended,
    Malformed,
    Role,
    Spawn,
    Stop,
)
from autograder.sandbox.model import Limits, Plan, Stopped
from autograder.sandbox.rpc.framing import Closed
from autograder.sandbox.session import Session, Spawned
from autograder.sandbox.snapshots import Snapshot
from autograder.sandbox.streams import Frames, Output

__all__ = ["Dead", "Overdue", "SubmissionProcesses"]

_START_SECONDS = 30.0
_END_SECONDS = 20.0
_TICK = 0.05
_LOOK_EVERY = 0.1  # seconds between two looks at what the tree uses
_JUDGE_EXTRA_MB = 1024
_JUDGE_PROCESSES = 256
_JUDGE_FILE_MB = 256

A = TypeVar("A", bound=Answer)


class Dead(Exception):
    """A process has ended. ``final`` when there is no point in starting another."""

    def __init__(self, role: Role, why: Stopped, *, final: bool = False) -> None:
        super().__init__(f"{role.value} ended: {why}")
        self.role, self.why, self.final = role, why, final


class Overdue(Exception):
    """No answer came in time."""


class _Process:
    """One forked process: the socket to it, and what it has used."""

    def __init__(self, spawned: Spawned, *accepted: type[Answer]) -> None:
        self.control = spawned.control
        self.pid = spawned.pid
        self.pidfd = os.pidfd_open(spawned.pid)
        self.group = spawned.group
        self.frames = Frames(*accepted)
        self.baseline_mb = usage.resident_mb(spawned.pid)
        self.peak_mb = 0.0

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(self.pidfd, number)

    def close(self) -> None:
        self.control.close()
        os.close(self.pidfd)


class SubmissionProcesses:
    """A session with its judge and its learner's process."""

    def __init__(
        self,
        forkserver: ForkServer,
        limits: Limits,
        plan: Plan,
        folders: Mapping[str, str],
        snapshot: Snapshot | None,
    ) -> None:
        self._walls = forkserver.walls
        self._limits = limits
        self._processes: dict[Role, _Process] = {}
        self._peers: list[socket.socket] = []  # one end each of the connections of the learner's processes to the judge
        self._number = 0
        self._asked: dict[Role, int] = {}
        self._statuses: dict[Role, int] = {}
        self._killed: dict[Role, Stopped] = {}
        self._looked = 0.0
        self.ended: Dead | None = None  # the learner's process, if it has
        self._output = Output(limits)
        parent = snapshot.session if snapshot is not None else None
        if snapshot is not None and parent is None:
            raise ExecutionError("The snapshot was retired while a submission was about to start.")
        self._session = Session(
            forkserver, disk_mb=limits.disk_mb, folders=folders, snapshot=parent, helpers=plan.helpers
        )
        try:
            self._session.wait_until_ready()
            self._session.send_files(plan.files)
            judge, learner = self._spawn_judge(), self._spawn_learner()  # they build their walls side by side
            self._processes[Role.JUDGE] = _Process(judge(), *FROM_JUDGE)
            self._connect(learner())
        except BaseException:
            self.close()
            raise

    # starting ----------------------------------------------------------------------------------------------------
    def _spawn_judge(self) -> Callable[[], Spawned]:
        pairs = [socket.socketpair() for _ in range(self._limits.restarts + 1)]
        self._peers = [theirs for _, theirs in pairs]
        null = os.open(os.devnull, os.O_WRONLY)
        limits = replace(
            self._limits,
            memory_mb=self._limits.memory_mb + _JUDGE_EXTRA_MB,
            processes=_JUDGE_PROCESSES,
            file_mb=max(self._limits.file_mb, _JUDGE_FILE_MB),
        )
        try:
            return self._session.spawn(
                Spawn(role=Role.JUDGE, limits=limits), [null, null, *[ours.fileno() for ours, _ in pairs]]
            )
        finally:
            os.close(null)
            for ours, _ in pairs:
                ours.close()

    def start_learner(self) -> None:
        """Start the learner's process (again) and connect the judge to it."""
        old = self._processes.pop(Role.LEARNER, None)
        if old is not None:
            self._await_status(Role.LEARNER)
            old.close()
        self.ended = None
        self._killed.pop(Role.LEARNER, None)
        self._statuses.pop(Role.LEARNER, None)
        self._connect(self._spawn_learner()())

    def _spawn_learner(self) -> Callable[[], Spawned]:
        peer = self._peers.pop(0)
        out, err = self._output.open()
        try:
            return self._session.spawn(Spawn(role=Role.LEARNER, limits=self._limits), [out, err, peer.fileno()])
        finally:
            for fd in (out, err):
                os.close(fd)
            peer.close()

    def _connect(self, spawned: Spawned) -> None:
        self._processes[Role.LEARNER] = _Process(spawned, *FROM_LEARNER)
        self.tell(Role.JUDGE, Connect())
        self.reply(Role.JUDGE, Done, time.monotonic() + _START_SECONDS)

    # talking -----------------------------------------------------------------------------------------------------
    def tell(self, role: Role, message: Command) -> None:
        """Send a command; `reply` waits for what comes of it."""
        self._number += 1
        self._asked[role] = self._number
        data = Frames.frame(replace(message, question=self._number))
        process = self._processes[role]
        process.control.settimeout(10.0)  # a process that doesn't read is as good as dead
        try:
            process.control.sendall(data)
        except OSError:
            raise self._death(role) from None
        finally:
            process.control.settimeout(None)

    def reply(self, role: Role, kind: type[A], deadline: float) -> A:
        """Return the answer to the last command for ``role``, which is of this ``kind``; keep watch meanwhile.

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
            sources = [process.control, self._session, *self._output.fds()]
            ready, _, _ = select.select(sources, [], [], max(min(left, _TICK), 0))  # type: ignore[type-var]
            self._output.read(ready)
            if self._session in ready:
                self._read_session()
            if process.control in ready:
                answer = self._read(role, process, kind)
                if answer is not None:
                    self._output.drain()
                    return answer
            self._look()
            if left <= 0:
                raise Overdue

    def _read(self, role: Role, process: _Process, kind: type[A]) -> A | None:
        try:
            data = process.control.recv(1 << 18)
            if not data:
                raise Closed("end of stream")
            for answer in process.frames.feed(data):
                if answer.question == self._asked[role]:
                    if not isinstance(answer, kind):
                        raise Malformed(f"{type(answer).__name__} does not answer what was asked")
                    return answer
        except (Closed, Malformed, OSError):
            raise self._death(role) from None
        return None

    def _read_session(self, deadline: float = 0.0) -> None:
        try:
            message = self._session.receive(deadline)
        except Closed as error:
            raise self._session.error("The supervisor of a submission is gone.") from error
        if isinstance(message, Ended):
            self._statuses[message.role] = message.status
        elif message is not None:
            raise self._session.error("A step of starting a submission failed.", message)

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
            self._session.send(Stop(role=role))
        if role is Role.LEARNER:
            self.ended = Dead(role, self._killed[role])

    def expect_end(self) -> None:
        """Find out why the learner's process hung up; end it if it hasn't ended."""
        if self.ended is None:
            self._death(Role.LEARNER)

    def _death(self, role: Role) -> Dead:
        """Return why ``role`` is gone; make sure that it is."""
        status = self._await_status(role, 1.0)
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

    def _await_status(self, role: Role, seconds: float = _END_SECONDS) -> int | None:
        deadline = time.monotonic() + seconds
        while role not in self._statuses and time.monotonic() < deadline:
            self._read_session(deadline)
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
        root = (usage.parent_of(process.pid) if self._walls else 0) or process.pid
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
        for peer in self._peers:
            peer.close()
        self._output.close()
        self._session.close()
        return peak
