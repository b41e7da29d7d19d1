"""The baseline: what most tutorials write. FastAPI, a scikit-learn pipeline, a data frame per request.

It is correct, and the yardstick of `benchmarks/serving.py`: every number of the service is compared with this one,
measured in the same run. Both ways of writing the handler are here, because they fail differently under load: ``def``
runs in a pool of threads, ``async def`` runs on the event loop and holds up every other request while it computes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib.serving.api.schemas import Flight, Prediction

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["create_app", "main", "save"]


def create_app(pipeline: Any) -> FastAPI:
    """Return a plain FastAPI app around a fitted pipeline: ``/predict`` (sync) and ``/predict-async``."""
    import pandas as pd
    from fastapi import FastAPI

    from course_lib import training

    app = FastAPI(title="Late-flight desk, baseline")

    def answer(flight: Any) -> Prediction:
        frame = pd.DataFrame([flight.model_dump()]).fillna(float("nan"))
        return Prediction(late_probability=training.predict(pipeline, frame)[0], model_version="baseline")

    # The annotations are objects here, because FastAPI cannot resolve the text of names inside a function.
    def predict(flight: Any) -> Any:
        return answer(flight)

    async def predict_async(flight: Any) -> Any:
        return answer(flight)

    for path, handler in (("/predict", predict), ("/predict-async", predict_async)):
        handler.__annotations__ = {"flight": Flight, "return": Prediction}
        app.post(path)(handler)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "alive"}

    return app


def save(pipeline: Any, path: Path) -> Path:
    """Write a pipeline in the skops format, which runs no code when it is read back."""
    from skops import io

    io.dump(pipeline, path)
    return path


def main() -> None:
    """Serve a saved pipeline (``--model FILE``), or train one on ``--months 1 2`` and serve that."""
    import uvicorn
    from skops import io

    from course_lib import data, training
    from course_lib.tracking import TRUSTED_TYPES

    parser = argparse.ArgumentParser(prog="python -m course_lib.serving.baseline")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--model", type=Path)
    where.add_argument("--months", type=int, nargs="+")
    parser.add_argument("--port", type=int, default=8001)
    options = parser.parse_args()
    if options.model:
        pipeline = io.load(options.model, trusted=list(TRUSTED_TYPES))
    else:
        pipeline = training.train(data.labelled(data.flights(options.months)))
    uvicorn.run(create_app(pipeline), host="127.0.0.1", port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
