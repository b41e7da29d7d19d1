from __future__ import annotations

import copy

import pytest

from course_lib.cloud.errors import CloudError
from course_lib.cloud.kubernetes import manifests as ours, review, validate

BOTH = pytest.mark.parametrize(
    "manifests", [ours.api(), ours.vllm(), ours.vllm(spare_gpu=True)], ids=["api", "vllm", "spare"]
)


def changed(change, manifests=None):
    """The API's manifests after ``change(deployment, pod, container, others by kind)``."""
    made = copy.deepcopy(manifests or ours.api())
    kinds = {manifest["kind"]: manifest for manifest in made}
    pod = made[0]["spec"]["template"]["spec"]
    change(made[0]["spec"], pod, pod["containers"][0], kinds)
    return made


@BOTH
def test_our_manifests_pass_the_schemas_of_every_version_that_knows_their_fields(manifests):
    for version in ("1.30", "1.33", ""):  # `preStop.sleep` is younger than 1.29
        assert validate.validate(manifests, version=version) == []


@BOTH
def test_our_manifests_pass_the_review(manifests):
    assert review.review(manifests) == []


def test_a_misspelt_field_is_named_with_its_place():
    made = changed(lambda spec, pod, container, kinds: container.update(redinessProbe={}))
    assert validate.validate(made) == [
        "Deployment late-flights: spec.template.spec.containers.0: "
        "Additional properties are not allowed ('redinessProbe' was unexpected)"
    ]


def test_a_number_that_is_text_is_named():
    (found,) = validate.validate(changed(lambda spec, pod, container, kinds: spec.update(replicas="3")))
    assert "spec.replicas: '3' is not of type 'integer'" in found


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"kind": "Teleport", "apiVersion": "v1"}, "has no Teleport in v1"),
        ({"kind": "Pod"}, "apiVersion must be given"),
        ({}, "apiVersion and kind must be given"),
        ([], "it is no mapping"),
    ],
)
def test_what_is_no_kubernetes_object_is_named(manifest, message):
    (found,) = validate.validate([manifest])
    assert message in found


@pytest.mark.parametrize("version", ["1.2", "9.9", "new"])
def test_a_version_without_schemas_is_an_error(version):
    with pytest.raises(CloudError, match=r"no schemas for Kubernetes[\s\S]*between 1\."):
        validate.validate(ours.api(), version=version)


BROKEN = {
    "K8S01 latest": ("K8S01", "pin a tag", lambda s, p, c, k: c.update(image="registry.example:5000/api:latest")),
    "K8S01 none": ("K8S01", "pin a tag", lambda s, p, c, k: c.update(image="registry.example:5000/api")),
    "K8S02 none": ("K8S02", "no request for cpu and memory", lambda s, p, c, k: c.pop("resources")),
    "K8S02 limit": ("K8S02", "no memory limit", lambda s, p, c, k: c["resources"].pop("limits")),
    "K8S03": ("K8S03", "no readiness probe", lambda s, p, c, k: c.pop("readinessProbe")),
    "K8S04 start": ("K8S04", "more than 30 s is killed", lambda s, p, c, k: c.pop("startupProbe")),
    "K8S04 same": ("K8S04", "asks what readiness asks", lambda s, p, c, k: c.update(livenessProbe=c["readinessProbe"])),
    "K8S05 none": ("K8S05", "no preStop hook", lambda s, p, c, k: c.pop("lifecycle")),
    "K8S05 long": ("K8S05", "5 s of 5 s grace", lambda s, p, c, k: p.update(terminationGracePeriodSeconds=5)),
    "K8S06 recreate": ("K8S06", "begins with an outage", lambda s, p, c, k: s.update(strategy={"type": "Recreate"})),
    "K8S06 all": (
        "K8S06",
        "maxUnavailable: 100% of 3",
        lambda s, p, c, k: s["strategy"]["rollingUpdate"].update(maxUnavailable="100%"),
    ),
    "K8S06 neither": (
        "K8S06",
        "both 0",
        lambda s, p, c, k: s["strategy"]["rollingUpdate"].update(maxSurge="0%", maxUnavailable=0),
    ),
    "K8S07 one": (
        "K8S07",
        "one replica",
        lambda s, p, c, k: k["HorizontalPodAutoscaler"]["spec"].update(minReplicas=1),
    ),
    "K8S07 two places": ("K8S07", "undoes the scaling", lambda s, p, c, k: s.update(replicas=3)),
    "K8S08 none": (
        "K8S08",
        "no PodDisruptionBudget",
        lambda s, p, c, k: k["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].update(app="other"),
    ),
    "K8S08 zero": (
        "K8S08",
        "never be drained",
        lambda s, p, c, k: k["PodDisruptionBudget"]["spec"].update(maxUnavailable=0),
    ),
    "K8S09 selector": (
        "K8S09",
        "matches no pod",
        lambda s, p, c, k: k["Service"]["spec"].update(selector={"app": "typo"}),
    ),
    "K8S09 port": (
        "K8S09",
        "'web' is no port",
        lambda s, p, c, k: k["Service"]["spec"]["ports"][0].update(targetPort="web"),
    ),
    "K8S10 name": (
        "K8S10",
        "not among the manifests",
        lambda s, p, c, k: k["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"].update(name="typo"),
    ),
    "K8S10 request": ("K8S10", "it never scales", lambda s, p, c, k: c["resources"]["requests"].pop("cpu")),
    "K8S11": ("K8S11", "may run as root", lambda s, p, c, k: p.pop("securityContext")),
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_fault_is_found_by_its_rule_and_passes_the_schema(case):
    code, message, change = BROKEN[case]
    made = changed(change)
    assert validate.validate(made) == []
    mine = [finding for finding in review.review(made) if finding.rule == code]
    assert any(message in finding.message for finding in mine), review.review(made)


def test_every_rule_has_a_fault_that_breaks_it():
    assert {code for code, _, _ in BROKEN.values()} == {rule.code for rule in review.REVIEW_RULES}


@pytest.mark.parametrize(
    ("budget", "blocks"),
    [
        ({"minAvailable": 3}, True),
        ({"minAvailable": "100%"}, True),
        ({"minAvailable": "67%"}, True),  # 2.01 of 3 pods, rounded up
        ({"minAvailable": "66%"}, False),
        ({"minAvailable": 2}, False),
        ({"maxUnavailable": "1%"}, False),  # 0.03 of 3 pods, rounded up
        ({"maxUnavailable": "0%"}, True),
    ],
)
def test_a_budget_blocks_drains_if_it_allows_no_pod_to_go(budget, blocks):
    def change(spec, pod, container, kinds):
        kinds["PodDisruptionBudget"]["spec"].pop("maxUnavailable")
        kinds["PodDisruptionBudget"]["spec"].update(budget)

    found = [finding.rule for finding in review.review(changed(change))]
    assert found == (["K8S08"] if blocks else [])


@pytest.mark.parametrize(
    "manifests", [[3], [{"kind": "Deployment", "spec": {"template": {"spec": {"containers": 3}}}}]]
)
def test_a_review_of_what_is_no_manifest_is_an_error(manifests):
    with pytest.raises(CloudError, match="Expected"):
        review.review(manifests)
