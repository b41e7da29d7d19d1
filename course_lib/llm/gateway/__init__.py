"""One gateway that speaks the providers' protocols in front of a local model, so that their own SDKs work against it.

OpenAI, Azure OpenAI, Amazon Bedrock (Converse, ConverseStream), the Gemini API, Vertex AI and Ollama. Run it with
``python -m course_lib.llm.gateway --upstream http://127.0.0.1:8000/v1 --model smollm2-135m``, or in a notebook::

    with open_server() as server, open_gateway(server, aliases=["gpt-4o-mini"]) as gateway:
        OpenAI(base_url=f"{gateway.url}/v1", api_key="unused")

Modules are loaded at first access.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib import lazy

if TYPE_CHECKING:
    from course_lib.llm.gateway import (
        app as app,
        errors as errors,
        eventstream as eventstream,
        hosting as hosting,
        neutral as neutral,
        protocols as protocols,
        settings as settings,
        upstream as upstream,
    )
    from course_lib.llm.gateway.app import create_gateway as create_gateway
    from course_lib.llm.gateway.errors import GatewayError as GatewayError
    from course_lib.llm.gateway.hosting import open_gateway as open_gateway
    from course_lib.llm.gateway.protocols import PROTOCOLS as PROTOCOLS
    from course_lib.llm.gateway.settings import Settings as Settings
else:
    __getattr__, __dir__, __all__ = lazy.attach(__name__)
