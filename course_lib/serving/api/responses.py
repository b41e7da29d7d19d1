"""Error responses (RFC 9457, problem details): one shape for all, their handlers, their place in OpenAPI."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from course_lib.features import NAMES
from course_lib.serving.api.schemas import Problem
from course_lib.serving.errors import ServingError

__all__ = ["JSON", "add_error_handlers", "problem", "problems", "require_json"]

JSON = "application/json"
_PROBLEM = "application/problem+json"
_MAX_ERRORS = 20  # of one request that are listed
_MEANINGS = {
    400: "The body is not JSON.",
    413: "The body is too large.",
    415: "The body is not announced as application/json.",
    422: "A field is refused; `errors` names it.",
    429: "Too many requests are waiting: slow down.",
    500: "An unforeseen error; the log knows more under the request id.",
    503: "No model yet, the deadline passed, or the service is stopping: try again.",
}


def problem(
    status: int,
    detail: str,
    request_id: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error response.

    Parameters
    ----------
    status
        HTTP status.
    detail
        What is wrong with this request, for its sender.
    request_id
        The id under which the log knows it.
    errors
        Refused fields: ``field`` and ``problem`` of each.
    headers
        Further headers, such as ``Retry-After``.
    """
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    body |= {"detail": detail, "request_id": request_id, "errors": list(errors)}
    content = json.dumps(body, separators=(",", ":"))
    return Response(content, status, dict(headers or {}), media_type=_PROBLEM)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses=`` of a route that can fail with ``statuses``; without any, all that a body can cause."""
    return {status: {"description": _MEANINGS[status], "model": Problem} for status in statuses or _MEANINGS}


def require_json(content_type: str) -> None:
    """Refuse a body of another type with 415."""
    if content_type.partition(";")[0].strip().lower() != JSON:
        raise HTTPException(415, f"The body is of type {content_type[:80] or '(none given)'}; send application/json.")


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of ``app`` as a problem, and say so in its OpenAPI document."""
    app.add_exception_handler(RequestValidationError, _refused)
    app.add_exception_handler(ServingError, _serving_error)
    app.add_exception_handler(HTTPException, _http_error)
    described = app.openapi

    def openapi() -> dict[str, Any]:
        # FastAPI files a response's model under the media type of the route. Problems have one of their own.
        document = described()
        for operation in (one for path in document["paths"].values() for one in path.values()):
            for status, response in operation["responses"].items():
                if int(status) >= 400 and _PROBLEM not in response["content"]:
                    response["content"] = {_PROBLEM: next(iter(response["content"].values()))}
        return document

    app.openapi = openapi  # type: ignore[method-assign] # the way that FastAPI's manual shows


async def _refused(request: Request, error: Exception) -> Response:
    """Answer 400 for a body that is no JSON, and 422 with the names of the fields for one that is no flight."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    first = found[0]
    if first["type"] == "json_invalid" or (first["type"], first["loc"]) == ("missing", ("body",)):
        reason = first.get("ctx", {}).get("error", "it is empty")
        return problem(400, f"The body is not JSON: {reason}.", _id(request))
    listed = [{"field": _field(one), "problem": _words(one)} for one in found]
    for one in listed:
        name = one["field"].rpartition(".")[2]
        request.app.state.service.metrics.refused.labels(name if name in NAMES else "other").inc()
    names = [one["field"][:60] for one in listed[:_MAX_ERRORS]]
    request.scope["log"] = {"refused": names}
    detail = f"Refused: {', '.join(names[:5])}{' …' if len(listed) > 5 else ''}."
    return problem(422, detail, _id(request), errors=listed[:_MAX_ERRORS])


def _field(found: Mapping[str, Any]) -> str:
    return ".".join(map(str, found["loc"][1:])) or "body"  # the first place is "body" itself


def _words(found: Mapping[str, Any]) -> str:
    return "Input should be a whole number" if found["type"] == "multiple_of" else str(found["msg"])


async def _serving_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServingError)
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s is not None else {}
    request.scope["log"] = {"reason": type(error).__name__}
    if error.status >= 500 and error.retry_after_s is None:
        raise error  # not foreseen: the middleware logs it and says nothing
    return problem(error.status, f"{error.happened} {error.next_step}.", _id(request), headers=headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), _id(request), headers=error.headers)


def _id(request: Request) -> str:
    return str(request.scope["request_id"])
