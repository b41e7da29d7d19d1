"""The process that forks all others: it has imported the course's libraries and runs nothing itself.

One loop serves three kinds of processes: the zygote (forks sessions), the first process of a session (forks the twin
and learner's processes), and a snapshot (a session that has run the leading cells of a notebook, and forks sessions
that go on from there). The grader sends small messages with file descriptors; everything ends when it hangs up.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import select
import signal
import socket
import sys
import tarfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.sandbox.inside import judge, learner
from autograder.sandbox.inside.preload import RandomState, WarmState, become_kernel, preload, random_state
from autograder.sandbox.inside.shell import make_shell, run_cell
from autograder.sandbox.isolation import confine, syscalls
from autograder.sandbox.rpc.framing import Closed, recv_message, send_message

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Host", "main"]


class Host:
    """A process that forks on the grader's word."""

    def __init__(
        self, control: socket.socket, shell: InteractiveShell | None, warm: WarmState, settings: dict[str, Any]
    ) -> None:
        self._control = control
        self._shell = shell
        self._warm = warm
        self._settings = settings
        self._walls = bool(settings["walls"])
        self._random: RandomState | None = None  # set by the cells of a snapshot: kept, for Python reseeds in a fork
        self._is_snapshot = False
        self._children: dict[int, tuple[int, str]] = {}  # pidfd -> pid, role
        self._lifeline = -1  # closed by the kernel when nothing of the session is left

    def serve(self) -> None:
        """Obey until the grader hangs up, then end with everything below."""
        while True:
            ready, _, _ = select.select([self._control, *self._children], [], [])  # type: ignore[type-var]
            for source in ready:
                if source is self._control:
                    self._obey()
                else:
                    self._bury(source)  # type: ignore[arg-type]

    def _obey(self) -> None:
        try:
            message, fds, _ = recv_message(self._control)
        except Closed:
            self._end()
        handler = getattr(self, "_do_" + message["op"])
        try:
            handler(message, fds)
        except Exception as error:  # the grader must hear why
            with contextlib.suppress(Closed):
                send_message(
                    self._control, {"op": "failed", "what": message["op"], "why": f"{type(error).__name__}: {error}"}
                )
        finally:
            for fd in fds:
                with contextlib.suppress(OSError):
                    os.close(fd)

    def _end(self) -> None:
        """Kill and bury the children: the first of a namespace is gone only when all below it are."""
        if not self._walls or self._is_snapshot:
            _kill_descendants()
        for pid, role in self._children.values():
            if role != "session":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if all(role != "session" for _, role in self._children.values()):
            with contextlib.suppress(ChildProcessError):
                while True:  # in any order: process 1 ends only after those that others must bury
                    os.waitpid(-1, 0)
        os._exit(0)

    def _bury(self, pidfd: int) -> None:
        pid, role = self._children.pop(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._bury_strangers()
        if role != "session":
            with contextlib.suppress(Closed):
                send_message(self._control, {"op": "ended", "role": role, "status": code})

    def _bury_strangers(self) -> None:
        """Reap orphans that became this process's children because it is process 1 or adopts them."""
        known = {pid for pid, _ in self._children.values()}
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid not in known:
                os.waitpid(ended.si_pid, 0)

    def _fork(self, role: str, keep: list[int]) -> bool:
        """Fork; return True in the child, which keeps only the descriptors in ``keep``."""
        pid = os.fork()
        if pid:
            self._children[os.pidfd_open(pid)] = (pid, role)
            return False
        signal.set_wakeup_fd(-1)
        _close_others(keep)
        self._children = {}
        return True

    def _do_session(self, message: dict[str, Any], fds: list[int]) -> None:
        control, lifeline = fds
        if not self._fork("session", [control, lifeline]):
            return
        with _fatal():
            self._lifeline = lifeline
            if self._walls:
                confine.enter_session(disk_mb=message["disk_mb"])
            else:
                os.setsid()
                syscalls.adopt_orphans()
                os.chdir(message["work"])
                os.environ.update(TMPDIR=message["tmp"], HOME=message["home"])
            self._control = socket.socket(fileno=control)
            send_message(self._control, {"op": "ready"})
            self.serve()

    def _do_files(self, _: dict[str, Any], fds: list[int]) -> None:
        with tarfile.open(fileobj=_contents(fds[0])) as archive:
            # Made by the grader; Python before 3.11.4 has no filters. course_lib is not for here: no kernel imports it.
            options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(".", **options)  # noqa: S202

    def _do_stop(self, message: dict[str, Any], _: list[int]) -> None:
        for pid, role in self._children.values():
            if role == message["role"]:
                os.kill(pid, signal.SIGKILL)
        if not self._walls:
            _kill_descendants(spare=[pid for pid, role in self._children.values() if role != message["role"]])

    def _do_prefix(self, _: dict[str, Any], fds: list[int]) -> None:
        """Run the leading cells of a notebook; say after how many of them this process may still be forked."""
        self._is_snapshot = True
        cells = json.loads(_contents(fds[0]).read())
        if self._walls:
            confine.private_folders()
        null = os.open(os.devnull, os.O_WRONLY)
        confine.set_streams(null, null)
        os.close(null)
        before, random_before = _fingerprint(), random_state()
        outcomes, safe = [], True
        for number, source in cells:
            cell = run_cell(self._shell, source, number)  # type: ignore[arg-type]
            outcomes.append({**learner.describe(cell.error), "number": number})
            gc.collect()
            _let_go_of_databases()
            safe = _fingerprint() == before
            if not safe:
                break
        after = random_state()
        self._random = after if after != random_before else None
        gc.freeze()
        send_message(
            self._control, {"op": "prefix", "ran": len(outcomes), "safe": safe, "ok": all(o["ok"] for o in outcomes)}
        )

    def _do_spawn(self, message: dict[str, Any], fds: list[int]) -> None:
        role = message["role"]
        if self._walls and role != "learner":
            confine.enclose_children()
        if not self._fork(role, fds):
            return
        with _fatal():
            control, out, err, *others = fds
            if role != "twin":
                os.setsid()
            confine.set_streams(out, err)
            os.close(out)
            os.close(err)
            if self._walls:
                confine.wall_in_twin() if role == "twin" else confine.wall_in_learner(kernel=message.get("folder"))
            else:
                syscalls.die_with_parent()
            if self._walls or role != "kernel":
                confine.limit(message["limits"], walls=self._walls and role != "twin")
            self.start(role, message, [socket.socket(fileno=fd) for fd in (control, *others)])

    def start(self, role: str, message: dict[str, Any], sockets: list[socket.socket]) -> None:
        """Turn this child into what it was forked for, once the grader has put it into its control groups."""
        control, *peers = sockets
        control.sendall(b"h")
        if control.recv(1) != b"g":
            os._exit(0)
        self._warm.restore(random_state=self._random, environment=message.get("env"))
        if role == "kernel":
            become_kernel(message)
        assert self._shell is not None
        if role == "twin":
            judge.serve(self._shell, control, peers)
        learner.serve(self._shell, control, peers[0])


@contextlib.contextmanager
def _fatal() -> Any:
    """End the process whatever happens in the block: a forked child must never return into its parent's code."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(BaseException):
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(70)


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
    return threads, len(_children_of(os.getpid())), tuple(sorted(open_files))


def _let_go_of_databases() -> None:
    """Close idle connections: they come back when they are needed, and must not be shared with a forked child."""
    if "sqlalchemy" not in sys.modules:
        return
    from sqlalchemy.engine import Engine

    for engine in [thing for thing in gc.get_objects() if isinstance(thing, Engine)]:
        if engine.url.database not in (None, "", ":memory:"):
            engine.dispose()


def _children_of(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in task.read_text().split()]
    return found


def _kill_descendants(spare: Sequence[int] = ()) -> None:
    """Kill everything below this process but the children in ``spare`` and what is below them."""
    for _ in range(20):
        living = [pid for pid in _below(os.getpid(), set(spare)) if pid != os.getpid()]
        if not living:
            return
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid in living:
                os.waitpid(ended.si_pid, 0)


def _below(pid: int, spare: set[int]) -> list[int]:
    found = []
    for child in _children_of(pid):
        if child not in spare:
            found += [child, *_below(child, spare)]
    return found


def main() -> None:
    """Import what the settings name, then serve. Arguments: descriptor of the control socket, settings as JSON."""
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    sys.path.remove(str(Path.cwd()))  # "python -m" put it there; a fresh kernel's launcher takes it out as well
    if not settings["shell"]:  # a kernel finds the packages where any Python does
        sys.path[:] = [entry for entry in sys.path if entry not in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warm = preload(settings)
    shell = make_shell() if settings["shell"] else None
    warm.settle()
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].set_cpu_count(1)
        sys.modules["pyarrow"].set_io_thread_count(1)
    gc.collect()
    gc.freeze()
    told = {
        "op": "ready",
        "threads": threading.active_count(),
        "tasks": len(list(Path("/proc/self/task").iterdir())),
        "prefix": sys.prefix,
    }
    send_message(control, {**told, "missing": warm.missing})
    Host(control, shell, warm, settings).serve()


if __name__ == "__main__":
    from autograder.sandbox.inside.forkserver import (
        main as run,  # under its own name, so that children find their classes
    )

    run()
