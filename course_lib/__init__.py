"""The late-flight desk: one module a stage of the ML lifecycle, from data collection to retraining.

Importing the package is quick because nothing heavy is imported until it is used: every module below is loaded at first
access (PEP 562).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from course_lib import lazy
from course_lib.errors import CourseError

if sys.version_info < (3, 11):  # noqa: UP036 - the reader may have started the wrong interpreter
    raise CourseError(
        f"The course was started with Python {sys.version_info[0]}.{sys.version_info[1]}.",
        expected="Python 3.11 or newer",
        next_step="install a newer Python, delete the folder .venv, and run `make lab` again",
    )

__all__ = ["CourseError"]

if TYPE_CHECKING:
    from course_lib import (
        checks as checks,
        cloud as cloud,
        data as data,
        delivery as delivery,
        engines as engines,
        errors as errors,
        evaluation as evaluation,
        features as features,
        interview as interview,
        llm as llm,
        monitoring as monitoring,
        packaging as packaging,
        plots as plots,
        processes as processes,
        progress as progress,
        projects as projects,
        provenance as provenance,
        registry as registry,
        retraining as retraining,
        rollout as rollout,
        tracking as tracking,
        tracking_store as tracking_store,
        training as training,
        validation as validation,
        wandb_offline as wandb_offline,
    )
else:
    __getattr__, __dir__, __all__ = lazy.attach(__name__)
