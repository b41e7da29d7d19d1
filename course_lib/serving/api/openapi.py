"""The OpenAPI document of the service: complete enough that a fuzzer can attack the API from it alone."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from course_lib.serving.api.schemas import Flight, Problem

__all__ = ["accepts", "document", "may_be_unready", "plain_text"]

_REF = "#/components/schemas/{model}"
_MEANINGS = {
    400: "The body is not JSON.",
    413: "The body is too large.",
    415: "The body is not announced as application/json.",
    422: "A field is refused; `errors` names it.",
    429: "Too many requests are waiting: slow down.",
    500: "An unforeseen error; the log knows more under the request id.",
    503: "No model yet, the deadline passed, or the service is stopping: try again.",
}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in statuses}


def accepts(schema: str, *, streams: bool = False) -> dict[str, Any]:
    """Return the route options of an endpoint that takes ``schema`` as its body."""
    responses = _problems(*_MEANINGS)
    if streams:
        names: dict[str, Any] = {"type": "string", "enum": ["prediction", "done", "error"]}
        event = {"type": "object", "properties": {"event": names, "data": {"type": "string"}}}
        responses[200] = {"description": "Events", "content": {"text/event-stream": {"schema": event}}}
    content = {"application/json": {"schema": {"$ref": _REF.format(model=schema)}}}
    return {"responses": responses, "openapi_extra": {"requestBody": {"required": True, "content": content}}}


def may_be_unready() -> dict[str, Any]:
    """Return the route options of an endpoint that answers 503 without a model."""
    return {"responses": _problems(503)}


def plain_text() -> dict[str, Any]:
    """Return the route options of an endpoint that answers with text."""
    content = {"text/plain": {"schema": {"type": "string"}}}
    return {"responses": {200: {"description": "Metrics", "content": content}}}


def document(app: FastAPI, flights: type[BaseModel]) -> None:
    """Add to the document what FastAPI cannot see, because the handlers read the body themselves."""
    original = app.openapi
    models: list[tuple[type[BaseModel], Any]] = [(m, "validation") for m in (Flight, flights, Problem)]

    def openapi() -> dict[str, Any]:
        found = original()
        _, definitions = models_json_schema(models, ref_template=_REF)
        found.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
        return found

    app.openapi = openapi  # type: ignore[method-assign]
