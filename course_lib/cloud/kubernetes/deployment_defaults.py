"""The update settings of a Deployment, with Kubernetes' defaults filled in."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.cloud.errors import CloudError

__all__ = ["NEVER", "Plan", "dig", "pre_stop_seconds", "read_plan", "replicas_of", "resolve"]

NEVER = 10**9  # a second that does not come
_DAY = 86_400  # seconds; an update that waits longer is a slip
_MOST = 1_000  # pods


def resolve(value: int | str, replicas: int, *, up: bool) -> int:
    """Return a number of pods for ``maxSurge`` (``up``) or ``maxUnavailable`` (down), given as a number or a share.

    Raises
    ------
    CloudError
        It is neither.

    Examples
    --------
    >>> resolve("25%", 3, up=True), resolve("25%", 3, up=False), resolve(2, 3, up=True)
    (1, 0, 2)
    """
    if isinstance(value, str) and re.fullmatch(r"\d+%", value):
        share = int(value[:-1]) * replicas
        return -(-share // 100) if up else share // 100
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise CloudError(
            f"{value!r} is no number of pods.", expected='a whole number such as 1, or a share such as "25%"'
        )
    return value


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What decides an update; all times in seconds.

    Attributes
    ----------
    replicas
        Pods that should be there.
    recreate
        Whether all old pods are stopped before a new one starts.
    surge, unavailable
        Pods that may be there above, and missing below ``replicas``, as numbers.
    min_ready
        How long a pod must be ready before it counts as available.
    progress_deadline
        How long an update may stand still.
    grace
        From the request to stop until the container is killed.
    pre_stop
        How long the preStop hook sleeps before the server is asked to stop.
    readiness
        First check and period of the readiness probe, and how often it must succeed; ``None`` without one.
    patience
        How long a container may take to start before a probe has it restarted.
    startup_period
        Period of the startup probe, which holds the readiness probe back; 0 without one.
    """

    replicas: int
    recreate: bool
    surge: int
    unavailable: int
    min_ready: int
    progress_deadline: int
    grace: int
    pre_stop: int
    readiness: tuple[int, int, int] | None
    patience: int
    startup_period: int

    def timing(self, start_seconds: int, *, bad_version: bool) -> tuple[int, int]:
        """Return after how many seconds a new container's server answers, and is called ready."""
        broken = bad_version or start_seconds > self.patience
        serves = NEVER if broken else start_seconds
        if self.readiness is None:
            return serves, 0  # a container that runs is ready, says Kubernetes if it has nothing else to go by
        if broken:
            return serves, NEVER
        first, period, successes = self.readiness
        begin = _next_check(0, self.startup_period, start_seconds) if self.startup_period else 0
        checks = _next_check(max(first, begin), period, start_seconds)
        return serves, checks + (successes - 1) * period

    def stuck_why(self) -> str:
        """Return what kept new pods from becoming available, as far as the manifest can tell."""
        if self.patience < NEVER:
            return f"the new version is broken, or takes longer to start than the {self.patience} s its probes allow"
        return "the new version is broken, or takes longer to start than the deadline"


def _next_check(first: int, period: int, at: int) -> int:
    """Return the first check at or after ``at``."""
    return first + max(0, math.ceil((at - first) / period)) * period


def read_plan(manifests: Sequence[Mapping[str, Any]]) -> Plan:
    """Return how the one Deployment in ``manifests`` is updated.

    Raises
    ------
    CloudError
        There is no Deployment, or more than one; it allows neither to add nor to take away a pod; or a field is of the
        wrong kind.
    """
    try:
        return _read(manifests)
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise CloudError(
            f"The manifests cannot be read: {error}.",
            expected="manifests of which `validate` says nothing",
            next_step="correct what `validate` reports first",
        ) from error


def _read(manifests: Sequence[Mapping[str, Any]]) -> Plan:
    found = [manifest for manifest in manifests if manifest.get("kind") == "Deployment"]
    if len(found) != 1:
        raise CloudError(f"There are {len(found)} Deployments among the manifests.", expected="exactly one")
    deployment = found[0]
    spec: Mapping[str, Any] = dig(deployment, "spec") or {}
    replicas = replicas_of(deployment, manifests)
    if not 1 <= replicas <= _MOST:
        raise CloudError(f"The Deployment has {replicas} replicas.", expected=f"between 1 and {_MOST:,} pods to update")
    surge_given = dig(spec, "strategy", "rollingUpdate", "maxSurge", default="25%")
    unavailable_given = dig(spec, "strategy", "rollingUpdate", "maxUnavailable", default="25%")
    if surge_given in {0, "0%"} and unavailable_given in {0, "0%"}:
        raise CloudError(
            "maxSurge and maxUnavailable are both 0: Kubernetes refuses a Deployment that can never be updated.",
            expected="at least one of them above 0",
            next_step="use maxSurge: 1 with maxUnavailable: 0, and keep room for one pod more",
        )
    surge, unavailable = resolve(surge_given, replicas, up=True), resolve(unavailable_given, replicas, up=False)
    if surge == unavailable == 0:
        unavailable = 1  # so does the controller, when rounding left it no room
    pod: Mapping[str, Any] = dig(spec, "template", "spec") or {}
    container: Mapping[str, Any] = (pod.get("containers") or [{}])[0]
    return Plan(
        replicas=replicas,
        recreate=dig(spec, "strategy", "type") == "Recreate",
        surge=surge,
        unavailable=min(unavailable, replicas),
        min_ready=_seconds(spec, "minReadySeconds", 0),
        progress_deadline=_seconds(spec, "progressDeadlineSeconds", 600),
        grace=_seconds(pod, "terminationGracePeriodSeconds", 30),
        pre_stop=pre_stop_seconds(container),
        readiness=_readiness(container),
        patience=_patience(container),
        startup_period=dig(container, "startupProbe", "periodSeconds", default=10)
        if "startupProbe" in container
        else 0,
    )


def replicas_of(deployment: Mapping[str, Any], manifests: Sequence[Mapping[str, Any]]) -> int:
    """Return how many pods a Deployment has: its own number, or its autoscaler's least; 1 where nobody says."""
    given = dig(deployment, "spec", "replicas")
    if given is None:
        name = dig(deployment, "metadata", "name")
        for manifest in manifests:
            is_scaler = manifest.get("kind") == "HorizontalPodAutoscaler"
            if is_scaler and dig(manifest, "spec", "scaleTargetRef", "name") == name:
                given = dig(manifest, "spec", "minReplicas")
    return 1 if given is None else int(given)


def pre_stop_seconds(container: Mapping[str, Any]) -> int:
    """Return how long the preStop hook of a container sleeps; 0 without one, or if it does something else."""
    hook: Mapping[str, Any] = dig(container, "lifecycle", "preStop") or {}
    if "sleep" in hook:
        return int(dig(hook, "sleep", "seconds", default=0))
    told = re.search(r"\bsleep\s+(\d+)", " ".join(map(str, dig(hook, "exec", "command") or [])))
    return int(told[1]) if told else 0


def dig(value: Any, *path: str, default: Any = None) -> Any:
    """Return what lies at the end of a path of keys, or ``default`` where it breaks off."""
    for step in path:
        if not isinstance(value, Mapping) or value.get(step) is None:
            return default
        value = value[step]
    return value


def _seconds(given: Mapping[str, Any], name: str, default: int, *, least: int = 0) -> int:
    """Return a field that holds seconds, or a number of probes."""
    value = given.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _DAY:
        raise CloudError(f"{name} is {value!r}.", expected=f"a whole number between {least} and {_DAY:,}")
    return value


def _readiness(container: Mapping[str, Any]) -> tuple[int, int, int] | None:
    probe = container.get("readinessProbe")
    if not probe:
        return None
    first = _seconds(probe, "initialDelaySeconds", 0)
    return first, _seconds(probe, "periodSeconds", 10, least=1), _seconds(probe, "successThreshold", 1, least=1)


def _patience(container: Mapping[str, Any]) -> int:
    """Return how long a container may take to start before it is restarted: a startup probe comes first."""
    probe = container.get("startupProbe") or container.get("livenessProbe")
    if not probe:
        return NEVER
    period = _seconds(probe, "periodSeconds", 10, least=1)
    return _seconds(probe, "initialDelaySeconds", 0) + period * _seconds(probe, "failureThreshold", 3, least=1)
