"""The deployment matrix: which product for which need on which cloud, and a choice from it with its reasons.

Products are named as their makers call them on :data:`AS_OF`; :data:`RENAMED` holds the older names that books and job
advertisements still use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, get_args

from course_lib.cloud.errors import CloudError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AS_OF",
    "DEFAULTS",
    "MATRIX",
    "NOTES",
    "RENAMED",
    "Alternative",
    "Choice",
    "Cloud",
    "Need",
    "Row",
    "choose",
    "table",
]

AS_OF = date(2026, 11, 1)

Cloud = Literal["aws", "azure", "google", "open source"]

RENAMED: Mapping[str, str] = {
    "Azure AI Studio": "Microsoft Foundry",
    "Azure AI Foundry": "Microsoft Foundry",
    "Azure OpenAI Service": "Azure OpenAI in Microsoft Foundry",
    "Amazon SageMaker": "Amazon SageMaker AI",
    "Vertex AI": "Gemini Enterprise Agent Platform (its APIs and SDKs keep the name Vertex AI)",
    "TensorFlow Lite": "LiteRT",
}
"""Older name → current name."""

NOTES: Mapping[str, str] = {
    "TGI": "in maintenance mode since December 2025; its makers point to vLLM, SGLang and llama.cpp for new work",
    "Triton": "part of NVIDIA Dynamo since 2025 (Dynamo-Triton); the server and its protocol are the same",
    "Edge TPU": "runs LiteRT models that were compiled for it, not ONNX",
}
"""What to know before a name in the matrix is chosen."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One need of the matrix, and what answers it in each cloud.

    Attributes
    ----------
    need
        The need, as the matrix calls it.
    aws, azure, google, open_source
        What to use there.
    best_fit
        Whom it suits.
    """

    need: str
    aws: str
    azure: str
    google: str
    open_source: str
    best_fit: str

    def on(self, cloud: Cloud) -> str:
        """Return what to use on ``cloud``."""
        return str(getattr(self, cloud.replace(" ", "_")))


MATRIX: Mapping[str, Row] = {
    "managed-llm": Row(
        need="managed LLM API",
        aws="Amazon Bedrock",
        azure="Microsoft Foundry (with Azure OpenAI)",
        google="Gemini on Vertex AI",
        open_source="a gateway that speaks OpenAI's protocol over hosted open weights; not truly managed",
        best_fit="teams that want minimal infrastructure",
    ),
    "custom-model": Row(
        need="train and deploy a model of your own",
        aws="SageMaker AI",
        azure="Azure Machine Learning",
        google="Vertex AI",
        open_source="FastAPI + Docker + Kubernetes",
        best_fit="classical ML and deep-learning models of your own",
    ),
    "self-hosted-llm": Row(
        need="open-weight LLMs on your own GPUs",
        aws="EKS or ECS + vLLM",
        azure="AKS + vLLM",
        google="GKE + vLLM",
        open_source="vLLM or SGLang (TGI: in maintenance mode)",
        best_fit="a high volume of LLM requests",
    ),
    "multi-model": Row(
        need="one server for models of many frameworks",
        aws="SageMaker AI endpoints, or EKS/ECS + Triton",
        azure="Azure Machine Learning online endpoints, or AKS + Triton",
        google="Vertex AI endpoints, or GKE + Triton",
        open_source="Triton Inference Server",
        best_fit="a fleet of PyTorch, TensorRT and ONNX models",
    ),
    "edge": Row(
        need="edge or mobile",
        aws="IoT Greengrass + ONNX Runtime",
        azure="IoT Edge + ONNX Runtime",
        google="LiteRT, on Edge TPU where there is one",
        open_source="ONNX Runtime, LiteRT or llama.cpp",
        best_fit="low latency without a network",
    ),
    "local": Row(
        need="local development",
        aws="little: Bedrock has no local emulator of its own",
        azure="hosted only",
        google="hosted only",
        open_source="Ollama, llama.cpp or LM Studio",
        best_fit="fast iteration and privacy",
    ),
}
"""The needs, by key."""

DEFAULTS: Mapping[str, str] = {
    "MVP chatbot with the lowest operations burden": "managed-llm",
    "enterprise app with a strict cloud standard": "managed-llm",
    "open-weight LLM in production": "self-hosted-llm",
    "mixed fleet of TensorRT, ONNX and PyTorch models": "multi-model",
    "mobile, embedded or offline": "edge",
    "local-first development": "local",
}
"""Scenario → key of :data:`MATRIX`: where to start when nothing speaks against it."""

Model = Literal["foundation", "open-weight", "own"]
Place = Literal["cloud", "device", "laptop"]


@dataclass(frozen=True, kw_only=True)
class Need:
    """What is known about a deployment before a path is chosen.

    Attributes
    ----------
    model
        ``foundation``: a provider's closed model. ``open-weight``: an LLM whose weights anybody may run. ``own``: a
        model that you trained.
    where
        Where it must answer: in the ``cloud``, on a ``device`` that may be offline, or on a developer's ``laptop``.
    frameworks
        How many frameworks the models of the fleet come from.
    runs_servers
        Whether somebody in the team operates servers, at night too.
    data_may_leave
        Whether requests may be sent to a provider of models.
    cloud
        The house standard; ``None`` if there is none.
    """

    model: Model
    where: Place = "cloud"
    frameworks: int = 1
    runs_servers: bool = False
    data_may_leave: bool = True
    cloud: Cloud | None = None

    def __post_init__(self) -> None:
        for name, kind in (("model", Model), ("where", Place)):
            if getattr(self, name) not in get_args(kind):
                raise CloudError(f"{name} is {getattr(self, name)!r}.", expected=f"one of {', '.join(get_args(kind))}")
        if self.frameworks < 1:
            raise CloudError(f"frameworks is {self.frameworks}.", expected="1 or more")
        _known_cloud(self.cloud)


@dataclass(frozen=True)
class Alternative:
    """Another path, and when it would be the better one."""

    path: str
    when: str


@dataclass(frozen=True)
class Choice:
    """A path, the reasons for it, and what else would do.

    Attributes
    ----------
    row
        Key of the row in :data:`MATRIX`.
    path
        What to use.
    why
        The reasons, in the order in which they decided.
    alternatives
        Other paths, each with the case in which it would be the better one.
    """

    row: str
    path: str
    why: tuple[str, ...]
    alternatives: tuple[Alternative, ...]

    def __str__(self) -> str:
        reasons = "; ".join(self.why)
        others = "".join(f"\n  or {other.path}, if {other.when}" for other in self.alternatives)
        return f"{self.path}: {reasons}{others}"


def choose(need: Need | str, *, cloud: Cloud | None = None) -> Choice:
    """Choose a path of the matrix, and say why.

    Parameters
    ----------
    need
        What is known; or a key of :data:`MATRIX`, or a scenario of :data:`DEFAULTS`, to look it up.
    cloud
        The house standard, for a need that is looked up; a :class:`Need` brings its own.

    Raises
    ------
    CloudError
        The need or the cloud is not in the matrix.

    Examples
    --------
    >>> choose(Need(model="own", runs_servers=True)).path
    'FastAPI + Docker + Kubernetes'
    >>> choose("mobile, embedded or offline").row
    'edge'
    """
    if isinstance(need, str):
        return _choice(_key(need), [f"you asked for: {need}"], _known_cloud(cloud), runs_servers=True)
    row, why = _decide(need)
    return _choice(row, why, need.cloud, runs_servers=need.runs_servers)


def table() -> pd.DataFrame:
    """Return the matrix as a table for display: one row per need, one column per cloud."""
    import pandas as pd

    columns = {"aws": "AWS", "azure": "Azure", "google": "Google Cloud", "open_source": "Open source"}
    rows: list[dict[str, Any]] = [
        {"Need": row.need, **{title: getattr(row, name) for name, title in columns.items()}, "Best fit": row.best_fit}
        for row in MATRIX.values()
    ]
    return pd.DataFrame(rows).set_index("Need")


def _decide(need: Need) -> tuple[str, list[str]]:
    """Return the row for a need and the reasons: the first question that settles it ends the search."""
    own, closed = need.model == "own", need.model == "foundation"
    closed_stays = ["a closed model runs at its provider only, so it has to be an open-weight one"] if closed else []
    questions: list[tuple[bool, str, list[str]]] = [
        (need.where == "device", "edge", ["the answer is needed on a device, also without a network"]),
        (
            need.where == "laptop",
            "local",
            ["it runs on a developer's machine: nothing to deploy, no request leaves it"],
        ),
        (own and need.frameworks > 1, "multi-model", [f"models of {need.frameworks} frameworks: one server for all"]),
        (own, "custom-model", ["the model is your own: nobody offers it ready-made"]),
        (not need.data_may_leave, "self-hosted-llm", ["requests may not leave your systems", *closed_stays]),
        (closed, "managed-llm", ["a foundation model behind an API: no GPU to run"]),
        (need.runs_servers, "self-hosted-llm", ["the weights are open", "somebody operates servers"]),
        (True, "managed-llm", ["nobody operates servers, and the managed platforms offer open-weight models too"]),
    ]
    return next((row, why) for settled, row, why in questions if settled)


def _choice(row: str, why: list[str], cloud: Cloud | None, *, runs_servers: bool) -> Choice:
    entry = MATRIX[row]
    if cloud is not None:
        return Choice(row, entry.on(cloud), (*why, f"the standard is {cloud}"), _alternatives(row))
    if row == "managed-llm" or (row in {"custom-model", "multi-model"} and not runs_servers):
        path = f"{entry.aws}, {entry.azure} or {entry.google}"
        reasons = (*why, "take the cloud that your data are in already")
    else:
        path, reasons = entry.open_source, (*why, "no cloud is prescribed: open source runs on all of them")
    return Choice(row, path, reasons, _alternatives(row))


def _alternatives(row: str) -> tuple[Alternative, ...]:
    return {
        "managed-llm": (
            Alternative("OpenAI's or Anthropic's own API", "no cloud contract has to be used"),
            Alternative(MATRIX["self-hosted-llm"].open_source, "the volume keeps a GPU busy, or data may not leave"),
        ),
        "custom-model": (
            Alternative("ONNX Runtime in your own program", "one machine answers all requests"),
            Alternative("a batch job", "nobody waits for a single answer"),
        ),
        "self-hosted-llm": (
            Alternative("a managed LLM API", "the GPU would stand idle most of the day"),
            Alternative("llama.cpp", "there is no GPU and little traffic"),
        ),
        "multi-model": (Alternative("ONNX Runtime behind FastAPI", "all models can be exported to ONNX"),),
        "edge": (Alternative("an API in the cloud", "the device always has a network and can wait 100 ms"),),
        "local": (Alternative("the production server with a small model", "the test is about the deployment itself"),),
    }[row]


def _key(need: str) -> str:
    if need in MATRIX:
        return need
    if need in DEFAULTS:
        return DEFAULTS[need]
    raise CloudError(
        f"The matrix has no need {need!r}.",
        expected=f"one of {', '.join(MATRIX)}; or a scenario: {'; '.join(DEFAULTS)}",
        next_step="describe it instead: choose(Need(model=…, where=…))",
    )


def _known_cloud(cloud: Cloud | None) -> Cloud | None:
    if cloud is not None and cloud not in get_args(Cloud):
        raise CloudError(
            f"The matrix has no cloud {cloud!r}.", expected=f"one of {', '.join(get_args(Cloud))}, or None"
        )
    return cloud
