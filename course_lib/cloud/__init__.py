"""Stage I, the clouds: which path to deploy on, every provider through its own SDK, Kubernetes, and what it all costs.

Each SDK is imported in one module (``aws``, ``azure``, ``gcp``) and talks to an emulator on this machine; the real
cloud needs two deliberate acts (see ``credentials``). Modules are loaded at first access, an SDK at its first call.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "CloudError": "errors",
    "Emulators": "emulators",
    "Need": "matrix",
    "choose": "matrix",
    "review": "kubernetes",
    "simulate_rollout": "rolling",
    "validate": "kubernetes",
}
_MODULES = (
    "alarms",
    "aws",
    "azure",
    "blob_standin",
    "container",
    "costs",
    "credentials",
    "emulators",
    "endpoints",
    "errors",
    "figures",
    "gcp",
    "hosting",
    "kubernetes",
    "kubernetes_review",
    "manifests",
    "matrix",
    "paths",
    "plan",
    "policies",
    "prices",
    "rehearsal",
    "rolling",
    "stack",
    "storage",
    "teardown",
)

__all__ = sorted([*_HOMES, *_MODULES])  # noqa: PLE0605 - one list, not two


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"course_lib.cloud.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"course_lib.cloud.{name}")
    raise AttributeError(f"module 'course_lib.cloud' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
