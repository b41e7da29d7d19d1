"""What can go wrong around a language model's server."""

from __future__ import annotations

from course_lib.errors import CourseError

__all__ = ["LLMError", "OutOfBlocks"]


class LLMError(CourseError):
    """A language model could not be served, asked, measured or sized."""


class OutOfBlocks(LLMError):
    """The KV cache has no free block left: a sequence has to wait or to be preempted."""
