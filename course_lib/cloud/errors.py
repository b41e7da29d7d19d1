"""Errors of the clouds."""

from __future__ import annotations

from course_lib.errors import CourseError

__all__ = ["CloudError", "PolicyError", "RealCloudRefused"]


class CloudError(CourseError):
    """A cloud, real or emulated, could not be used as asked."""


class RealCloudRefused(CloudError):
    """Something would have reached a real cloud, and nobody had asked for that."""


class PolicyError(CloudError):
    """An IAM policy cannot be read."""
