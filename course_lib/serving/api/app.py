"""The REST API of the desk: predictions for one flight, for many and as a stream; health, readiness, model and metrics.

The handlers are ``async`` and never block: validation and scoring of one flight take less than handing them to a
thread. What does take time (loading the model, scoring a thousand flights) runs in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from course_lib.features import NAMES
from course_lib.serving.api import openapi, sse
from course_lib.serving.api.responses import JSON, problem
from course_lib.serving.api.schemas import BatchPrediction, Flight, ModelInfo, Prediction, Status, flights_model, row_of
from course_lib.serving.api.service import Service
from course_lib.serving.api.settings import Settings
from course_lib.serving.api.telemetry import Telemetry
from course_lib.serving.errors import ServingError
from course_lib.serving.model import ModelSource

__all__ = ["create_app"]

_DOCS = Path(__file__).parent / "docs.html"
_MAX_ERRORS = 20  # of one request that are listed
_NO_TRACING: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}  # we have our own, see telemetry.py


class DirectRoute(APIRoute):
    """A documented route whose handler takes the request and returns the response: nothing to inject or to convert.

    FastAPI's own path (dependencies, exit stacks, serialisation) costs a third of a request here. It is worth its price
    for handlers that use it.
    """

    def __init__(self, path: str, endpoint: Callable[[Request], Awaitable[Response]], **options: Any) -> None:
        super().__init__(path, endpoint, **options)

        async def direct(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = direct


def create_app(source: ModelSource, settings: Settings | None = None) -> FastAPI:
    """Return the service as an ASGI application; the model is loaded when it starts.

    Parameters
    ----------
    source
        Folder of a bundle, a registry alias (:class:`course_lib.serving.model.Registered`), or a function that returns
        a model.
    settings
        Limits; by default those of :class:`Settings`.

    Notes
    -----
    Statuses: 400 the body is no JSON · 413 it is too large · 415 it is of another type · 422 a field is refused, and
    named · 429 too many requests wait · 503 no model yet, the deadline passed, or the service is stopping · 500 an
    unforeseen error, with an id for the log and nothing else.
    """
    settings = settings or Settings()
    service = Service(source, settings)
    app = FastAPI(
        title="Late-flight desk", version="1", lifespan=_lifespan, docs_url=None, redoc_url=None, telemetry=_NO_TRACING
    )
    app.router.route_class = DirectRoute
    app.state.service = service
    app.add_middleware(Telemetry, metrics=service.metrics, closing=lambda: service.state == "stopping")
    app.add_exception_handler(ServingError, _serving_error)
    app.add_exception_handler(HTTPException, _http_error)
    _add_prediction_routes(app, service)
    _add_status_routes(app, service)
    openapi.document(app, flights_model(settings.max_rows))
    app.add_api_route("/docs", _docs, include_in_schema=False)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    loading = asyncio.create_task(service.start())
    try:
        yield
    finally:
        await service.stop()
        await loading


def _add_prediction_routes(app: FastAPI, service: Service) -> None:
    limit = service.settings.max_body_bytes
    flights = flights_model(service.settings.max_rows)

    @app.post("/predict", response_model=Prediction, **openapi.accepts("Flight"))
    async def predict(request: Request) -> Response:
        """Return the probability that one flight arrives late."""
        flight = _parse(Flight, await _body(request, limit), service)
        probability = await service.predict(row_of(flight))
        service.metrics.predictions.observe(probability)
        version = service.model.version
        request.scope["log"] = {"rows": 1, "model_version": version}
        return Response(f'{{"late_probability":{probability!r},"model_version":"{version}"}}', media_type=JSON)

    @app.post("/predict/batch", response_model=BatchPrediction, **openapi.accepts("Flights"))
    async def predict_batch(request: Request) -> Response:
        """Return the probabilities of several flights, in the same order."""
        rows = _rows(_parse(flights, await _body(request, limit), service))
        probabilities = await service.predict_bulk(rows)
        service.metrics.predicted(probabilities)
        version = service.model.version
        request.scope["log"] = {"rows": len(rows), "model_version": version}
        answer = BatchPrediction(late_probabilities=probabilities, model_version=version)
        return Response(answer.model_dump_json(), media_type=JSON)

    @app.post("/predict/stream", response_class=StreamingResponse, **openapi.accepts("Flights", streams=True))
    async def predict_stream(request: Request) -> Response:
        """Return the probabilities of several flights as server-sent events, each as soon as it is known."""
        rows = _rows(_parse(flights, await _body(request, limit), service))
        request.scope["log"] = {"rows": len(rows), "model_version": service.model.version}
        return StreamingResponse(_events(service, rows), media_type="text/event-stream", headers=_NO_STORE)


def _add_status_routes(app: FastAPI, service: Service) -> None:
    @app.get("/health", response_model=Status)
    async def health(_: Request) -> Response:
        """Say that the process lives. It asks nothing of anyone: what fails here gets the process restarted."""
        return Response(b'{"status":"alive"}', media_type=JSON)

    @app.get("/ready", response_model=Status, **openapi.may_be_unready())
    async def ready(request: Request) -> Response:
        """Say whether traffic is welcome. What fails here only takes the process out of the balancer for a while."""
        if service.state == "ready":
            return Response(b'{"status":"ready"}', media_type=JSON)
        return problem(503, f"Not ready: {service.state}.", request.scope["request_id"], headers={"Retry-After": "1"})

    @app.get("/model", response_model=ModelInfo, **openapi.may_be_unready())
    async def model(_: Request) -> Response:
        """Say which model answers."""
        found = service.model
        info = ModelInfo(version=found.version, run_id=found.run_id, sha256=found.sha256, features=list(NAMES))
        return Response(info.model_dump_json(), media_type=JSON)

    @app.get("/metrics", response_class=Response, **openapi.plain_text())
    async def metrics(_: Request) -> Response:
        """Return the metrics in Prometheus' text format."""
        return Response(service.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _docs(_: Request) -> Response:
    """Return a page for people. FastAPI's own loads its scripts from a server elsewhere; this one needs no network."""
    return Response(_DOCS.read_bytes(), media_type="text/html; charset=utf-8")


_NO_STORE = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy must pass events on at once


async def _events(service: Service, rows: list[tuple[Any, ...]]) -> AsyncIterator[bytes]:
    """Score one flight after the other; an error ends the stream with an event, because the status is long sent."""
    for index, row in enumerate(rows):
        try:
            probability = await service.predict(row)
        except ServingError as error:
            yield sse.encode("error", {"index": index, "detail": error.happened})
            return
        service.metrics.predictions.observe(probability)
        yield sse.encode("prediction", {"index": index, "late_probability": probability})
    yield sse.encode("done", {"count": len(rows)})


def _rows(parsed: BaseModel) -> list[tuple[Any, ...]]:
    return [row_of(flight) for flight in parsed.flights]  # type: ignore[attr-defined]


async def _body(request: Request, limit: int) -> bytes:
    """Read the body, and stop as soon as it is too large: the announced length may be missing or a lie."""
    kind, length = "", ""
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            kind = value.decode("latin-1")
        elif name == b"content-length":
            length = value.decode("latin-1")
    if kind.partition(";")[0].strip().lower() != JSON:
        raise HTTPException(415, f"The body is of type {kind[:80] or '(none given)'}; send application/json.")
    if length.isdecimal() and int(length) > limit:
        _too_large(limit)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(limit: int) -> NoReturn:
    raise HTTPException(413, f"The body is larger than {limit:,} bytes; send fewer flights at a time.")


class _Refused(HTTPException):
    """Carries the refused fields to the error handler."""

    def __init__(self, status: int, detail: str, errors: list[dict[str, str]]) -> None:
        super().__init__(status, detail)
        self.errors = errors


def _parse(schema: type[BaseModel], body: bytes, service: Service) -> BaseModel:
    """Validate a body in one step, straight from its bytes."""
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
    if found[0]["type"] == "json_invalid":
        raise HTTPException(400, f"The body is not JSON: {found[0]['msg'].removeprefix('Invalid JSON: ')}.")
    problems = [{"field": ".".join(map(str, one["loc"])) or "body", "problem": _words(one)} for one in found]
    for one in problems:
        field = one["field"].rpartition(".")[2]
        service.metrics.refused.labels(field if field in NAMES else "other").inc()
    listed = problems[:_MAX_ERRORS]
    names = ", ".join(one["field"][:60] for one in listed[:5])
    raise _Refused(422, f"Refused: {names}{' …' if len(problems) > 5 else ''}.", listed)


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
    errors = getattr(error, "errors", [])
    headers: Mapping[str, str] = error.headers or {}
    if errors:
        request.scope["log"] = {"refused": [one["field"][:60] for one in errors]}
    return problem(error.status_code, str(error.detail), _id(request), errors=errors, headers=headers)


def _id(request: Request) -> str:
    return str(request.scope["request_id"])
