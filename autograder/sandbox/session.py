"""Session of the forkserver as the grader holds it: a small process that forks those of one submission or kernel.

Everything that is started here is below the session's process and ends with it. To add a kind of process, give it a
`Role`, have :mod:`autograder.sandbox.inside.forkserver` wall it in, and spawn it.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from autograder.sandbox.errors import ExecutionError
from autograder.sandbox.forkserver import ForkServer, as_archive, as_memory_file
from autograder.sandbox.isolation import cgroups
from autograder.sandbox.messages import FROM_SESSION, Failed, Files, ForkSession, Message, SessionReady, Spawn
from autograder.sandbox.rpc.framing import Closed, peer_pid, recv_message, send_message

__all__ = ["Session", "Spawned"]

_START_SECONDS = 60.0
_END_SECONDS = 20.0


@dataclass(frozen=True)
class Spawned:
    """A forked process: its id as seen from here, the socket to it, and its control group if it has one."""

    pid: int
    control: socket.socket
    group: cgroups.Group | None


class Session:
    """One session. Close it to end all its processes.

    Parameters
    ----------
    forkserver
        Forks it.
    disk_mb
        Size of its work folder and ``/tmp`` together.
    folders
        Where it has no walls: its folders ``work``, ``tmp`` and ``home``.
    snapshot
        The session of a snapshot to go on from.
    helpers
        The name of the folder with the course's own files.

    Raises
    ------
    ExecutionError
        If there is nothing left to be forked.
    """

    def __init__(
        self,
        forkserver: ForkServer,
        *,
        disk_mb: int,
        folders: Mapping[str, str] | None = None,
        snapshot: Session | None = None,
        helpers: str = "",
    ) -> None:
        self._forkserver = forkserver
        self._groups: list[cgroups.Group] = []
        self._starting: set[socket.socket] = set()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lifeline, end = os.pipe()  # the kernel closes the other end when nothing of the session is left
        message = ForkSession(disk_mb=disk_mb, helpers=forkserver.helpers_at(helpers), **(folders or {}))
        try:
            forkserver.fork(message, [theirs.fileno(), end], snapshot=snapshot._control if snapshot else None)
        except Closed as error:
            self._control.close()
            os.close(self._lifeline)
            raise ExecutionError(f"The warm process is gone ({error}).", next_step="open a new engine") from error
        finally:
            theirs.close()
            os.close(end)

    def fileno(self) -> int:
        """Return the file descriptor, for ``select``."""
        return self._control.fileno()

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send a command; raise `Closed` if the session has ended."""
        send_message(self._control, message, fds)

    def send_data(self, message: Message, data: bytes) -> None:
        """Send a command with an unnamed file."""
        fd = as_memory_file(data)
        try:
            self.send(message, [fd])
        finally:
            os.close(fd)

    def send_files(self, files: Mapping[str, bytes]) -> None:
        """Put ``files`` into the work folder."""
        if files:
            self.send_data(Files(), as_archive(files))

    def receive(self, deadline: float) -> Message | None:
        """Return what the session says next, ``None`` at ``deadline`` (monotonic); raise `Closed` at its end."""
        if not select.select([self._control], [], [], max(deadline - time.monotonic(), 0))[0]:
            return None
        message: Message = recv_message(self._control, *FROM_SESSION)[0]
        return message

    def wait_until_ready(self) -> None:
        """Wait for the walls to stand."""
        try:
            message = self.receive(time.monotonic() + _START_SECONDS)
        except Closed:
            message = None
        if not isinstance(message, SessionReady):
            raise self.error("The walls around a submission could not be built.", message)

    def error(self, what: str, message: Message | None = None) -> ExecutionError:
        """Return ``what`` as an error, with what the session said of it."""
        reason = f" {message.what}: {message.why}" if isinstance(message, Failed) else ""
        return ExecutionError(what + reason, next_step=self._forkserver.stderr_tail())

    def spawn(self, message: Spawn, fds: Sequence[int]) -> Callable[[], Spawned]:
        """Start a process: put it into its control group before it does anything, then let it go on.

        What is returned waits for it, and does that; until then the processes of a session build their walls together.
        """
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        ours.settimeout(_START_SECONDS)
        try:
            self.send(message, [theirs.fileno(), *fds])
        except (Closed, OSError) as error:
            ours.close()
            raise self._unborn(message, error) from error
        finally:
            theirs.close()
        self._starting.add(ours)
        return lambda: self._let_go(message, ours)

    def _unborn(self, message: Spawn, error: Exception) -> ExecutionError:
        return self.error(f"The {message.role.value}'s process did not start ({error}).")

    def _let_go(self, message: Spawn, ours: socket.socket) -> Spawned:
        self._starting.discard(ours)
        try:
            pid = peer_pid(ours)
        except (Closed, OSError) as error:
            ours.close()
            raise self._unborn(message, error) from error
        group = None
        if self._forkserver.walls and os.getuid() == 0:
            group = cgroups.make_group(memory_mb=message.limits.memory_mb, processes=message.limits.processes)
        if group is not None:
            self._groups.append(group)
            group.add(pid)
        ours.settimeout(None)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        ours.sendall(b"g")
        return Spawned(pid, ours, group)

    def close(self, *, wait: bool = True) -> None:
        """End everything of the session; ``wait`` until nothing of it is left."""
        self._control.close()
        for socket_to in self._starting:
            socket_to.close()
        if wait:
            select.select([self._lifeline], [], [], _END_SECONDS)
        os.close(self._lifeline)
        for group in self._groups:
            group.remove()
