"""The wire protocols that the gateway speaks, one module each. To add one, write its module and name it here."""

from __future__ import annotations

from course_lib.llm.gateway.protocols.azure import Azure
from course_lib.llm.gateway.protocols.base import Protocol, Route
from course_lib.llm.gateway.protocols.bedrock import Bedrock
from course_lib.llm.gateway.protocols.gemini import Gemini
from course_lib.llm.gateway.protocols.ollama import Ollama
from course_lib.llm.gateway.protocols.openai import OpenAI
from course_lib.llm.gateway.protocols.vertex import Vertex

__all__ = ["PROTOCOLS", "Protocol", "Route"]

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol for protocol in (OpenAI(), Azure(), Bedrock(), Gemini(), Vertex(), Ollama())
}
