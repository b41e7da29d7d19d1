"""The service: bounds on what comes in, health apart from readiness, and metrics."""

import time

from fastapi import FastAPI, HTTPException, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from tumours import model
from tumours.features import BOUNDS

REQUESTS = Counter("predict_requests_total", "Requests for a prediction.", ["status"])
LATENCY = Histogram("predict_seconds", "Seconds to answer a request for a prediction.")
_BOUNDS = {name: {"ge": low, "le": high, "allow_inf_nan": False} for name, (low, high) in BOUNDS.items()}


class Measurements(BaseModel):
    """One tumour."""

    model_config = ConfigDict(extra="forbid")
    radius: float = Field(**_BOUNDS["radius"])
    texture: float = Field(**_BOUNDS["texture"])
    perimeter: float = Field(**_BOUNDS["perimeter"])
    area: float = Field(**_BOUNDS["area"])
    smoothness: float = Field(**_BOUNDS["smoothness"])
    compactness: float = Field(**_BOUNDS["compactness"])
    concavity: float = Field(**_BOUNDS["concavity"])
    symmetry: float = Field(**_BOUNDS["symmetry"])


class Answer(BaseModel):
    """What the model thinks of it."""

    label: int
    probability: float = Field(ge=0, le=1)


app = FastAPI(title="tumours")


@app.middleware("http")
async def measure(request: Request, call_next):
    """Count and time what is asked of the model."""
    if request.url.path != "/predict":
        return await call_next(request)
    started = time.perf_counter()
    response = await call_next(request)
    LATENCY.observe(time.perf_counter() - started)
    REQUESTS.labels(str(response.status_code)).inc()
    return response


@app.get("/health")
async def health() -> dict:
    """Say that the process lives."""
    return {"alive": True}


@app.get("/ready")
async def ready() -> dict:
    """Say whether it can answer."""
    if not model.path().exists():
        raise HTTPException(503, "there is no model yet: train one")
    return {"ready": True}


@app.post("/predict")
async def predict(measurements: Measurements) -> Answer:
    """Return label and probability of malignancy."""
    if not model.path().exists():
        raise HTTPException(503, "there is no model yet: train one")
    probability = model.predict([measurements.model_dump()])[0]
    return Answer(label=int(probability >= 0.5), probability=probability)


@app.get("/metrics")
async def metrics() -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
