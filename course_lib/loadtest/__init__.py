"""Load tests: many clients ask a service at the same time, and every answer and every loss is counted.

``traffic`` keeps connections busy from a thread, ``generator`` does so from a process of its own, and ``locust_runner``
lets Locust's users ask at a fixed pace, more of them step by step. Modules are loaded at first access.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib import lazy

if TYPE_CHECKING:
    from course_lib.loadtest import locust_runner as locust_runner
    from course_lib.loadtest.generator import closed_loop as closed_loop, steps as steps
    from course_lib.loadtest.locust_runner import curve as curve
    from course_lib.loadtest.results import Load as Load, percentile as percentile
    from course_lib.loadtest.traffic import Sample as Sample, Traffic as Traffic, TrafficReport as TrafficReport
else:
    __getattr__, __dir__, __all__ = lazy.attach(__name__)
