"""One gateway that speaks the providers' protocols in front of a local model, so that their own SDKs work against it.

OpenAI, Azure OpenAI, Amazon Bedrock (Converse, ConverseStream), the Gemini API, Vertex AI and Ollama. Run it with
``python -m course_lib.llm.gateway --upstream http://127.0.0.1:8000/v1 --model smollm2-135m``, or in a notebook::

    with open_server() as server, open_gateway(server, aliases=["gpt-4o-mini"]) as gateway:
        OpenAI(base_url=f"{gateway.url}/v1", api_key="unused")

Modules are loaded at first access.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "GatewayError": "errors",
    "PROTOCOLS": "protocols",
    "Settings": "settings",
    "create_gateway": "app",
    "open_gateway": "hosting",
}
_MODULES = ("app", "doubles", "errors", "eventstream", "hosting", "neutral", "protocols", "settings", "upstream")

__all__ = sorted([*_HOMES, *_MODULES])  # noqa: PLE0605 - one list, not two


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"course_lib.llm.gateway.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"course_lib.llm.gateway.{name}")
    raise AttributeError(f"module 'course_lib.llm.gateway' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
