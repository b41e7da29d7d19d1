from __future__ import annotations

import copy
import math
from fractions import Fraction

import pytest
from hypothesis import given, settings, strategies as st

from course_lib.cloud import figures
from course_lib.cloud.errors import CloudError
from course_lib.cloud.kubernetes import manifests as ours
from course_lib.cloud.kubernetes.rolling import read_plan, resolve, simulate_rollout

counts = st.integers(0, 12)
shares = st.integers(0, 150).map(lambda percent: f"{percent}%")


def api(replicas=3, change=None):
    made = copy.deepcopy(ours.api(replicas=replicas))
    if change is not None:
        pod = made[0]["spec"]["template"]["spec"]
        change(made[0]["spec"], pod, pod["containers"][0])
    return made


def rolling(surge, unavailable):
    def change(spec, pod, container):
        spec["strategy"] = {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
        }

    return change


def run(manifests, **options):
    return simulate_rollout(manifests, **({"start_seconds": 8, "drain_seconds": 1} | options))


@settings(deadline=None)
@given(percent=st.integers(0, 200), replicas=st.integers(1, 500))
def test_a_surge_is_rounded_up_and_an_absence_down(percent, replicas):
    exact = Fraction(percent * replicas, 100)
    assert resolve(f"{percent}%", replicas, up=True) == math.ceil(exact)
    assert resolve(f"{percent}%", replicas, up=False) == math.floor(exact)


@settings(deadline=None)
@given(replicas=st.integers(1, 12), surge=counts | shares, unavailable=counts | shares, start=st.integers(0, 20))
def test_an_update_keeps_the_documented_bounds(replicas, surge, unavailable, start):
    manifests = api(replicas, rolling(surge, unavailable))
    if surge in {0, "0%"} and unavailable in {0, "0%"}:
        with pytest.raises(CloudError, match="both 0"):
            run(manifests)
        return
    up, down = resolve(surge, replicas, up=True), resolve(unavailable, replicas, up=False)
    if up == down == 0:
        down = 1  # what the controller does
    found = run(manifests, start_seconds=start)
    assert found.outcome == "complete"
    assert found.fewest_available >= replicas - min(down, replicas)
    assert found.most_pods <= replicas + up
    assert found.timeline[-1].new_ready == replicas
    assert found.timeline[-1].old_ready == 0


@settings(deadline=None)
@given(
    replicas=st.integers(1, 8),
    start=st.integers(0, 30),
    drain=st.integers(0, 20),
    propagation=st.integers(0, 5),
    min_ready=st.integers(0, 10),
)
def test_our_manifests_lose_no_request(replicas, start, drain, propagation, min_ready):
    manifests = api(replicas, lambda spec, pod, container: spec.update(minReadySeconds=min_ready))
    found = run(manifests, start_seconds=start, drain_seconds=drain, propagation_seconds=propagation)
    assert (found.dropped, found.unavailable_seconds, found.why) == (0, 0, ())


@settings(deadline=None)
@given(
    replicas=st.integers(1, 8),
    surge=counts,
    unavailable=counts,
    drain=st.integers(0, 20),
    propagation=st.integers(0, 9),
)
def test_a_broken_version_stops_the_update_and_never_takes_more_than_was_allowed(
    replicas, surge, unavailable, drain, propagation
):
    if surge == unavailable == 0:
        surge = 1
    manifests = api(replicas, rolling(surge, unavailable))
    found = run(manifests, bad_version=True, drain_seconds=drain, propagation_seconds=propagation)
    assert found.outcome == "stuck"
    assert found.fewest_available == replicas - min(unavailable, replicas)
    assert found.timeline[-1].new_ready == 0
    assert any("progressDeadlineSeconds" in reason for reason in found.why)


def test_the_defaults_of_kubernetes_are_filled_in():
    def forget(spec, pod, container):
        for key in ("strategy", "minReadySeconds", "progressDeadlineSeconds"):
            spec.pop(key)
        pod.pop("terminationGracePeriodSeconds")

    plan = read_plan(api(4, forget))
    assert (plan.surge, plan.unavailable, plan.min_ready, plan.progress_deadline, plan.grace) == (1, 1, 0, 600, 30)


def test_the_replicas_of_the_deployment_come_before_the_autoscalers():
    assert read_plan(api(5)).replicas == 5
    assert read_plan(api(5, lambda spec, pod, container: spec.update(replicas=2))).replicas == 2
    assert read_plan(api(5)[:1]).replicas == 1


def test_without_a_readiness_probe_requests_reach_pods_that_cannot_answer():
    found = run(api(change=lambda spec, pod, container: container.pop("readinessProbe")))
    assert found.dropped > 0
    assert "could not answer yet" in found.why[0]


@pytest.mark.parametrize("start", [8, 20, 60])
def test_without_a_readiness_probe_every_request_is_lost_until_the_servers_are_up(start):
    def as_found(spec, pod, container):
        rolling(1, 1)(spec, pod, container)
        spec.pop("minReadySeconds")
        for key in ("readinessProbe", "startupProbe", "livenessProbe", "lifecycle"):
            container.pop(key)

    found = run(api(2, as_found), start_seconds=start)
    assert found.unavailable_seconds == start
    assert found.dropped == 10 * start
    assert [second.dropped for second in found.timeline[-3:]] == [0, 0, 0]


def test_without_a_readiness_probe_a_broken_version_takes_over():
    found = run(api(change=lambda spec, pod, container: container.pop("readinessProbe")), bad_version=True)
    assert found.outcome == "complete"
    assert found.unavailable_seconds > 0


def test_without_a_pre_stop_hook_requests_reach_pods_that_stopped_listening():
    found = run(api(change=lambda spec, pod, container: container.pop("lifecycle")))
    # Three pods leave one after the other; nodes know of four, and take 2 s to hear of it: 3 × 2 s × 10/s ÷ 4.
    assert found.dropped == 15
    assert "preStop hook is shorter" in found.why[0]


@pytest.mark.parametrize("command", [["sleep", "5"], ["/bin/sh", "-c", "sleep 5"]])
def test_a_pre_stop_hook_may_be_a_command(command):
    hook = {"lifecycle": {"preStop": {"exec": {"command": command}}}}
    assert run(api(change=lambda spec, pod, container: container.update(hook))).dropped == 0


def test_a_request_that_outlasts_the_grace_period_is_cut_off():
    # Endpoints travel for 2 s: the last request comes 1 s after the pod was told to stop, the kill comes at 30 s.
    assert run(api(), drain_seconds=29).dropped == 0
    found = run(api(), drain_seconds=30)
    assert found.dropped > 0
    assert "grace period ends before" in found.why[0]


def test_a_server_that_ignores_sigterm_cuts_requests_off():
    assert run(api(), drain_seconds=10).dropped == 0
    found = run(api(), drain_seconds=10, handles_sigterm=False)
    assert found.dropped > 0
    assert "ends at SIGTERM" in found.why[0]


def test_recreate_is_an_outage_as_long_as_stop_and_start():
    found = run(api(change=lambda spec, pod, container: spec.update(strategy={"type": "Recreate"})))
    assert found.outcome == "complete"
    assert found.unavailable_seconds >= 30
    assert found.fewest_available == 0


def test_a_start_longer_than_the_probes_allow_never_becomes_ready():
    def impatient(spec, pod, container):
        container.pop("startupProbe")  # liveness alone: 3 failures, 10 s apart

    assert run(api(change=impatient), start_seconds=30).outcome == "complete"
    found = run(api(change=impatient), start_seconds=31)
    assert found.outcome == "stuck"
    assert "30 s its probes allow" in found.why[-1]


def test_a_gpu_to_spare_buys_an_update_at_full_strength():
    slow = {"start_seconds": 200, "drain_seconds": 60}
    assert run(ours.vllm(replicas=2), **slow).fewest_available == 1
    spare = run(ours.vllm(replicas=2, spare_gpu=True), **slow)
    assert (spare.fewest_available, spare.most_pods, spare.dropped) == (2, 3, 0)


def test_pods_that_are_stopping_still_take_room():
    found = run(api(), drain_seconds=20)
    assert found.most_existing > found.most_pods


@pytest.mark.parametrize(
    ("manifests", "message"),
    [
        ([], "0 Deployments"),
        (ours.api() + ours.vllm(), "2 Deployments"),
        (api(change=lambda spec, pod, container: spec.update(replicas=0)), "0 replicas"),
        (api(change=lambda spec, pod, container: spec.update(replicas=10**6)), "between 1 and 1,000 pods"),
        (api(change=lambda spec, pod, container: pod.update(terminationGracePeriodSeconds=10**9)), "1000000000"),
        (api(change=lambda spec, pod, container: container["startupProbe"].update(periodSeconds=0)), "is 0"),
        (api(change=lambda spec, pod, container: container["readinessProbe"].update(periodSeconds="2")), "is '2'"),
        (api(change=lambda spec, pod, container: spec.update(replicas="three")), "cannot be read"),
        (api(change=lambda spec, pod, container: spec.update(minReadySeconds="5")), "minReadySeconds is '5'"),
        (api(change=rolling("many", 0)), "'many' is no number of pods"),
        (api(change=rolling(-1, 0)), "-1 is no number of pods"),
        ([3], "cannot be read"),
    ],
)
def test_a_deployment_that_cannot_be_updated_is_an_error(manifests, message):
    with pytest.raises(CloudError, match=message):
        run(manifests)


@pytest.mark.parametrize("options", [{"start_seconds": -1}, {"drain_seconds": 0.5}, {"propagation_seconds": True}])
def test_a_time_that_is_no_number_of_seconds_is_an_error(options):
    with pytest.raises(CloudError, match="a whole number between 0"):
        run(api(), **options)


def test_the_figure_has_a_panel_a_rollout():
    drawn = figures.timeline_figure({"good": run(api()), "bad": run(api(), bad_version=True)})
    assert [axes.get_title().split(":")[0] for axes in drawn.axes] == ["good", "bad"]
    assert drawn.axes[0].get_xlim() == drawn.axes[1].get_xlim()
