r"""Optimised route of ``POST /predict``: the contract of ``app.predict`` without FastAPI between request and model.

For a handler of a fraction of a millisecond the framework is the larger part of a request: it solves dependencies,
opens exit stacks, parses JSON into Python objects, validates these, validates the answer, and serialises it. This route
does none of that. It reads the body, lets Pydantic validate its bytes in one step, and writes the answer as text.

The route itself stays FastAPI's: matching, error handlers and the OpenAPI document come from the declaration in
``app``, so what is promised is the same. The lines below are kept equal by hand, and one set of tests holds both to the
contract. That is the price. Measure before paying it (``benchmarks/serving.py``): where a handler waits for a database,
nobody would notice.

One difference is left: Python's JSON parser reads half a surrogate pair (``\ud800``), and the field is refused with
422; Pydantic's does not, and the body is refused with 400.
"""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from course_lib.serving.responses import JSON, require_json
from course_lib.serving.schemas import Flight, row_of
from course_lib.serving.service import Service

__all__ = ["install"]


def install(app: FastAPI, service: Service) -> None:
    """Let ``POST /predict`` of ``app`` be answered directly."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.path == "/predict":
            route.app = _direct(service)


def _direct(service: Service) -> ASGIApp:
    async def predict(scope: Scope, receive: Receive, send: Send) -> None:
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        require_json(kind.decode("latin-1"))
        flight = _parse(await Request(scope, receive).body())
        probability = await service.predict(row_of(flight))
        service.metrics.predictions.observe(probability)
        version = service.model.version
        scope["log"] = {"rows": 1, "model_version": version}
        answer = f'{{"late_probability":{probability!r},"model_version":"{version}"}}'
        await Response(answer, media_type=JSON)(scope, receive, send)

    return predict


def _parse(body: bytes) -> Flight:
    """Validate a body in one step, straight from its bytes; what is refused is reported as FastAPI reports it."""
    try:
        flight: Flight = Flight.model_validate_json(body)
        return flight
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found])
