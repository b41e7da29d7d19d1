"""Stage I, the clouds: which path to deploy on, Kubernetes manifests that survive an update, and what it all costs.

Modules are loaded at first access; a provider's SDK only when something of it is called.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "CloudError": "errors",
    "Need": "matrix",
    "choose": "matrix",
    "review": "kubernetes",
    "simulate_rollout": "rolling",
    "validate": "kubernetes",
}
_MODULES = (
    "costs",
    "errors",
    "figures",
    "kubernetes",
    "kubernetes_review",
    "manifests",
    "matrix",
    "paths",
    "plan",
    "prices",
    "rolling",
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
