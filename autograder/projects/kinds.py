"""The practice projects: what each one's ``[tool.course]`` names, and its stages in order."""

from __future__ import annotations

from autograder.projects import container, installing, serving, testing, training, workflow
from autograder.projects.model import Kind

__all__ = ["KINDS"]

MODEL_API = Kind(
    "model-api",
    "Model API with full MLOps",
    {
        "train": "command: a list of words that trains the model",
        "serve": "command: a list of words that serves it on the port {port} of 127.0.0.1",
        "test": "command: a list of words that runs the tests",
        "model": "path: the file that training writes and the service reads",
        "tracking": "path: MLflow's SQLite file",
        "predict": "text: module:function from rows (dicts) to probabilities",
        "app": "text: module:name of the FastAPI app",
        "example": "path: a JSON file with a request for /predict",
        "holdout": "path: a file with one JSON object a line, `request` and `label`",
    },
    (installing.STAGE, training.STAGE, serving.STAGE, testing.STAGE, container.STAGE, workflow.STAGE),
)

KINDS = {kind.name: kind for kind in (MODEL_API,)}
