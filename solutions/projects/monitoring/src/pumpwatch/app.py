"""The service: predictions, labels that come later, and what the watch has seen."""

from pathlib import Path
from threading import Lock

import numpy as np
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest
from pydantic import BaseModel, Field

from pumpwatch.model import FEATURES
from pumpwatch.watch import Watch


class Row(BaseModel):
    """The readings of one pump."""

    id: str = Field(max_length=64)
    temperature: float = Field(ge=-50, le=300, allow_inf_nan=False)
    pressure: float = Field(ge=-50, le=100, allow_inf_nan=False)
    vibration: float = Field(ge=-50, le=100, allow_inf_nan=False)
    flow: float = Field(ge=-1000, le=5000, allow_inf_nan=False)


class Batch(BaseModel):
    """Readings that belong together."""

    batch: int = Field(ge=0)
    rows: list[Row] = Field(min_length=1, max_length=10_000)


class Labels(BaseModel):
    """What became of the pumps of a batch."""

    batch: int = Field(ge=0)
    labels: dict[str, int]


app = FastAPI(title="pumpwatch")
watch = Watch(Path("state"))
lock = Lock()
registry = CollectorRegistry()
BATCHES = Counter("pump_batches_total", "Batches predicted.", registry=registry)
ALERTS = Counter("pump_alerts_total", "Alerts sent.", registry=registry)
VERSION = Gauge("pump_model_version", "Version of the model in service.", registry=registry)
VERSION.set_function(lambda: watch.model.version)


@app.post("/predict")
def predict(batch: Batch) -> dict:
    """Return a label for each row, in order."""
    values = np.array([[getattr(row, name) for name in FEATURES] for row in batch.rows])
    with lock:
        labels = watch.model.predict(values).tolist()
        before = watch.alerts
        watch.readings(batch.batch, [row.id for row in batch.rows], values)
        ALERTS.inc(watch.alerts - before)
    BATCHES.inc()
    return {"predictions": [{"id": row.id, "label": label} for row, label in zip(batch.rows, labels, strict=True)]}


@app.post("/labels")
def labels(given: Labels) -> dict:
    """Take the labels of a batch that was predicted before."""
    with lock:
        before = watch.alerts
        watch.labels(given.batch, given.labels)
        ALERTS.inc(watch.alerts - before)
    return {"labelled": watch.labelled}


@app.get("/status")
def status() -> dict:
    """Return which batches were looked at, and the version in service."""
    return {"batch": watch.batch, "labelled": watch.labelled, "busy": lock.locked(), "version": watch.model.version}


@app.get("/events")
def events() -> list:
    """Return everything that happened."""
    return watch.events()


@app.get("/ready")
def ready() -> dict:
    """Say that a model is in service."""
    return {"ready": True, "version": watch.model.version}


@app.get("/metrics")
def metrics() -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
