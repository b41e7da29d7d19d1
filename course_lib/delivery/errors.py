"""Errors on the way from a commit to a delivery."""

from __future__ import annotations

from course_lib.errors import CourseError

__all__ = ["DeliveryError", "GateError", "WorkflowError"]


class DeliveryError(CourseError):
    """A tool of the delivery could not do its work: this is not the same as a red run."""


class WorkflowError(DeliveryError):
    """A workflow cannot be read, or asks for something that this machine cannot do."""


class GateError(DeliveryError):
    """The gate cannot judge: a number is missing, not finite, or rests on too few rows."""
