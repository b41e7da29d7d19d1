"""Stage I, serving: the model behind a REST API, as a batch job, and as a stream of events.

The online path (``app``, ``schemas``, ``model``, ``batching``, ``sse``, ``telemetry``, ``server``) imports FastAPI,
uvicorn, ONNX Runtime, NumPy, Pydantic and prometheus-client, and nothing else: no pandas, scikit-learn or MLflow. A
small image can therefore run ``python -m course_lib.serving``. Modules are loaded at first access.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "Settings": "settings",
    "create_app": "app",
    "load_model": "model",
    "ServingError": "errors",
}
_MODULES = (
    "app",
    "baseline",
    "batch",
    "batching",
    "client",
    "cluster",
    "doubles",
    "figures",
    "hosting",
    "loadtest",
    "model",
    "queue",
    "schemas",
    "server",
    "settings",
    "slo",
    "sse",
    "tasks",
    "telemetry",
    "triton",
    "users",
    "virtual",
)

__all__ = ["ServingError", "Settings", "create_app", "load_model", *_MODULES]  # noqa: PLE0604 - one list, not two


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"course_lib.serving.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"course_lib.serving.{name}")
    raise AttributeError(f"module 'course_lib.serving' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
