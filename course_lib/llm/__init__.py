"""Stage I, deployment of language models: the KV cache, batching, servers, clients and what they cost.

The teaching code (``kv_cache``, ``scheduler``, ``transformer``) needs NumPy alone, and each file reads in one sitting.
Modules are loaded at first access.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "Client": "client",
    "CostModel": "scheduler",
    "LLMError": "errors",
    "LLMServer": "servers",
    "ModelShape": "sizing",
    "PagedCache": "kv_cache",
    "Request": "trace",
    "attach": "servers",
    "open_server": "servers",
}
_MODULES = (
    "client",
    "errors",
    "figures",
    "gateway",
    "gguf",
    "kv_cache",
    "loadtest",
    "meters",
    "quantisation",
    "referee",
    "scheduler",
    "servers",
    "sizing",
    "sse",
    "timing",
    "trace",
    "transformer",
    "weights",
)

__all__ = sorted([*_HOMES, *_MODULES])  # noqa: PLE0605 - one list, not two


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"course_lib.llm.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"course_lib.llm.{name}")
    raise AttributeError(f"module 'course_lib.llm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
