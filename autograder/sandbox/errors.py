"""Exceptions of the sandbox: what can go wrong with running a submission, apart from the submission itself."""

from __future__ import annotations

from course_lib.errors import CourseError

__all__ = ["ExecutionError", "SandboxUnavailable"]


class ExecutionError(CourseError):
    """The machinery that runs submissions failed."""


class SandboxUnavailable(ExecutionError):
    """No sandbox can be had on this machine, and running without one was not asked for."""
