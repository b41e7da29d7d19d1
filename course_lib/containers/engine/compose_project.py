"""Start a Compose file with a real engine, wait for its services, and take everything down again."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from course_lib.containers.reading.compose import read_compose
from course_lib.errors import EngineError

if TYPE_CHECKING:
    from course_lib.containers.engine.docker import Engine

__all__ = ["Project", "compose_program", "missing_images"]


def compose_program(engine: Engine) -> list[str] | None:
    """Return the command line of Compose: Docker's plugin, else ``docker-compose``; ``None`` without, and for Podman.

    Podman's containers need limits of their own here, which a Compose file for all engines cannot set.
    """
    if engine.mode != "docker":
        return None
    if engine.command("compose", "version").returncode == 0:
        return [*engine.client, "compose"]
    program = shutil.which("docker-compose")
    return [program] if program else None


def missing_images(engine: Engine, images: Sequence[str]) -> tuple[str, ...]:
    """Return the images that are neither here nor in the course's cache nor in a registry that answers."""
    return tuple(image for image in images if not engine.pull(image))


class Project:
    """The services of one Compose file; leaving the ``with`` block removes them with their network and volumes.

    Parameters
    ----------
    engine
        A real engine.
    text
        The Compose file.
    folder
        Folder that its relative paths start from; the file is written there as ``compose.yaml``.
    environment
        Values for the variables in the file.
    """

    def __init__(self, engine: Engine, text: str, folder: Path, environment: Mapping[str, str]) -> None:
        program = compose_program(engine)
        if program is None:
            raise EngineError("Compose was not found.", expected="docker compose, or docker-compose")
        self.services = tuple(read_compose(text))
        path = folder / "compose.yaml"
        path.write_text(text)
        self._command = [*program, "--project-name", engine.session, "--file", str(path)]
        self._env = os.environ | dict(environment) | {"DOCKER_HOST": engine.host}

    def up(self, *, timeout: float = 180.0) -> float:
        """Start the services in their order and return the seconds until the last was started.

        Raises
        ------
        EngineError
            A service did not start, or did not become healthy in time.
        """
        started = time.perf_counter()
        done = self._run("up", "--detach", timeout=timeout)
        if done.returncode:
            raise EngineError(
                "The services could not be started.",
                expected="every service healthy in its turn",
                next_step="read what Compose says:\n" + done.stderr[-1000:] + self.logs()[-1500:],
            )
        return time.perf_counter() - started

    def logs(self) -> str:
        """Return what the services printed."""
        return self._run("logs", "--no-color").stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._run("down", "--volumes", "--timeout", "1")

    def _run(self, *arguments: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        command = [*self._command, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=self._env)
