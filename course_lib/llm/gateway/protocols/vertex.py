"""Vertex AI's generateContent: the Gemini API's bodies at a path that names project and region.

Source: Vertex AI REST reference, "projects.locations.publishers.models".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from course_lib.llm.gateway.protocols.base import Route
from course_lib.llm.gateway.protocols.gemini import Gemini

__all__ = ["Vertex"]

_MODEL = "/projects/{project}/locations/{location}/publishers/google/models/{model}"


class Vertex(Gemini):
    """The same protocol as Gemini's, for a model of a project in a region."""

    name: ClassVar[str] = "vertex"
    routes: ClassVar[Sequence[Route]] = tuple(
        Route(f"/{version}{_MODEL}:{method}", streams=method.startswith("stream"))
        for version in ("v1", "v1beta1")
        for method in ("generateContent", "streamGenerateContent")
    )
    list_path: ClassVar[str] = ""

    def _unknown(self, model: str, call: Mapping[str, str]) -> str:
        where = f"projects/{call.get('project')}/locations/{call.get('location')}/publishers/google/models/{model}"
        return (
            f"Publisher Model `{where}` was not found or your project does not have access to it. Please ensure you "
            "are using a valid model version."
        )
