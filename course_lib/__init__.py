"""The late-flight desk: one module a stage of the ML lifecycle, from data collection to retraining.

Importing the package is quick because nothing heavy is imported until it is used: every module below is loaded at first
access (PEP 562).
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

from course_lib.errors import CourseError

if sys.version_info < (3, 11):  # noqa: UP036 - the reader may have started the wrong interpreter
    raise CourseError(
        f"The course was started with Python {sys.version_info[0]}.{sys.version_info[1]}.",
        expected="Python 3.11 or newer",
        next_step="install a newer Python, delete the folder .venv, and run `make lab` again",
    )

_MODULES = (
    "checks",
    "cloud",
    "data",
    "delivery",
    "engines",
    "errors",
    "evaluation",
    "features",
    "interview",
    "llm",
    "monitoring",
    "packaging",
    "plots",
    "processes",
    "progress",
    "projects",
    "provenance",
    "registry",
    "retraining",
    "rollout",
    "tracking",
    "tracking_store",
    "training",
    "validation",
    "wandb_offline",
)

__all__ = ["CourseError", *_MODULES]  # noqa: PLE0604 - one list, not two


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:
        return import_module(f"course_lib.{name}")
    raise AttributeError(f"module 'course_lib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
