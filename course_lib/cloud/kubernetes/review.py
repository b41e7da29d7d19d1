"""Review of manifests for what a schema cannot see: lost requests, evictions, a node's maintenance that is blocked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.cloud.errors import CloudError
from course_lib.cloud.kubernetes.deployment_defaults import dig, pre_stop_seconds, replicas_of, resolve

__all__ = ["REVIEW_RULES", "Finding", "Rule", "review"]

Manifests = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Finding:
    """One broken rule: its code, the object, and what is wrong."""

    rule: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule} {self.where}: {self.message}"


@dataclass(frozen=True)
class Rule:
    """A rule: code, title, and the function that finds what breaks it."""

    code: str
    title: str
    find: Callable[[Manifests], Iterator[tuple[str, str]]]


def review(manifests: Manifests) -> list[Finding]:
    """Return what would go wrong with valid manifests, by rule.

    Parameters
    ----------
    manifests
        Kubernetes objects that :func:`course_lib.cloud.kubernetes.validate.validate` has nothing against.

    Raises
    ------
    CloudError
        One of them is no mapping, or has a field of the wrong kind.
    """
    if strange := [manifest for manifest in manifests if not isinstance(manifest, Mapping)]:
        raise CloudError(f"{strange[0]!r:.80} is no Kubernetes object.", expected="mappings with apiVersion and kind")
    try:
        return [Finding(rule.code, where, text) for rule in REVIEW_RULES for where, text in rule.find(manifests)]
    except (TypeError, AttributeError, ValueError) as error:
        raise CloudError(
            f"The manifests cannot be read: {error}.",
            expected="manifests of which `validate` says nothing",
            next_step="correct what `validate` reports first",
        ) from error


def _pinned(manifests: Manifests) -> Iterator[tuple[str, str]]:
    for where, container in _containers(manifests):
        image = str(container.get("image", ""))
        tag = image.rsplit("/", 1)[-1].partition(":")[2]
        if "@sha256:" not in image and tag in {"", "latest"}:
            yield where, f"image `{image}`: nobody can say which version runs, or go back to it: pin a tag or a digest"


def _resources(manifests: Manifests) -> Iterator[tuple[str, str]]:
    for where, container in _containers(manifests):
        requests: Mapping[str, Any] = dig(container, "resources", "requests") or {}
        limits: Mapping[str, Any] = dig(container, "resources", "limits") or {}
        if missing := [name for name in ("cpu", "memory") if name not in requests and name not in limits]:
            yield where, f"no request for {' and '.join(missing)}: the scheduler packs the pod onto a full node"
        if "memory" not in limits:
            yield where, "no memory limit: one leaking pod takes the whole node down"


def _ready(manifests: Manifests) -> Iterator[tuple[str, str]]:
    for where, container in _containers(manifests):
        if not container.get("readinessProbe"):
            yield (
                where,
                "no readiness probe: a pod gets requests as soon as its process runs, before the model is loaded",
            )


def _alive(manifests: Manifests) -> Iterator[tuple[str, str]]:
    for where, container in _containers(manifests):
        liveness, readiness = container.get("livenessProbe"), container.get("readinessProbe")
        if not liveness:
            continue
        if not container.get("startupProbe"):
            limit = liveness.get("initialDelaySeconds", 0) + _patience(liveness)
            yield where, f"liveness without a startup probe: a start that takes more than {limit} s is killed, for ever"
        same = dig(liveness, "httpGet", "path") == dig(readiness, "httpGet", "path") is not None
        if same and _patience(liveness) <= _patience(readiness):
            yield where, "liveness asks what readiness asks, as impatiently: a busy pod is killed instead of left alone"


def _farewell(manifests: Manifests) -> Iterator[tuple[str, str]]:
    for where, deployment in _of_kind(manifests, "Deployment"):
        pod = _pod(deployment)
        grace = pod.get("terminationGracePeriodSeconds", 30)
        for container in pod.get("containers", []):
            sleep = pre_stop_seconds(container)
            if not dig(container, "lifecycle", "preStop"):
                yield where, "no preStop hook: the server stops while nodes still send it requests"
            elif sleep >= grace:
                yield where, f"preStop sleeps {sleep} s of {grace} s grace: no time is left to finish requests"


def _strategy(manifests: Manifests) -> Iterator[tuple[str, str]]:
    for where, deployment in _of_kind(manifests, "Deployment"):
        replicas = replicas_of(deployment, manifests)
        rolling = ("spec", "strategy", "rollingUpdate")
        given = dig(deployment, *rolling, "maxUnavailable", default="25%")
        if dig(deployment, "spec", "strategy", "type") == "Recreate":
            yield where, "strategy Recreate: every update begins with an outage"
        elif given in {0, "0%"} and dig(deployment, *rolling, "maxSurge", default="25%") in {0, "0%"}:
            yield where, "maxSurge and maxUnavailable are both 0: the update can never begin, and Kubernetes refuses it"
        elif resolve(given, replicas, up=False) >= replicas:
            yield where, f"maxUnavailable: {given} of {replicas} replicas: an update may take all pods away at once"


def _replicas(manifests: Manifests) -> Iterator[tuple[str, str]]:
    scaled = {dig(scaler, "spec", "scaleTargetRef", "name") for _, scaler in _of_kind(manifests, _SCALER)}
    for where, deployment in _of_kind(manifests, "Deployment"):
        if replicas_of(deployment, manifests) < 2:
            yield where, "one replica: when its node goes, the service goes"
        if dig(deployment, "spec", "replicas") is not None and dig(deployment, "metadata", "name") in scaled:
            yield where, "replicas is set and an autoscaler sets it too: every `kubectl apply` undoes the scaling"


def _disruptions(manifests: Manifests) -> Iterator[tuple[str, str]]:
    budgets = list(_of_kind(manifests, "PodDisruptionBudget"))
    for where, deployment in _of_kind(manifests, "Deployment"):
        labels: Mapping[str, Any] = dig(deployment, "spec", "template", "metadata", "labels") or {}
        mine = [budget for budget in budgets if _selects(dig(budget[1], "spec", "selector", "matchLabels"), labels)]
        if not mine:
            yield where, "no PodDisruptionBudget: maintenance may drain all its nodes at once"
        for place, budget in mine:
            if _blocks(budget, replicas_of(deployment, manifests)):
                yield place, "it allows no pod to go: a node can never be drained, and the cluster never be upgraded"


def _wiring(manifests: Manifests) -> Iterator[tuple[str, str]]:
    pods = [
        (dig(d, "spec", "template", "metadata", "labels") or {}, _pod(d)) for _, d in _of_kind(manifests, "Deployment")
    ]
    for where, service in _of_kind(manifests, "Service"):
        mine = [pod for labels, pod in pods if _selects(dig(service, "spec", "selector"), labels)]
        if not mine:
            yield where, f"its selector {dig(service, 'spec', 'selector')} matches no pod: every request is refused"
            continue
        names = {port.get("name") for pod in mine for one in pod.get("containers", []) for port in one.get("ports", [])}
        for port in dig(service, "spec", "ports") or []:
            if isinstance(target := port.get("targetPort"), str) and target not in names:
                yield where, f"targetPort {target!r} is no port of the container"


def _scaling(manifests: Manifests) -> Iterator[tuple[str, str]]:
    deployments = {dig(d, "metadata", "name"): d for _, d in _of_kind(manifests, "Deployment")}
    for where, scaler in _of_kind(manifests, _SCALER):
        name = dig(scaler, "spec", "scaleTargetRef", "name")
        if name not in deployments:
            yield where, f"it scales {name!r}, which is not among the manifests"
            continue
        for metric in dig(scaler, "spec", "metrics") or []:
            resource = dig(metric, "resource", "name")
            shares = dig(metric, "resource", "target", "type") == "Utilization"
            for container in _pod(deployments[name]).get("containers", []):
                if shares and resource not in (dig(container, "resources", "requests") or {}):
                    yield where, f"it scales by a share of the {resource} request, and there is none: it never scales"


def _user(manifests: Manifests) -> Iterator[tuple[str, str]]:
    for where, deployment in _of_kind(manifests, "Deployment"):
        pod = _pod(deployment)
        inner = [dig(container, "securityContext", "runAsNonRoot") for container in pod.get("containers", [])]
        if not (dig(pod, "securityContext", "runAsNonRoot") is True or (inner and all(inner))):
            yield where, "runAsNonRoot is not set: the container may run as root"


_SCALER = "HorizontalPodAutoscaler"

REVIEW_RULES: tuple[Rule, ...] = (
    Rule("K8S01", "the image is pinned", _pinned),
    Rule("K8S02", "resources are requested, memory is limited", _resources),
    Rule("K8S03", "there is a readiness probe", _ready),
    Rule("K8S04", "the liveness probe kills neither slow starts nor busy pods", _alive),
    Rule("K8S05", "a pod that goes has time to say farewell", _farewell),
    Rule("K8S06", "an update leaves pods that serve", _strategy),
    Rule("K8S07", "there are two replicas or more, and one place that sets them", _replicas),
    Rule("K8S08", "nodes can be drained, one pod at a time", _disruptions),
    Rule("K8S09", "the Service reaches the pods", _wiring),
    Rule("K8S10", "the autoscaler has something to scale, and to go by", _scaling),
    Rule("K8S11", "the container does not run as root", _user),
)


def _of_kind(manifests: Manifests, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for manifest in manifests:
        if manifest.get("kind") == kind:
            yield f"{kind} {dig(manifest, 'metadata', 'name', default='without a name')}", manifest


def _pod(deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    return dig(deployment, "spec", "template", "spec") or {}


def _containers(manifests: Manifests) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for where, deployment in _of_kind(manifests, "Deployment"):
        for container in _pod(deployment).get("containers", []):
            yield f"{where}, container {container.get('name')}", container


def _patience(probe: Mapping[str, Any] | None) -> int:
    """Return after how many seconds of silence a probe has failed."""
    return int((probe or {}).get("periodSeconds", 10) * (probe or {}).get("failureThreshold", 3))


def _selects(selector: Mapping[str, Any] | None, labels: Mapping[str, Any]) -> bool:
    return bool(selector) and all(labels.get(key) == value for key, value in (selector or {}).items())


def _blocks(budget: Mapping[str, Any], replicas: int) -> bool:
    """Return whether a budget allows no eviction; both of its shares are rounded up."""
    least, most = dig(budget, "spec", "minAvailable"), dig(budget, "spec", "maxUnavailable")
    if most is not None:
        return resolve(most, replicas, up=True) == 0
    return least is not None and resolve(least, replicas, up=True) >= replicas
