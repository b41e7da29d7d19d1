"""The grader's side: one zygote behind a wall, and as many submissions at once as callers ask for."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import io
import json
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
from typing import Any, Literal

from autograder.sandbox.errors import ExecutionError, SandboxUnavailable
from autograder.sandbox.inside.preload import COURSE_LIBRARIES
from autograder.sandbox.isolation.mounts import layout, packages
from autograder.sandbox.model import ExecutedSubmission, Limits, Plan
from autograder.sandbox.rpc.framing import Closed, recv_message, send_message
from autograder.sandbox.slicing import WAYS, Way, lean

__all__ = ["Engine", "SandboxName", "open_engine", "run_submission"]

SandboxName = Literal["auto", "bwrap", "native", "none"]
_START_SECONDS = 180.0
_SINGLE_THREADED = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1", "ITERATIVE_DO_NOT_TRACK": "1", "WANDB_MODE": "offline",
    "GIT_PYTHON_REFRESH": "quiet", "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # a thread that would not survive a fork
}  # fmt: skip
_CACHED_SNAPSHOTS = 4
_KERNEL = ("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "IPython.core.completer")


class Engine:
    """Runs submissions. Open it with `open_engine`; close it, or leave the ``with`` block, to end all its processes.

    Attributes
    ----------
    sandbox
        "bwrap", "native" or "none".
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
        shell: bool = True,
    ) -> None:
        self._shell = shell
        self.sandbox = sandbox
        self.kernels = kernels
        self.missing: list[str] = []
        self._lock = threading.Lock()
        self._snapshots: dict[str, Any] = {}
        self._lean: dict[str, Way | None] = {}
        self._lean_locks: dict[str, threading.Lock] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="course-engine-"))
        self._folder.chmod(0o755)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the engine
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.environment = _environment(walls=self.walls)
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
        """Process id of the outermost process; everything else the engine starts is below it."""
        return self._process.pid

    def _start(
        self, theirs: socket.socket, preload: Sequence[str], cache: Path | None, read_only: Sequence[Path]
    ) -> subprocess.Popen[bytes]:
        settings = {
            "walls": self.walls,
            "preload": list(preload),
            "shell": self._shell,
            "base": ["IPython.core.interactiveshell", "IPython.core.completer"] if self._shell else list(_KERNEL),
            "while_importing": _SINGLE_THREADED,
        }
        number = str(theirs.fileno())
        command = [sys.executable, "-m", "autograder.sandbox.inside.forkserver", number, json.dumps(settings)]
        environment = {
            **self.environment,
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(str(p.parent) for p in packages())),
        }
        if self.walls:
            etc = self._folder / "etc"
            _write_etc(etc)
            plan = layout(etc=etc, cache=cache, kernels=self.kernels, extra=read_only)
            job = {
                "plan": [(m.kind, m.target, m.source) for m in plan],
                "wall": self.sandbox,
                "bwrap": shutil.which("bwrap"),
                "command": command,
                "environment": environment,
            }
            command = [sys.executable, "-P", "-m", "autograder.sandbox.isolation.launcher", json.dumps(job)]
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
            message, _, _ = recv_message(self.control)
        except Closed as error:
            raise ExecutionError(
                f"The process that runs submissions did not start ({error}).",
                expected="a warm process behind the sandbox",
                next_step=f"read what it said: {self.said()}",
            ) from error
        self.missing = list(message["missing"])
        self.threads = int(message["tasks"])

    def said(self) -> str:
        """Return the end of what the zygote has printed, for error messages."""
        self._errors.seek(0)
        return self._errors.read()[-2000:].decode(errors="replace").strip() or "nothing"

    def fork(self, message: Mapping[str, Any], fds: Sequence[int], *, host: socket.socket | None = None) -> None:
        """Have the zygote (or a snapshot, ``host``) fork a session."""
        with self._lock:
            send_message(host or self.control, dict(message), fds)

    def run(self, plan: Plan, *, limits: Limits | None = None, reference: Plan | None = None) -> ExecutedSubmission:
        """Run one submission; see :mod:`autograder.sandbox`. Safe to call from several threads.

        Parameters
        ----------
        plan
            The submission beside its release.
        limits
            What it may use.
        reference
            The same release with the reference solutions handed in. If it earns every point without the cells that no
            check can notice (:mod:`autograder.sandbox.slicing`), submissions run without them as well.

        Raises
        ------
        ExecutionError
            If the machinery itself is broken; never because of the submission.
        """
        from autograder.sandbox.run import Run

        limits = limits or Limits()
        if reference is not None:
            way = self.prepare(reference, limits=limits)
            plan = lean(plan, way) if way else plan
        return Run(self, plan, limits).go()

    def prepare(self, reference: Plan, *, limits: Limits | None = None) -> Way | None:
        """Return the boldest way to shorten plans under which ``reference`` passes all checks; found once a release.

        What it leaves behind is a snapshot that has run all cells which no learner can change; it is kept.
        """
        from autograder.sandbox.run import Run

        limits = limits or Limits()
        key = _key_of(reference)
        with self._lock:
            lock = self._lean_locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._lean:
                self._lean[key] = next(
                    (way for way in WAYS if _passes(Run(self, lean(reference, way), limits, keep=True).go())), None
                )
            return self._lean[key]

    def is_lean(self, reference: Plan) -> bool:
        """Return whether submissions of this release run without the cells that no check can notice."""
        return self._lean.get(_key_of(reference)) is not None

    def snapshot(
        self, cells: Sequence[tuple[int, str]], files: Mapping[str, bytes], limits: Limits, *, keep: bool = False
    ) -> Any:
        """Return a process that has run the leading ``cells`` of a notebook, made at most once for the same cells.

        Of the snapshots that are not to be kept for good the last few used ones remain.
        """
        from autograder.sandbox.snapshots import Snapshot

        key = hashlib.sha256(
            json.dumps([list(cells), {n: hashlib.sha256(d).hexdigest() for n, d in files.items()}]).encode()
        ).hexdigest()
        with self._lock:
            slot = self._snapshots[key] = self._snapshots.pop(key, None) or Snapshot(kept=keep)  # the last one used
            passing = [name for name, one in self._snapshots.items() if not one.kept]
            for name in passing[:-_CACHED_SNAPSHOTS]:
                self._snapshots.pop(name).retire()
        slot.make(self, cells, files, limits)
        return slot

    def close(self) -> None:
        """End the zygote and everything it has forked; return when nothing of it is left."""
        with self._lock:
            for slot in self._snapshots.values():
                slot.retire()
            self._snapshots.clear()
        self.control.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._errors.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def places(self) -> Iterator[dict[str, str]]:
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


def _passes(done: ExecutedSubmission) -> bool:
    return all(outcome.ok for outcome in done.outcomes if outcome.kind == "test")


def _key_of(plan: Plan) -> str:
    return hashlib.sha256(repr([(c.kind, c.release, c.learner) for c in plan.cells]).encode()).hexdigest()


def _environment(*, walls: bool) -> dict[str, str]:
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


def _write_etc(folder: Path) -> None:
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


def open_engine(
    *,
    sandbox: SandboxName = "auto",
    preload: Sequence[str] | None = None,
    cache: Path | None = None,
    kernels: Path | None = None,
    read_only: Sequence[Path] = (),
    probe: bool = True,
) -> Engine:
    """Start an engine: import the course's libraries once, behind the sandbox.

    Parameters
    ----------
    sandbox
        "auto" takes the best that `capabilities` finds; "none" runs without walls.
    preload
        Modules to import in advance; the course's own list by default.
    cache
        The folder of derived data to show inside; that of :func:`course_lib.data.cache_dir` by default.
    kernels
        Folder for the sockets of Jupyter kernels, if any will be started.
    read_only
        Other folders to show inside.
    probe
        Whether to try the sandbox first; not needed for one that `capabilities` named a moment ago.

    Raises
    ------
    SandboxUnavailable
        If no sandbox, or not the one asked for, can be had on this machine.
    ExecutionError
        If the warm process doesn't start.
    """
    from autograder.sandbox.isolation.capabilities import capabilities

    chosen: str = sandbox
    if sandbox != "none" and probe:
        chosen = capabilities().choose(sandbox)
    if cache is None:
        cache = course_cache()
    return Engine(
        sandbox=chosen,
        preload=COURSE_LIBRARIES if preload is None else preload,
        cache=cache,
        kernels=kernels,
        read_only=read_only,
    )


def course_cache() -> Path | None:
    """Return the course's cache of derived data, ``None`` if there is none."""
    with contextlib.suppress(Exception):
        from course_lib.data import cache_dir

        return cache_dir()
    return None


_kept: dict[str, Engine] = {}
_kept_lock = threading.Lock()


def run_submission(plan: Plan, *, limits: Limits | None = None, sandbox: SandboxName = "auto") -> ExecutedSubmission:
    """Run one submission in an engine that is opened at the first call and kept until the program ends."""
    with _kept_lock:
        if sandbox not in _kept:
            _kept[sandbox] = open_engine(sandbox=sandbox)
            atexit.register(_kept[sandbox].close)
    return _kept[sandbox].run(plan, limits=limits)


__all__ += ["SandboxUnavailable"]
