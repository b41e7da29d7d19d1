"""Sandbox client of a project: put files in, run commands, start servers, send requests, take files out."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from autograder.sandbox import Limits
from autograder.sandbox.capabilities import choose
from autograder.sandbox.forkserver import as_archive, sandbox_environment, write_etc
from autograder.sandbox.isolation import cgroups, usage
from autograder.sandbox.isolation.launcher import launch_command
from autograder.sandbox.isolation.mounts import layout, packages
from course_lib.errors import CourseError

__all__ = ["ENVIRONMENT", "LIMITS", "WORK", "CompletedCommand", "ProjectSandbox", "SandboxEnded"]

LIMITS = Limits(
    memory_mb=3072, processes=160, cpu_seconds=600, wall_seconds=1500, disk_mb=768, file_mb=128, output_kb=256
)
WORK = "/box/work"
ENVIRONMENT = f"{WORK}/env"  # of the project: the learner's commands find their Python here
_START_SECONDS = 120.0
_POLL_SECONDS = 0.25
_GRADER_VARIABLES = {"COURSE_CACHE", "IPYTHONDIR", "MPLBACKEND", "NBGRADER_EXECUTION"}

_TOOL = {
    "PYTHONPATH": os.pathsep.join(dict.fromkeys(str(path.parent) for path in packages())),
    "PATH": "/usr/local/bin:/usr/bin:/bin",
}


class SandboxEnded(CourseError):
    """The sandbox of a project ended: it took too long, or used more than it may."""


@dataclass(frozen=True)
class CompletedCommand:
    """Completed command; ``overdue`` when it was ended because it took too long."""

    code: int
    out: str
    overdue: bool
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether it ended by itself and well."""
        return self.code == 0 and not self.overdue

    def output_tail(self, lines: int = 3) -> str:
        """Return the last lines it printed that say something."""
        printed = [line.strip() for line in self.out.splitlines() if line.strip()]
        return " / ".join(line[:300] for line in printed[-lines:])

    def description(self) -> str:
        """Return in words how it ended."""
        return "it did not end in time and was stopped" if self.overdue else f"it ended with code {self.code}"


class ProjectSandbox:
    """Sandbox with one project in it. Leaving the ``with`` block ends everything inside.

    Parameters
    ----------
    sandbox
        ``auto``, ``bwrap`` or ``native``.
    limits
        What everything inside may use together.
    """

    def __init__(self, *, sandbox: str = "auto", limits: Limits = LIMITS) -> None:
        self.wall = choose(sandbox)
        self.limits = limits
        self.ended = ""
        self._deadline = time.monotonic() + limits.wall_seconds
        self._folder = Path(tempfile.mkdtemp(prefix="course-project-"))
        self._folder.chmod(0o755)
        self._buffer = b""
        self._errors = (self._folder / "errors").open("wb+")
        self._group: cgroups.Group | None = None
        self._process = self._start()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        try:
            self._receive(_START_SECONDS)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The outermost process; everything else is below it."""
        return self._process.pid

    @property
    def _stdout(self) -> Any:
        assert self._process.stdout is not None
        return self._process.stdout

    def _start(self) -> subprocess.Popen[bytes]:
        etc = self._folder / "etc"
        write_etc(etc)
        environment = sandbox_environment(walls=True)
        environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(str(path.parent) for path in packages()))
        inside = [
            sys.executable,
            "-m",
            "autograder.projects.inside.supervisor",
            json.dumps({"limits": asdict(self.limits)}),
        ]
        launch = launch_command(layout(etc=etc), wall=self.wall, command=inside, environment=environment)
        # The shell waits until its process is in its control groups: what it becomes, and starts, is in them too.
        process = subprocess.Popen(
            ["/bin/sh", "-c", 'read -r go && exec "$@"', "sh", *launch],
            env={**environment, "PATH": os.environ.get("PATH", os.defpath)},
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )
        if os.getuid() == 0:
            self._group = cgroups.make_group(memory_mb=self.limits.memory_mb, processes=2 * self.limits.processes)
            if self._group is not None:
                self._group.add(process.pid)
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
        return process

    def _receive(self, seconds: float) -> dict[str, Any]:
        """Return the supervisor's next answer; keep watch over time and memory meanwhile."""
        end = min(time.monotonic() + seconds, self._deadline)
        last_check = 0.0
        while b"\n" not in self._buffer:
            if self._selector.select(min(_POLL_SECONDS, max(end - time.monotonic(), 0))):
                chunk = os.read(self._stdout.fileno(), 1 << 20)
                if not chunk:
                    raise self._end(self._end_reason())
                self._buffer += chunk
            if time.monotonic() > end:
                raise self._end("it took longer than it may")
            if self._group is None and time.monotonic() - last_check > _POLL_SECONDS:
                last_check = time.monotonic()
                if (
                    usage.usage(self.pid, baseline_mb=0, alarm_mb=self.limits.memory_mb).memory_mb
                    > self.limits.memory_mb
                ):
                    raise self._end("it used more memory than it may")
        line, _, self._buffer = self._buffer.partition(b"\n")
        return dict(json.loads(line))

    def _end_reason(self) -> str:
        if self._group is not None and self._group.out_of_memory():
            return "it used more memory than it may"
        self._errors.seek(0)
        return f"its supervisor is gone ({self._errors.read()[-300:].decode(errors='replace').strip() or 'no reason'})"

    def _end(self, why: str) -> SandboxEnded:
        self.ended = self.ended or why
        self.close()
        return SandboxEnded(
            f"The project's sandbox ended: {why}.",
            expected=f"a project that needs less than {self.limits.memory_mb} MB and {self.limits.wall_seconds:.0f} s",
        )

    def request(
        self, op: str, *, within: float = 60.0, message: Mapping[str, Any] | None = None, **more: Any
    ) -> dict[str, Any]:
        """Have the supervisor do something, and return its answer.

        Raises
        ------
        SandboxEnded
            The sandbox is gone, or there was no answer in time: then everything in it was ended.
        """
        if self.ended:
            raise SandboxEnded(f"The project's sandbox ended: {self.ended}.")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"op": op, **(message or {}), **more}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._end(self._end_reason()) from None
        answer = self._receive(within)
        if "failed" in answer and op != "probe":
            raise SandboxEnded(f"A step inside the sandbox failed: {op}: {answer['failed']}")
        return answer

    # files -------------------------------------------------------------------------------------------------------
    def put(self, files: Mapping[str, bytes], to: str, *, programs: bool = False) -> None:
        """Write files below the folder ``to``; ``programs`` can be run."""
        self.request("put", to=to, tar=base64.b64encode(as_archive(files)).decode(), programs=programs)

    def remove(self, path: str) -> None:
        """Remove a file or folder."""
        self.request("remove", path=path)

    def get(self, path: str, *, most: int = 32 << 20) -> bytes | None:
        """Return a file's bytes, ``None`` if it is no plain file or larger than ``most`` bytes."""
        data = self.request("get", path=path, most=most).get("data")
        return None if data is None else base64.b64decode(data)

    def files(self, path: str) -> dict[str, int]:
        """Return the plain files below a folder with their sizes, by path."""
        return dict(self.request("list", path=path)["files"])

    # commands ----------------------------------------------------------------------------------------------------
    def run(
        self, argv: Sequence[str], *, cwd: str, seconds: float, env: Mapping[str, str] | None = None
    ) -> CompletedCommand:
        """Run a command behind the inner walls until it ends, at most ``seconds``."""
        number = self.request("start", argv=list(argv), cwd=cwd, env=self._variables(env))["id"]
        reply = self.request("wait", within=seconds + 60, id=number, seconds=seconds)
        return CompletedCommand(int(reply["code"]), reply["out"], bool(reply["overdue"]), float(reply["seconds"]))

    def _variables(self, env: Mapping[str, str] | None) -> dict[str, str]:
        own = sandbox_environment(walls=True)
        own = {name: value for name, value in own.items() if name not in _GRADER_VARIABLES}
        own |= {"PATH": f"{ENVIRONMENT}/bin:/usr/local/bin:/usr/bin:/bin", "VIRTUAL_ENV": ENVIRONMENT}
        own |= {"MPLBACKEND": "agg", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "CI": "true"}
        return own | dict(env or {})

    def run_tool(self, *arguments: str, seconds: float) -> CompletedCommand:
        """Run one of the course's own tools (:mod:`autograder.projects.inside.tools`) behind the inner walls."""
        return self.run(_tool(arguments), cwd=WORK, seconds=seconds, env=_TOOL)

    def start_tool(self, *arguments: str) -> int:
        """Start one of the course's own tools behind the inner walls, and return its number."""
        return self.start(_tool(arguments), cwd=WORK, env=_TOOL)

    def start(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str] | None = None) -> int:
        """Start a command behind the inner walls, and return its number."""
        return int(self.request("start", argv=list(argv), cwd=cwd, env=self._variables(env))["id"])

    def stop(self, number: int, *, grace: float = 10.0) -> dict[str, Any]:
        """Ask a command to end, after ``grace`` seconds end it; return how it went."""
        return self.request("stop", within=grace + 60, id=number, grace=grace)

    def alive(self, number: int) -> tuple[bool, str]:
        """Return whether a command still runs, and what it printed."""
        reply = self.request("alive", id=number)
        return bool(reply["alive"]), str(reply["out"])

    # probes ------------------------------------------------------------------------------------------------------
    def probe(self, what: str, *, within: float = 60.0, **options: Any) -> dict[str, Any]:
        """Ask a server from outside: one of :data:`autograder.projects.inside.probes.PROBES`."""
        return self.request("probe", within=within + 60, message={"what": what, "within": within, "options": options})

    def free_port(self) -> int:
        """Return a port that is free inside."""
        return int(self.probe("free_port")["port"])

    # the end -----------------------------------------------------------------------------------------------------
    def close(self) -> None:
        """End everything inside, and return when nothing is left."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pid in reversed(usage.descendants(self._process.pid)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        if self._group is not None:
            self._group.remove()
        self._errors.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _tool(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-P", "-m", "autograder.projects.inside.tools", *arguments]
