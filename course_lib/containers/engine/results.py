"""Results of a build, a run and a stop, the same in every mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

__all__ = ["Build", "Mode", "Running", "Step", "Stopped"]

Mode = Literal["docker", "podman", "plan"]


@dataclass(frozen=True)
class Step:
    """One step of a build.

    Attributes
    ----------
    text
        The instruction.
    cached
        Whether it was taken from the cache.
    seconds
        How long it took; ``None`` where the engine does not tell.
    """

    text: str
    cached: bool
    seconds: float | None = None


@dataclass(frozen=True)
class Build:
    """An image that was built, or planned.

    Attributes
    ----------
    mode
        Who did it.
    tag
        Name of the image.
    steps
        What was run, in order.
    seconds
        The whole build; ``None`` in plan mode, where nothing is installed.
    size
        Bytes of the image; estimated in plan mode.
    layers
        Text and bytes of each layer that is not empty, base first.
    log
        What the builder printed.
    """

    mode: Mode
    tag: str
    steps: tuple[Step, ...]
    seconds: float | None
    size: int
    layers: tuple[tuple[str, int], ...]
    log: str = ""

    @property
    def ran(self) -> tuple[str, ...]:
        """The steps that were not taken from the cache."""
        return tuple(step.text for step in self.steps if not step.cached)


@dataclass(frozen=True)
class Stopped:
    """How a container ended: seconds from the request to its end, and its exit code (137: killed)."""

    seconds: float
    exit_code: int


class Running(Protocol):
    """A container, or in plan mode a process, that serves on the loopback address."""

    mode: Mode
    url: str

    def wait_ready(self, path: str = "/ready", *, timeout: float = 60.0) -> Self:
        """Wait until a GET of ``path`` is answered with a status below 400."""
        ...

    def health(self) -> str:
        """Return what the HEALTHCHECK says now: ``starting``, ``healthy``, ``unhealthy``, or ``none``."""
        ...

    def execute(self, *command: str) -> tuple[int, str]:
        """Run a command beside the server; return its exit code and output."""
        ...

    def logs(self) -> str:
        """Return what the server printed."""
        ...

    def stop(self, *, grace: int = 10) -> Stopped:
        """Send SIGTERM, after ``grace`` seconds SIGKILL, and remove the container."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: Any) -> None: ...
