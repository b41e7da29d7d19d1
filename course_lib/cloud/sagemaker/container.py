"""The desk's service as a SageMaker container: the same app under the two paths that the contract asks for.

SageMaker starts a container, unpacks the model into ``/opt/ml/model``, waits for ``GET /ping`` to answer 200, and sends
each request to ``POST /invocations``. The desk's app has both under other names, so a container is a change of paths.
The contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send

__all__ = ["PATHS", "SageMakerPaths", "main"]

PATHS = {"/ping": "/ready", "/invocations": "/predict/batch"}


class SageMakerPaths:
    """An ASGI application that answers SageMaker's paths with those of another application."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self.state: Any = app.state  # what `serving.server.run` drains at a signal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on under its other path."""
        path = PATHS.get(scope.get("path", ""))
        if path is not None:
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)


def main(arguments: list[str] | None = None) -> None:
    """Serve a model folder until SIGTERM.

    ``python -m course_lib.cloud.sagemaker.container --model FOLDER --port 8080``
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(prog="python -m course_lib.cloud.sagemaker.container", description=__doc__)
    parser.add_argument("--model", default="/opt/ml/model", help="folder that the model was unpacked into")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args(arguments)

    from course_lib.serving.api import telemetry
    from course_lib.serving.api.app import create_app
    from course_lib.serving.api.server import run
    from course_lib.serving.model import load_model

    telemetry.log_to(level="WARNING")
    model = load_model(options.model)  # a container whose model is damaged ends here, and never answers a ping
    app: Any = SageMakerPaths(create_app(lambda: model))
    run(app, host="127.0.0.1", port=options.port, drain_s=0.5)


if __name__ == "__main__":
    main()
