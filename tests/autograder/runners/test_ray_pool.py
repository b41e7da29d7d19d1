"""The pool on a cluster of two nodes in this machine."""

from __future__ import annotations

import os

import pytest

from autograder.runners.pool import Lost
from tests.fixtures.pool_jobs import never, start

ray = pytest.importorskip("ray", reason="Ray is not installed (the extra 'cluster')")

from autograder.runners.ray_pool import RayError, run_on_ray  # noqa: E402

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.second = made.add_node(num_cpus=1)
    root = os.getcwd()  # noqa: PTH109
    ray.init(address=made.address, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": root}})
    yield made
    ray.shutdown()
    made.shutdown()


def run(jobs, *, workers=2, limit=60.0, starter=start):
    return dict(run_on_ray(starter, jobs, workers=workers, limit=limit))


def test_a_job_that_always_takes_its_worker_along_costs_only_itself(cluster):
    outcomes = run([("say", "a"), ("die", "x"), ("say", "b"), ("raise", "y")])
    assert "3 times" in outcomes.pop(("die", "x")).reason
    assert "ValueError: y" in outcomes.pop(("raise", "y")).reason
    assert set(outcomes.values()) == {"a", "b"}


def test_a_job_that_hangs_is_given_up(cluster, tmp_path):
    outcomes = run([("hang", str(tmp_path / "pid")), ("say", "a")], limit=15)
    assert "did not end" in outcomes["hang", str(tmp_path / "pid")].reason
    assert outcomes["say", "a"] == "a"


def test_a_worker_that_cannot_start_loses_its_job_with_a_reason(cluster):
    assert isinstance(run([("say", "a")], workers=1, starter=never)["say", "a"], Lost)


def test_a_node_killed_in_the_middle_loses_nothing(cluster):
    jobs = [("say", str(number)) for number in range(40)]
    found = {}
    for job, outcome in run_on_ray(start, jobs, workers=2, limit=60):
        found[job] = outcome
        if len(found) == 5:
            cluster.remove_node(cluster.second, allow_graceful=False)
    assert found == {job: job[1] for job in jobs}


def test_without_ray_it_says_what_to_do(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RayError, match="not installed"):
        run([("say", "a")])
