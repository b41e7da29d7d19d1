"""A rolling update, second by second: what the Deployment controller does, and what users notice of it.

A simulation, because a cluster is more than a laptop can carry. It follows the controller's own rules: ``maxSurge`` is
rounded up and ``maxUnavailable`` down; terminating pods are no longer counted; a pod is *available* when it was *ready*
for ``minReadySeconds``. Two things make users lose requests although enough pods are ready, and both are in the model.
Endpoints travel: for a moment after a pod was told to stop, nodes still send it requests. And a container that was
killed at the end of its grace period takes the requests it was working on with it.

Sources: kubernetes.io, "Deployments" (rolling update) and "Pod Lifecycle" (termination of Pods); kubernetes/kubernetes,
``pkg/controller/deployment/rolling.go``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from course_lib.cloud.errors import CloudError
from course_lib.cloud.kubernetes.deployment_defaults import NEVER, Plan, read_plan, resolve

__all__ = ["Plan", "Pod", "Rollout", "Second", "read_plan", "resolve", "simulate_rollout"]

_MARGIN = 2  # seconds that are shown after the last new server has begun to answer


@dataclass
class Pod:
    """One pod of the simulation; all times are seconds since the update began.

    Attributes
    ----------
    new
        Whether it runs the new version.
    created
        When it was created.
    serves
        When its server can answer.
    ready
        When Kubernetes calls it ready.
    deleted
        When it was told to stop.
    """

    new: bool
    created: int
    serves: int
    ready: int
    deleted: int = NEVER


@dataclass(frozen=True)
class Second:
    """One second of the update: pods that are ready, by version; pods that exist at all; requests lost."""

    at: int
    old_ready: int
    new_ready: int
    existing: int
    dropped: float


@dataclass(frozen=True)
class Rollout:
    """What a rolling update did.

    Attributes
    ----------
    outcome
        ``complete``; or ``stuck``: no progress within ``progressDeadlineSeconds``. A stuck update stays as it is until
        somebody undoes it.
    seconds
        Length of the update, from its first action to its last: the last old pod gone, or the deadline.
    unavailable_seconds
        Seconds of the timeline in which no pod could answer.
    requests, dropped
        Requests that were sent, and those that got no answer.
    fewest_available
        Smallest number of available pods, both versions together.
    most_pods
        Largest number of pods that were not terminating: what ``maxSurge`` bounds.
    most_existing
        Largest number of pods, terminating ones included: what the nodes must have room for.
    timeline
        The same by second: from ``drain_seconds`` before the update to its end, and on until the last server that ever
        answers has answered for 2 s. Without a readiness probe that is long after the update called itself complete.
    why
        Why requests were lost or the update stuck, in words; empty if all went well.
    """

    outcome: Literal["complete", "stuck"]
    seconds: int
    unavailable_seconds: int
    requests: int
    dropped: int
    fewest_available: int
    most_pods: int
    most_existing: int
    timeline: tuple[Second, ...]
    why: tuple[str, ...]


def simulate_rollout(
    manifests: Sequence[Mapping[str, Any]],
    *,
    start_seconds: int,
    drain_seconds: int,
    bad_version: bool = False,
    handles_sigterm: bool = True,
    propagation_seconds: int = 2,
    requests_per_second: int = 10,
) -> Rollout:
    """Update every pod of the one Deployment in ``manifests`` to a new version, under steady load.

    Parameters
    ----------
    manifests
        Kubernetes objects with exactly one Deployment; an autoscaler's ``minReplicas`` counts where the Deployment
        names no replicas.
    start_seconds
        From the start of a container until its server can answer.
    drain_seconds
        How long one request takes.
    bad_version
        The new version starts, but never answers a request or a probe.
    handles_sigterm
        Whether the server finishes what it is working on when it is asked to stop; otherwise it ends at once.
    propagation_seconds
        From a change of a pod until every node sends requests accordingly.
    requests_per_second
        Load on the Service, spread evenly over the pods that the nodes know.

    Raises
    ------
    CloudError
        There is no Deployment, or more than one; it allows neither to add nor to take away a pod; or a number is
        negative.
    """
    given = {
        "start_seconds": start_seconds,
        "drain_seconds": drain_seconds,
        "propagation_seconds": propagation_seconds,
        "requests_per_second": requests_per_second,
    }
    if wrong := [name for name, value in given.items() if type(value) is not int or not 0 <= value <= 86_400]:
        raise CloudError(f"{wrong[0]} is {given[wrong[0]]!r}.", expected="a whole number between 0 and 86,400")
    plan = read_plan(manifests)
    control = _Controller(plan, start_seconds, bad_version)
    outcome = control.run()
    traffic = _Traffic(plan, drain_seconds, handles_sigterm, propagation_seconds)
    return _measure(control, outcome, traffic, requests_per_second)


class _Controller:
    """The Deployment controller and its ReplicaSets: decides every second which pods to create and which to stop."""

    def __init__(self, plan: Plan, start_seconds: int, bad_version: bool) -> None:
        self.plan = plan
        self._serves_after, self._ready_after = plan.timing(start_seconds, bad_version=bad_version)
        self.pods = [Pod(new=False, created=-NEVER, serves=-NEVER, ready=-NEVER) for _ in range(plan.replicas)]
        self.end = 0
        self.fewest_available = plan.replicas
        self.most_pods = plan.replicas

    def run(self) -> Literal["complete", "stuck"]:
        """Run to the end: every pod is new and available, or nothing moved for the progress deadline."""
        now, progress, before = 0, 0, -1
        while True:
            moved = False
            while self._step(now):
                moved = True
            available = self._available(now, new=True)
            self.fewest_available = min(self.fewest_available, available + self._available(now, new=False))
            self.most_pods = max(self.most_pods, len(self._current()))
            if moved or available > before:
                progress, before = now, available
            if available == self.plan.replicas and not self._current(new=False):
                self.end = now
                return "complete"
            if now - progress >= self.plan.progress_deadline:
                self.end = now
                return "stuck"
            now += 1

    def _step(self, now: int) -> bool:
        """Do one thing that the strategy allows; return whether there was one."""
        plan, old, new = self.plan, self._current(new=False), self._current(new=True)
        if plan.recreate:
            if old:
                return self._stop(old, now)
            gone = all(now >= pod.deleted + plan.grace for pod in self.pods if not pod.new)
            return gone and self._create(plan.replicas - len(new), now)
        room = min(plan.replicas + plan.surge - len(old) - len(new), plan.replicas - len(new))
        if room > 0:
            return self._create(room, now)
        least = plan.replicas - plan.unavailable
        new_available = self._available(now, new=True)
        # Pods of the new version that are not available yet must not be counted on.
        spare = min(len(old) + new_available - least, self._available(now, new=False) + new_available - least)
        return self._stop(old[: max(0, spare)], now)

    def _create(self, count: int, now: int) -> bool:
        serves, ready = now + self._serves_after, now + self._ready_after
        self.pods += [Pod(new=True, created=now, serves=serves, ready=ready) for _ in range(count)]
        return count > 0

    def _stop(self, pods: Sequence[Pod], now: int) -> bool:
        for pod in pods:
            pod.deleted = now
        return bool(pods)

    def _current(self, *, new: bool | None = None) -> list[Pod]:
        """Return the pods that are not terminating."""
        return [pod for pod in self.pods if pod.deleted == NEVER and new in {None, pod.new}]

    def _available(self, now: int, *, new: bool) -> int:
        return sum(now >= pod.ready + self.plan.min_ready for pod in self._current(new=new))


@dataclass(frozen=True)
class _Traffic:
    """Where requests go, and whether they are answered."""

    plan: Plan
    drain: int
    handles_sigterm: bool
    propagation: int

    def known(self, pod: Pod, now: int) -> bool:
        """Return whether nodes send requests to the pod."""
        return pod.ready + self.propagation <= now < pod.deleted + self.propagation

    def asked(self, pod: Pod) -> int:
        """Return when its server gets SIGTERM and takes no more requests: after the preStop hook."""
        return pod.deleted + min(self.plan.pre_stop, self.plan.grace)

    def gone(self, pod: Pod) -> int:
        """Return when its server has ended: it has finished its requests, or it is killed."""
        if not self.handles_sigterm:
            return self.asked(pod)
        return min(self.asked(pod) + self.drain, pod.deleted + self.plan.grace)

    def fate(self, pod: Pod, now: int) -> str:
        """Return why a request that reaches the pod now is lost; empty if it is answered."""
        if now < pod.serves:
            return (
                "requests reached a pod whose server could not answer yet: its readiness was not asked for, or it lies"
            )
        if now >= self.asked(pod):
            return (
                "requests reached a pod that had stopped listening: its preStop hook is shorter than endpoints travel"
            )
        if now + self.drain > self.gone(pod):
            return (
                "requests were cut off: the grace period ends before the longest request does"
                if self.handles_sigterm
                else "requests were cut off: the server ends at SIGTERM without finishing its work"
            )
        return ""


def _measure(control: _Controller, outcome: Literal["complete", "stuck"], traffic: _Traffic, rate: int) -> Rollout:
    """Send the load through the update and count."""
    pods = control.pods
    stops = [traffic.gone(pod) for pod in pods if pod.deleted != NEVER]
    end = max([control.end, *stops, *(pod.deleted + traffic.propagation for pod in pods if pod.deleted != NEVER)])
    reasons: dict[str, None] = {}  # a set that keeps its order
    timeline: list[Second] = []
    unavailable = 0
    for now in range(-traffic.drain, max(end, *(pod.serves + _MARGIN for pod in pods if pod.serves < NEVER)) + 1):
        known = [pod for pod in pods if traffic.known(pod, now)]
        fates = [traffic.fate(pod, now) for pod in known]
        lost = rate * sum(map(bool, fates)) / len(known) if known else float(rate)
        unavailable += not any(pod.serves <= now < traffic.asked(pod) for pod in known)
        reasons |= dict.fromkeys([fate for fate in fates if fate] if known else ["no pod was ready"])
        timeline.append(_second(pods, traffic, now, lost))
    if outcome == "stuck":
        reasons["new pods did not become available within progressDeadlineSeconds: " + control.plan.stuck_why()] = None
    return Rollout(
        outcome=outcome,
        seconds=end,
        unavailable_seconds=unavailable,
        requests=rate * len(timeline),
        dropped=round(sum(second.dropped for second in timeline)),
        fewest_available=control.fewest_available,
        most_pods=control.most_pods,
        most_existing=max(second.existing for second in timeline),
        timeline=tuple(timeline),
        why=tuple(reasons),
    )


def _second(pods: Sequence[Pod], traffic: _Traffic, now: int, lost: float) -> Second:
    ready = [pod.new for pod in pods if pod.ready <= now < pod.deleted]
    existing = sum(pod.created <= now < traffic.gone(pod) for pod in pods)
    return Second(now, ready.count(False), ready.count(True), existing, lost)
