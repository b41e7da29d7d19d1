from __future__ import annotations

from tests.autograder.conftest import tiny_course

__all__ = ["tiny_course"]
