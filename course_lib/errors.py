"""The one exception tree of the course: every message says what happened, what was expected, and what to do next."""

from __future__ import annotations

__all__ = [
    "BundleError",
    "CourseError",
    "DataError",
    "EngineError",
    "ExportError",
    "MonitoringError",
    "PromotionError",
    "RegistryError",
    "RolloutError",
    "TrackingError",
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


class MonitoringError(CourseError):
    """A metric, rule, alert or dashboard is wrong, or could not be delivered."""


class RolloutError(CourseError):
    """A rollout could not be carried out; the version that was in service still is."""
