"""A fallback server for MLflow's, where that is not installed: two calls of its REST API, and no interface.

The answers are MLflow's own messages, made by its own store from the same database.
Start: ``python -m course_lib.tracking_rest STORE_FOLDER PORT``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib.tracking_store import Store, quiet

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["create_app"]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>No MLflow interface here</title></head>
<body><h1>No MLflow interface here</h1>
<p>This session has the small part of MLflow (<code>mlflow-skinny</code>): runs and models are logged, found and
promoted as everywhere, but its server and interface are not installed. Two calls of its REST API are answered:
<code>registered-models/alias</code> and <code>runs/get</code>.</p>
<p>On your own machine, <code>make lab</code> installs all of it.</p></body></html>
"""


def create_app(store: Store) -> FastAPI:
    """Return an application that answers like MLflow's server (REST API 2.0) for one alias and for one run."""
    quiet()
    from fastapi import FastAPI
    from fastapi.responses import HTMLResponse, JSONResponse
    from mlflow.exceptions import MlflowException
    from mlflow.protos import model_registry_pb2, service_pb2

    app, client = FastAPI(docs_url=None, redoc_url=None, openapi_url=None), store.client()

    @app.get("/health")
    def health() -> str:
        return "OK"

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        return _PAGE

    @app.get("/api/2.0/mlflow/registered-models/alias")
    def model_version_by_alias(name: str, alias: str) -> Any:
        version: Any = client.get_model_version_by_alias(name, alias)
        return _as_json(model_registry_pb2.GetModelVersionByAlias.Response(model_version=version.to_proto()))

    @app.get("/api/2.0/mlflow/runs/get")
    def run(run_id: str) -> Any:
        found: Any = client.get_run(run_id)
        return _as_json(service_pb2.GetRun.Response(run=found.to_proto()))

    @app.exception_handler(MlflowException)
    def refused(_: Any, error: Any) -> JSONResponse:
        return JSONResponse({"error_code": error.error_code, "message": error.message}, error.get_http_status_code())

    return app


def _as_json(message: Any) -> Any:
    import json

    from mlflow.utils.proto_json_utils import message_to_json

    return json.loads(message_to_json(message))


def _main() -> None:
    import uvicorn

    folder, port = sys.argv[1:]
    uvicorn.run(create_app(Store(Path(folder))), host="127.0.0.1", port=int(port), log_level="warning")


if __name__ == "__main__":
    _main()
