"""A running container: reach it, ask for its health, run a command in it, stop it and see how it ended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from subprocess import CompletedProcess
from typing import Any, Protocol, Self

from course_lib.containers.engine.cleanup import LABEL
from course_lib.containers.engine.results import Mode, Stopped
from course_lib.errors import EngineError
from course_lib.processes import LOOPBACK, answers

__all__ = ["Container", "Host", "start"]


class Host(Protocol):
    """What a container needs of the engine that runs it; :class:`course_lib.containers.engine.docker.Engine` has it."""

    mode: Mode
    session: str

    @property
    def api(self) -> Any:
        """The engine's client."""

    def name(self, tag: str) -> str:
        """Return the full name of an image of this session."""

    def command(self, *arguments: str) -> CompletedProcess[str]:
        """Run the engine's own program."""


def start(engine: Host, tag: str, port: int, options: Mapping[str, Any]) -> Container:
    """Start a container of ``engine``; its ``run`` says what the options are."""
    import docker

    given = dict(options)
    if engine.mode == "podman":  # its defaults need CAP_SYS_RESOURCE, which a container of ours may lack
        limits = {"nofile": (1024, 4096), "nproc": (4096, 4096)}
        given["ulimits"] = [docker.types.Ulimit(name=k, soft=a, hard=b) for k, (a, b) in limits.items()]
    try:
        made = engine.api.containers.run(
            engine.name(tag), detach=True, ports={f"{port}/tcp": (LOOPBACK, 0)}, labels={LABEL: engine.session}, **given
        )
    except docker.errors.APIError as error:
        raise EngineError(
            f"A container of {tag} could not be started: {error.explanation or error}",
            expected="an image that was built, and a free port",
            next_step="build the image first, or correct the options",
        ) from error
    return Container(engine, made, port)


class Container:
    """A container with one port published on the loopback address."""

    def __init__(self, engine: Host, container: Any, port: int) -> None:
        self.mode: Mode = engine.mode
        self._engine = engine
        self._container = container
        self._port = port
        self.url = f"http://{LOOPBACK}:{self._published()}"

    def wait_ready(self, path: str = "/ready", *, timeout: float = 60.0) -> Self:
        """Wait until a GET of ``path`` is answered with a status below 400.

        Raises
        ------
        EngineError
            The container ended, or did not answer in time; the end of its log is in the message.
        """
        deadline = time.monotonic() + timeout
        while not answers(self.url + path):
            self._container.reload()
            ended = self._container.status in {"exited", "dead"}
            if ended or time.monotonic() > deadline:
                what = "ended before it was ready" if ended else f"did not answer within {timeout:.0f} s"
                raise EngineError(
                    f"The container {what}.",
                    expected=f"an answer on {path}",
                    next_step=f"read the end of its log:\n{self.logs()[-1500:] or '(it printed nothing)'}",
                )
            time.sleep(0.05)
        return self

    def health(self) -> str:
        """Return what the HEALTHCHECK says now: ``starting``, ``healthy``, ``unhealthy``, or ``none``."""
        if self.mode == "podman":  # without systemd nobody runs Podman's health checks: ask for one
            with contextlib.suppress(OSError):
                self._engine.command("healthcheck", "run", self._container.id)
        self._container.reload()
        state = self._container.attrs["State"]
        found = state.get("Health") or state.get("Healthcheck") or {}
        return str(found.get("Status") or "none")

    def execute(self, *command: str) -> tuple[int, str]:
        """Run a command inside the container; return its exit code and output."""
        code, output = self._container.exec_run(list(command))
        return int(code), output.decode(errors="replace")

    def logs(self) -> str:
        """Return what the server printed."""
        return str(self._container.logs().decode(errors="replace"))

    def stop(self, *, grace: int = 10) -> Stopped:
        """Send SIGTERM, after ``grace`` seconds SIGKILL, remove the container, and return how it ended."""
        import docker

        started = time.perf_counter()
        try:
            self._container.stop(timeout=grace)
            seconds = time.perf_counter() - started
            code = int(self._container.wait(timeout=30)["StatusCode"])
            self._container.remove(force=True, v=True)
        except docker.errors.NotFound as error:
            raise EngineError("This container was stopped already.", next_step="start another one") from error
        return Stopped(round(seconds, 2), code)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        import docker

        with contextlib.suppress(docker.errors.NotFound):
            self._container.remove(force=True, v=True)

    def _published(self) -> int:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            self._container.reload()
            if found := self._container.ports.get(f"{self._port}/tcp"):
                return int(found[0]["HostPort"])
            if self._container.status in {"exited", "dead"}:
                break
            time.sleep(0.02)
        log = self.logs()[-1500:]
        self._container.remove(force=True)
        raise EngineError("The container ended at once.", next_step=f"read its log:\n{log or '(it printed nothing)'}")
