"""Stage I for language models: servers, the memory they keep, who gets the processor next, and the clouds' protocols.

Modules are loaded at first access; vLLM, llama.cpp and transformers run in processes of their own.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "LLMServer": "servers",
    "attach": "servers",
    "open_server": "servers",
}
_MODULES = (
    "servers",
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
    return sorted(__all__)
