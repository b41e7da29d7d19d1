"""What can go wrong while serving, each with the HTTP status that tells the caller whose turn it is to act."""

from __future__ import annotations

from course_lib.errors import CourseError

__all__ = ["DeadlineExceeded", "ModelUnavailable", "QueueFull", "ServingError", "Stopping"]


class ServingError(CourseError):
    """Base class: a request could not be answered.

    Attributes
    ----------
    status
        HTTP status (RFC 9110, RFC 6585).
    retry_after_s
        Seconds after which trying again makes sense; ``None`` if it does not.
    """

    status = 500
    retry_after_s: int | None = None


class QueueFull(ServingError):
    """More requests are waiting than may wait: the caller should slow down."""

    status = 429
    retry_after_s = 1


class DeadlineExceeded(ServingError):
    """The answer would come too late to be of use, so it was not computed."""

    status = 503
    retry_after_s = 1


class ModelUnavailable(ServingError):
    """The service lives, but has no model that can answer (yet)."""

    status = 503
    retry_after_s = 1


class Stopping(ServingError):
    """The service is shutting down and takes nothing new."""

    status = 503
    retry_after_s = 1
