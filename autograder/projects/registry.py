"""Registry of the practice projects: what each one's ``[tool.course]`` names, and its stages in order."""

from __future__ import annotations

from pathlib import Path

from autograder.projects.stage import ProjectKind
from autograder.projects.stages import ci, container, install, llm, monitoring, serve, tests, train
from autograder.projects.submission import Project, read_project

__all__ = ["KINDS", "open_project"]

MODEL_API = ProjectKind(
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
    (install.STAGE, train.STAGE, serve.STAGE, tests.STAGE, container.STAGE, ci.STAGE),
)

MONITORING = ProjectKind(
    "monitoring",
    "Monitoring pipeline",
    {
        "train": "command: a list of words that trains the first model on the table {data}",
        "serve": "command: a list of words that serves it on the port {port} of 127.0.0.1",
        "model": "path: the file of the first model",
        "delay": "number: batches within which drift is reported, at most 5",
    },
    (install.STAGE, train.PLAIN_STAGE, *monitoring.STAGES),
    inputs=monitoring.inputs,
)

LLM_SERVING = ProjectKind(
    "llm-serving",
    "LLM serving",
    {
        "serve": "command: a list of words that serves {weights} on the port {port} of 127.0.0.1",
        "port": "number: the port that it is served on while it is graded",
        "served": "text: the name that clients ask the model by",
        "prometheus": "path: a configuration of Prometheus that scrapes that port",
        "load": "command: a list of words that load-tests {url} with Locust and writes the report",
        "locustfile": "path: the file with Locust's users",
        "report": "path: the JSON file that the load test writes",
    },
    (install.STAGE, *llm.STAGES),
)

KINDS = {kind.name: kind for kind in (MODEL_API, LLM_SERVING, MONITORING)}


def open_project(folder: Path) -> tuple[Project, ProjectKind]:
    """Read the project in ``folder``, and return it with what is asked of it.

    Raises
    ------
    ProjectError
        It is no practice project.
    """
    project = read_project(folder, {name: kind.settings for name, kind in KINDS.items()})
    return project, KINDS[project.settings["project"]]
