"""Stage I in the clouds: AWS, Azure, Google Cloud and Kubernetes, each through its own tools, for nothing.

Every provider's SDK is imported in one module (``aws``, ``azure``, ``gcp``) and talks to an emulator on this machine.
The real cloud needs two deliberate acts: see :mod:`course_lib.cloud.credentials`. Modules are loaded at first access.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

_MODULES = (
    "alarms",
    "aws",
    "azure",
    "blob_standin",
    "container",
    "credentials",
    "emulators",
    "endpoints",
    "errors",
    "figures",
    "gcp",
    "hosting",
    "policies",
    "stack",
    "storage",
    "teardown",
)

__all__ = list(_MODULES)


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:
        return import_module(f"course_lib.cloud.{name}")
    raise AttributeError(f"module 'course_lib.cloud' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
