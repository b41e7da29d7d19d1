"""Two sets of manifests, as plain dicts: the desk's API, and a vLLM server with its GPUs."""

from __future__ import annotations

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
    container: Manifest = {
        "name": "api",
        "image": image,
        "ports": [{"name": "http", "containerPort": port}],
        "readinessProbe": _probe("/ready", period=2, failures=3),
        "livenessProbe": _probe("/health", period=10, failures=3),
        "startupProbe": _probe("/health", period=2, failures=30),
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": _locked_down(),
    }
    pod: Manifest = {"terminationGracePeriodSeconds": 30, "containers": [container], **_own_user()}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
    return [
        _deployment(name, pod, surge=1, unavailable=0),
        _service(name),
        _autoscaler(name, replicas, most_replicas, cpu),
        _disruption_budget(name),
    ]


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
    container: Manifest = {
        "name": "vllm",
        "image": image,
        "args": ["--model", model, "--served-model-name", name, "--port", "8000"],
        "ports": [{"name": "http", "containerPort": 8000}],
        "env": [{"name": "VLLM_NO_USAGE_STATS", "value": "1"}],
        # Loading the weights takes minutes: until then the startup probe holds the liveness probe back.
        "startupProbe": _probe("/health", period=10, failures=60),
        "readinessProbe": _probe("/health", period=5, failures=3),
        "livenessProbe": _probe("/health", period=10, failures=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": 10}}},
        "resources": {
            "requests": {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"},
            "limits": {"memory": "24Gi", "nvidia.com/gpu": "1"},
        },
        "volumeMounts": [
            {"name": "weights", "mountPath": "/models", "readOnly": True},
            {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108 - a path inside the container
        ],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod: Manifest = {
        # A long answer streams for a minute or two; it is given the time to end.
        "terminationGracePeriodSeconds": 180,
        "containers": [container],
        "volumes": [
            {"name": "weights", "persistentVolumeClaim": {"claimName": f"{name}-weights", "readOnly": True}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}},
        ],
        **_own_user(),
    }
    waiting = {
        "type": "Pods",
        "pods": {
            "metric": {"name": "vllm_num_requests_waiting"},
            "target": {"type": "AverageValue", "averageValue": "5"},
        },
    }
    surge, unavailable = (1, 0) if spare_gpu else (0, 1)
    return [
        _deployment(name, pod, surge=surge, unavailable=unavailable, progress_deadline=900),
        _service(name),
        _autoscaler(name, replicas, most_replicas, waiting),
        _disruption_budget(name),
        _volume_claim(f"{name}-weights", "20Gi"),
    ]


def _deployment(name: str, pod: Manifest, *, surge: int, unavailable: int, progress_deadline: int = 120) -> Manifest:
    """Return a Deployment; it names no replicas, because the autoscaler sets them."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "minReadySeconds": 5,
            "progressDeadlineSeconds": progress_deadline,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
            },
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    }


def _service(name: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }


def _autoscaler(name: str, least: int, most: int, metric: Manifest) -> Manifest:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [metric],
            # Pods are added at once and taken away slowly: a quiet minute is no reason to lose warm ones.
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        },
    }


def _disruption_budget(name: str) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": name}}},
    }


def _volume_claim(name: str, size: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": size}}},
    }


def _probe(path: str, *, period: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 2,
    }


def _own_user() -> Manifest:
    return {"securityContext": {"runAsNonRoot": True, "runAsUser": 10001}}


def _locked_down() -> Manifest:
    return {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
