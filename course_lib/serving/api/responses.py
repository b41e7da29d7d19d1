"""Answers: built by hand on the hot path, and one shape for every error (RFC 9457, problem details)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

__all__ = ["JSON", "problem"]

JSON = "application/json"


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
    return Response(content, status, dict(headers or {}), media_type="application/problem+json")
