"""REST API of the desk (FastAPI): predictions for one flight, for many and as a stream; health, readiness, metrics.

This is the service to copy: bodies and answers are typed, what a handler needs is injected, errors are raised and
answered in one place, and FastAPI writes the OpenAPI document from all of that. ``fast_route`` shows what it costs.

The handlers and dependencies are ``async`` and never block: validation and scoring of one flight take less than handing
them to a thread. What does take time (loading the model, scoring a thousand flights) runs in a thread.
"""

# No `from __future__ import annotations` here: FastAPI reads the annotations, and can't resolve names of a function.
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse
from fastapi.telemetry import TelemetryConfig

from course_lib import sse
from course_lib.features import NAMES
from course_lib.serving.api import fast_route
from course_lib.serving.api.body_limit import BodyLimit
from course_lib.serving.api.responses import add_error_handlers, problems, require_json
from course_lib.serving.api.schemas import (
    BatchPrediction,
    Flight,
    ModelInfo,
    Prediction,
    Status,
    flights_model,
    row_of,
    rows_of,
)
from course_lib.serving.api.service import Service
from course_lib.serving.api.settings import Settings
from course_lib.serving.api.telemetry import Telemetry
from course_lib.serving.errors import ServingError
from course_lib.serving.model import ModelSource

__all__ = ["create_app"]

_DOCS = Path(__file__).parent / "docs.html"
_NO_TRACING: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}  # we have our own, see telemetry.py


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
    app.state.service = service
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    app.add_middleware(Telemetry, metrics=service.metrics, closing=lambda: service.state == "stopping")
    add_error_handlers(app)
    _add_prediction_routes(app, settings.max_rows)
    _add_status_routes(app)
    if settings.direct_route:
        fast_route.install(app, service)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the model in the background, so that the service lives meanwhile; stop it when the server stops."""
    service: Service = app.state.service
    loading = asyncio.create_task(service.start())
    try:
        yield
    finally:
        await service.stop()
        await loading


async def _service(request: Request) -> Service:  # `async`: FastAPI would call a `def` dependency in a thread
    service: Service = request.app.state.service
    return service


async def _json_only(request: Request) -> None:
    require_json(request.headers.get("content-type", ""))


Served = Annotated[Service, Depends(_service)]


def _add_prediction_routes(app: FastAPI, max_rows: int) -> None:
    if TYPE_CHECKING:
        from course_lib.serving.api.schemas import Flights
    else:
        Flights = flights_model(max_rows)  # the same class, with the limit of this service
    takes_json: dict[str, Any] = {"dependencies": [Depends(_json_only)], "responses": problems()}

    @app.post("/predict", **takes_json)
    async def predict(flight: Flight, service: Served, request: Request) -> Prediction:
        """Return the probability that one flight arrives late."""
        probability = await service.predict(row_of(flight))
        service.metrics.predictions.observe(probability)
        request.scope["log"] = {"rows": 1, "model_version": service.model.version}
        return Prediction(late_probability=probability, model_version=service.model.version)

    @app.post("/predict/batch", **takes_json)
    async def predict_batch(body: Flights, service: Served, request: Request) -> BatchPrediction:
        """Return the probabilities of several flights, in the same order."""
        probabilities = await service.predict_bulk(rows_of(body.flights))
        service.metrics.predicted(probabilities)
        request.scope["log"] = {"rows": len(probabilities), "model_version": service.model.version}
        return BatchPrediction(late_probabilities=probabilities, model_version=service.model.version)

    @app.post("/predict/stream", response_class=StreamingResponse, **takes_json | {"responses": problems() | _EVENTS})
    async def predict_stream(body: Flights, service: Served, request: Request) -> StreamingResponse:
        """Return the probabilities of several flights as server-sent events, each as soon as it is known."""
        rows = rows_of(body.flights)
        request.scope["log"] = {"rows": len(rows), "model_version": service.model.version}
        return StreamingResponse(_events(service, rows), media_type="text/event-stream", headers=_NO_STORE)


def _add_status_routes(app: FastAPI) -> None:
    @app.get("/health")
    async def health() -> Status:
        """Say that the process lives. It asks nothing of anyone: what fails here gets the process restarted."""
        return Status(status="alive")

    @app.get("/ready", responses=problems(503))
    async def ready(service: Served) -> Status:
        """Say whether traffic is welcome. What fails here only takes the process out of the balancer for a while."""
        if service.state != "ready":
            raise HTTPException(503, f"Not ready: {service.state}.", headers={"Retry-After": "1"})
        return Status(status="ready")

    @app.get("/model", responses=problems(503))
    async def model(service: Served) -> ModelInfo:
        """Say which model answers."""
        found = service.model
        return ModelInfo(version=found.version, run_id=found.run_id, sha256=found.sha256, features=list(NAMES))

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics(service: Served) -> PlainTextResponse:
        """Return the metrics in Prometheus' text format."""
        return PlainTextResponse(service.metrics.exposition(), media_type="text/plain; version=0.0.4")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        """Return a page for people. FastAPI's own loads scripts from a server elsewhere; this one needs no network."""
        return FileResponse(_DOCS, media_type="text/html; charset=utf-8")


_NO_STORE = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy must pass events on at once
_NAMES: dict[str, Any] = {"type": "string", "enum": ["prediction", "done", "error"]}
_EVENT = {"type": "object", "properties": {"event": _NAMES, "data": {"type": "string"}}}
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events", "content": {"text/event-stream": {"schema": _EVENT}}}
}


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
