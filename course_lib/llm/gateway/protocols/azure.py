"""Azure OpenAI: OpenAI's bodies at Azure's paths. A *deployment* stands for the model, and the API has a version.

Source: Microsoft Learn, "Azure OpenAI in Microsoft Foundry Models REST API reference".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from course_lib.llm.gateway.errors import GatewayError, UnknownModel
from course_lib.llm.gateway.neutral import Call, ChatRequest
from course_lib.llm.gateway.protocols.base import Failure, Route
from course_lib.llm.gateway.protocols.openai import OpenAI

__all__ = ["Azure"]

_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?|v1|preview|latest")


class MissingVersion(GatewayError):
    """The path is one of those that exist only with ``api-version``."""

    kind = "missing_version"


class Azure(OpenAI):
    """The deployments path, and the newer ``/openai/v1`` path that needs no version."""

    name: ClassVar[str] = "azure"
    routes: ClassVar[Sequence[Route]] = (
        Route("/openai/deployments/{deployment}/chat/completions"),
        Route("/openai/v1/chat/completions"),
    )
    list_path: ClassVar[str] = "/openai/v1/models"

    def read(self, call: Call) -> ChatRequest:
        """Read a question; in the path, the deployment wins over the body's model."""
        deployment = call.path.get("deployment")
        if deployment is None:
            return super().read(call)
        if not _VERSION.fullmatch(call.query.get("api-version", "")):
            raise MissingVersion("The query has no api-version.", expected="for example ?api-version=2024-10-21")
        return replace(super().read(replace(call, body={"model": deployment} | dict(call.body))), model=deployment)

    def failure(self, error: GatewayError, call: Mapping[str, str]) -> Failure:
        """Write an error object; two errors are Azure's own."""
        if isinstance(error, MissingVersion):
            return Failure(404, {"error": {"code": "404", "message": "Resource not found"}}, {})
        if isinstance(error, UnknownModel):
            text = (
                "The API deployment for this resource does not exist. If you created the deployment within the last 5 "
                "minutes, please wait a moment and try again."
            )
            return Failure(404, {"error": {"code": "DeploymentNotFound", "message": text}}, {})
        return super().failure(error, call)
