"""Forkserver process: it has imported the course's libraries, forks all other processes and runs nothing itself.

One loop serves three kinds of processes: the forkserver (forks sessions), the first process of a session (forks the
judge and learner's processes), and a snapshot (a session that has run the leading cells of a notebook, and forks
sessions that go on from there). The grader sends small messages with file descriptors; everything ends when it hangs
up.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import select
import shutil
import signal
import socket
import sys
import tarfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from autograder.sandbox.inside import judge, learner, program_box
from autograder.sandbox.inside.preload import RandomState, WarmState, become_kernel, preload, random_state
from autograder.sandbox.inside.shell import make_shell, run_cell
from autograder.sandbox.isolation import confine, syscalls, usage
from autograder.sandbox.isolation.forked import fatal
from autograder.sandbox.messages import (
    TO_FORKSERVER,
    TO_SESSION,
    Ended,
    Failed,
    Files,
    ForkserverReady,
    ForkserverSettings,
    ForkSession,
    Malformed,
    Message,
    PrefixRan,
    Role,
    RunPrefix,
    SessionReady,
    Spawn,
    StartProgram,
    Stop,
    loads,
)
from autograder.sandbox.rpc.framing import Closed, recv_message, send_message

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["ForkLoop", "main"]


@dataclass(frozen=True)
class _Child:
    """A forked process; one without a role is a session."""

    pid: int
    role: Role | None


class ForkLoop:
    """The loop of a process that forks on the grader's word: forkserver, session or snapshot."""

    def __init__(
        self,
        control: socket.socket,
        shell: InteractiveShell | None,
        warm: WarmState,
        *,
        walls: bool,
    ) -> None:
        self._control = control
        self._shell = shell
        self._warm = warm
        self._walls = walls
        self._accepts: Sequence[type[Message]] = TO_FORKSERVER
        self._random: RandomState | None = None  # set by the cells of a snapshot: kept, for Python reseeds in a fork
        self._is_snapshot = False
        self._children: dict[int, _Child] = {}  # by pidfd
        self._programs: socket.socket | None = None  # where the judge asks for boxes around learners' programs
        self._lifeline = -1  # closed by the kernel when nothing of the session is left

    def serve(self) -> None:
        """Carry out commands until the grader hangs up, then end with everything below."""
        orphans = _wake_at_ends()
        while True:
            asking = [self._programs] if self._programs else []
            ready, _, _ = select.select([self._control, orphans, *asking, *self._children], [], [])  # type: ignore[type-var]
            for source in ready:
                if source is self._control:
                    self._receive()
                elif source is self._programs:
                    self._start_program()
                elif source is orphans:
                    orphans.recv(1 << 12)
                    self._reap_orphans()
                else:
                    self._reap(source)  # type: ignore[arg-type]

    def _receive(self) -> None:
        try:
            message, fds = recv_message(self._control, *self._accepts)
        except Closed:
            self._end()
        except Malformed as error:
            self._tell(Failed(what="a message", why=str(error)))
            return
        try:
            self._carry_out(message, fds)
        except Exception as error:  # the grader must hear why
            self._tell(Failed(what=type(message).__name__, why=f"{type(error).__name__}: {error}"))
        finally:
            for fd in fds:
                with contextlib.suppress(OSError):
                    os.close(fd)

    def _tell(self, message: Message) -> None:
        with contextlib.suppress(Closed):  # it has hung up, and the next look at the socket ends this process
            send_message(self._control, message)

    def _carry_out(self, message: Message, fds: list[int]) -> None:
        match message:
            case ForkSession():
                self._fork_session(message, fds)
            case Files():
                self._unpack(fds[0])
            case RunPrefix():
                self._run_prefix(json.loads(_contents(fds[0]).read()))
            case Spawn():
                self._spawn(message, fds)
            case Stop():
                self._stop(message.role)

    def _end(self) -> NoReturn:
        """Kill and reap the children: the first of a namespace is gone only when all below it are."""
        if not self._walls or self._is_snapshot:
            _kill_descendants()
        for child in self._children.values():
            if child.role is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
        if all(child.role is not None for child in self._children.values()):
            with contextlib.suppress(ChildProcessError):
                while True:  # in any order: process 1 ends only after those that others must reap
                    os.waitpid(-1, 0)
        os._exit(0)

    def _reap(self, pidfd: int) -> None:
        """Take the exit status of a child that has ended, and tell the grader."""
        child = self._children.pop(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(child.pid, 0)
        self._reap_orphans()
        if child.role not in (None, Role.PROGRAM):
            self._tell(Ended(role=child.role, status=os.waitstatus_to_exitcode(status)))

    def _reap_orphans(self) -> None:
        """Reap processes that were left to this one, because it is process 1 or adopts them."""
        known = {child.pid for child in self._children.values()}
        _reap_ended(lambda pid: pid not in known)

    def _fork(self, role: Role | None, keep: list[int]) -> bool:
        """Fork; return True in the child, which keeps only the descriptors in ``keep``."""
        pid = os.fork()
        if pid:
            self._children[os.pidfd_open(pid)] = _Child(pid, role)
            return False
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _close_others(keep)
        self._children = {}
        return True

    def _fork_session(self, message: ForkSession, fds: list[int]) -> None:
        control, lifeline = fds
        if not self._fork(None, [control, lifeline]):
            return
        with fatal(70):
            self._lifeline, self._is_snapshot = lifeline, False
            if self._walls:
                confine.enter_session(disk_mb=message.disk_mb, helpers=message.helpers)
            else:
                os.setsid()
                syscalls.adopt_orphans()
                if message.helpers:
                    shutil.copytree(message.helpers, message.work, dirs_exist_ok=True)
                os.chdir(message.work)
                os.environ.update(TMPDIR=message.tmp, HOME=message.home)
            if message.helpers and message.helpers not in sys.path:
                sys.path.insert(0, message.helpers)
            self._control = socket.socket(fileno=control)
            self._accepts = TO_SESSION
            self._tell(SessionReady())
            self.serve()

    def _unpack(self, fd: int) -> None:
        with tarfile.open(fileobj=_contents(fd)) as archive:
            # Made by the grader; Python before 3.11.4 has no filters. course_lib is not for here: no kernel imports it.
            options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(".", **options)  # noqa: S202

    def _stop(self, role: Role) -> None:
        for child in self._children.values():
            if child.role is role:
                os.kill(child.pid, signal.SIGKILL)
        if not self._walls:
            _kill_descendants(spare=[child.pid for child in self._children.values() if child.role is not role])

    def _run_prefix(self, cells: list[tuple[int, str]]) -> None:
        """Run the leading cells of a notebook; say after how many of them this process may still be forked."""
        self._is_snapshot = True
        sys.path.insert(0, "")  # as in a kernel; the judge takes it off before a learner's code runs
        if self._walls:
            confine.private_folders()
        null = os.open(os.devnull, os.O_WRONLY)
        confine.set_streams(null, null)
        os.close(null)
        before, random_before = _fingerprint(), random_state()
        ran, safe = 0, True
        for number, source in cells:
            run_cell(self._shell, source, number)  # type: ignore[arg-type]
            ran += 1
            gc.collect()
            _let_go_of_databases()
            safe = _fingerprint() == before
            if not safe:
                break
        after = random_state()
        self._random = after if after != random_before else None
        gc.freeze()
        self._tell(PrefixRan(ran=ran, safe=safe))

    def _spawn(self, message: Spawn, fds: list[int]) -> None:
        role = message.role
        if self._walls and role is not Role.LEARNER:
            confine.enclose_children()
        asks: list[int] = []
        if self._walls and role is Role.JUDGE:
            self._programs, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            asks = [theirs.detach()]
        if not self._fork(role, [*fds, *asks]):
            for fd in asks:
                os.close(fd)
            return
        with fatal(70):
            control, out, err, *peers = fds
            if role is not Role.JUDGE:
                os.setsid()
            confine.set_streams(out, err)
            os.close(out)
            os.close(err)
            if not self._walls:
                syscalls.die_with_parent()
            elif role is Role.JUDGE:
                confine.wall_in_judge()
            else:
                confine.wall_in_learner(kernel=message.kernel.folder if message.kernel else None)
            if self._walls or role is not Role.KERNEL:
                confine.limit(vars(message.limits), walls=self._walls and role is not Role.JUDGE)
            self._become(message, *[socket.socket(fileno=fd) for fd in (control, *peers, *asks)])

    def _start_program(self) -> None:
        """Fork the keeper of a box in which a learner's program will run."""
        assert self._programs is not None
        try:
            _, fds = recv_message(self._programs, StartProgram)
        except Closed:
            self._programs = None
            return
        if self._fork(Role.PROGRAM, fds):
            with fatal(70):
                control, *others = fds
                program_box.keep(socket.socket(fileno=control), *others)
        for fd in fds:
            os.close(fd)

    def _become(self, message: Spawn, control: socket.socket, *peers: socket.socket) -> None:
        """Turn this child into what it was forked for, once the grader has put it into its control groups."""
        control.sendall(b"h")
        if control.recv(1) != b"g":
            os._exit(0)
        self._warm.restore(
            random_state=self._random, environment=message.kernel.environment if message.kernel else None
        )
        if message.kernel is not None:
            become_kernel(message.kernel)
        assert self._shell is not None
        if message.role is Role.JUDGE:
            programs = peers[-1] if self._walls else None
            judge.serve(self._shell, control, list(peers[:-1] if programs else peers), programs)
        learner.serve(self._shell, control, peers[0])


def _wake_at_ends() -> socket.socket:
    """Return a socket that can be read whenever a child of this process has ended, one that it adopted included."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(theirs.detach(), warn_on_full_buffer=False)
    return ours


def _contents(fd: int) -> io.BytesIO:
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        return io.BytesIO(file.read())


def _close_others(keep: list[int]) -> None:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        fd = int(name)
        if fd > 2 and fd not in keep:
            with contextlib.suppress(OSError):
                os.close(fd)


def _fingerprint() -> tuple[int, int, tuple[str, ...]]:
    """Return what a fork doesn't carry over well: threads, children, and open files that can be written to."""
    open_files = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
            if int(name) > 2 and not target.startswith("/proc/"):
                open_files.append(target)
    native = len(list(Path("/proc/self/task").iterdir())) - threading.active_count()
    arrow = sys.modules.get("pyarrow")
    restarted = (
        arrow.cpu_count() + arrow.io_thread_count() if arrow else 0
    )  # Arrow's pools start anew in a forked child
    threads = threading.active_count() + (0 if native <= restarted else native)
    return threads, len(usage.children(os.getpid())), tuple(sorted(open_files))


def _let_go_of_databases() -> None:
    """Close idle connections: they come back when they are needed, and must not be shared with a forked child."""
    if "sqlalchemy" not in sys.modules:
        return
    from sqlalchemy.engine import Engine

    for engine in [thing for thing in gc.get_objects() if isinstance(thing, Engine)]:
        if engine.url.database not in (None, "", ":memory:"):
            engine.dispose()


def _kill_descendants(spare: Sequence[int] = ()) -> None:
    """Kill everything below this process but the children in ``spare`` and what is below them."""
    for _ in range(20):
        living = usage.descendants(os.getpid(), spare=spare)[1:]
        if not living:
            return
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _reap_ended(living.__contains__)


def _reap_ended(mine: Callable[[int], bool]) -> None:
    """Reap the children that have ended, up to the first that is not ``mine`` to reap."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and mine(ended.si_pid):
            os.waitpid(ended.si_pid, 0)


def main() -> None:
    """Import what the settings name, then serve. Arguments: descriptor of the control socket, settings as JSON."""
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = loads(sys.argv[2], ForkserverSettings)
    sys.path.remove(str(Path.cwd()))  # "python -m" put it there; a fresh kernel's launcher takes it out as well
    if not settings.shell:  # a kernel finds the packages where any Python does
        sys.path[:] = [entry for entry in sys.path if entry not in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warm = preload(settings)
    shell = make_shell() if settings.shell else None
    warm.settle()
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].set_cpu_count(1)
        sys.modules["pyarrow"].set_io_thread_count(1)
    gc.collect()
    gc.freeze()
    send_message(control, ForkserverReady(missing=tuple(warm.missing)))
    ForkLoop(control, shell, warm, walls=settings.walls).serve()


if __name__ == "__main__":
    from autograder.sandbox.inside.forkserver import (
        main as run,  # under its own name, so that children find their classes
    )

    run()
