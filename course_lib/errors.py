"""The one exception tree of the course: every message says what happened, what was expected, and what to do next."""

from __future__ import annotations

from os import PathLike
from typing import Self

__all__ = [
    "BundleError",
    "CourseError",
    "DataError",
    "EngineError",
    "ExportError",
    "LoadTestError",
    "MonitoringError",
    "PromotionError",
    "RegistryError",
    "RolloutError",
    "TrackingError",
    "UnwritableError",
    "ValidationFailed",
]


class CourseError(Exception):
    """Base class of every error the course raises on purpose.

    Parameters
    ----------
    happened
        What went wrong, in one sentence.
    expected
        What would have been right.
    next_step
        What the reader can do now.
    """

    def __init__(self, happened: str, *, expected: str = "", next_step: str = "") -> None:
        self.happened = happened
        self.expected = expected
        self.next_step = next_step
        parts = [happened]
        if expected:
            parts.append(f"Expected: {expected}")
        if next_step:
            parts.append(f"Next: {next_step}")
        super().__init__("\n".join(parts))


class UnwritableError(CourseError):
    """A file or folder cannot be written: no permission, no room, or something else is in its place."""

    @classmethod
    def of(cls, place: str | PathLike[str], error: OSError) -> Self:
        """Return the error for ``place``, with what the operating system said of it."""
        return cls(
            f"{place} cannot be written: {error.strerror or error}.",
            expected="a folder that you may write to, with room left",
            next_step="choose another place, change its permissions, or make room, and repeat the command",
        )


class DataError(CourseError):
    """Data are missing, empty, corrupt or not of the expected shape."""


class ValidationFailed(DataError):
    """A batch of flights broke the schema and was not accepted."""


class TrackingError(CourseError):
    """The experiment store could not be used, or an old run could not be read."""


class RegistryError(CourseError):
    """A model name, version or alias is not in the registry."""


class PromotionError(RegistryError):
    """A challenger was refused by the promotion gate."""


class EngineError(CourseError):
    """A server or tool of this machine is missing, did not start, or stopped."""


class ExportError(CourseError):
    """A pipeline could not be converted to ONNX."""


class BundleError(CourseError):
    """A bundle is changed, incomplete, unsigned or of an unknown format, and was refused."""


class LoadTestError(CourseError):
    """A load test could not be carried out: what it measured would say nothing about the service."""


class MonitoringError(CourseError):
    """A metric, rule, alert or dashboard is wrong, or could not be delivered."""


class RolloutError(CourseError):
    """A rollout could not be carried out; the version that was in service still is."""
