"""Kubernetes manifests as plain dicts: the desk's API (``api.yaml``), and a vLLM server with GPUs (``vllm.yaml``)."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template
from typing import Any

__all__ = ["Manifest", "api", "vllm"]

Manifest = dict[str, Any]


def api(
    *,
    image: str = "registry.example/late-flights:1.0.0",
    name: str = "late-flights",
    replicas: int = 3,
    most_replicas: int = 10,
    port: int = 8000,
) -> list[Manifest]:
    """Return the manifests of the desk's API: Deployment, Service, HorizontalPodAutoscaler, PodDisruptionBudget.

    An update first starts a new pod (``maxSurge: 1``), waits until it is ready, and then takes an old one away
    (``maxUnavailable: 0``). A pod that goes stays for 5 s, until every node has heard that it gets no more requests.

    Parameters
    ----------
    image
        Image with a tag or a digest.
    name
        Name of all the objects, and value of the label ``app``.
    replicas, most_replicas
        Bounds of the autoscaler; ``replicas`` is also what a simulation starts from.
    port
        Port that the container listens on.
    """
    pods = {"replicas": replicas, "most_replicas": most_replicas, "port": port}
    return _read("api.yaml", image=image, name=name, **pods)


def vllm(
    *,
    model: str = "/models/Qwen2.5-1.5B-Instruct",
    image: str = "vllm/vllm-openai:v0.11.0",
    name: str = "llm",
    replicas: int = 2,
    most_replicas: int = 4,
    spare_gpu: bool = False,
) -> list[Manifest]:
    """Return the manifests of a vLLM server with one GPU a pod, and of the volume that holds its weights.

    Parameters
    ----------
    model
        Folder of the weights on the volume, or a name that the container may download.
    image
        Image with a tag or a digest.
    name
        Name of all the objects, and value of the label ``app``.
    replicas, most_replicas
        Bounds of the autoscaler, which needs an adapter that offers vLLM's own metrics to Kubernetes.
    spare_gpu
        Whether the cluster has one GPU more than the pods use. Without it an update must stop an old pod before it can
        start a new one, and runs on one pod less for the minutes that loading takes.
    """
    surge, unavailable = (1, 0) if spare_gpu else (0, 1)
    pods = {"replicas": replicas, "most_replicas": most_replicas, "surge": surge, "unavailable": unavailable}
    return _read("vllm.yaml", model=model, image=image, name=name, weights=f"{name}-weights", **pods)


def _read(file: str, **values: str | int) -> list[Manifest]:
    """Return the manifests of a file beside this one, each ``$name`` replaced by its value."""
    import yaml

    text = Template(Path(__file__).with_name(file).read_text())
    filled = text.substitute({name: json.dumps(value) for name, value in values.items()})  # JSON is YAML, quoted
    return list(yaml.safe_load_all(filled))
