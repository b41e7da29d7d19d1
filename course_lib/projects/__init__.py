"""After the notebooks: three practice projects, each started with a command and graded by the course.

``python -m course_lib.projects start model-api DIR`` writes a starting repository; ``python -m autograder project DIR``
says, requirement by requirement, what holds.
"""

from __future__ import annotations

from course_lib.projects.start import KINDS, StartError, start

__all__ = ["KINDS", "StartError", "start"]
