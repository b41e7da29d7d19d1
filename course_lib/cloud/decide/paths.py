"""The deployment matrix as data: six needs, three clouds and open source, with the names of the day.

Products are named as their makers call them on :data:`AS_OF`; :data:`RENAMED` holds the older names that books and job
advertisements still use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

__all__ = ["AS_OF", "DEFAULTS", "MATRIX", "NOTES", "RENAMED", "Cloud", "Row"]

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
