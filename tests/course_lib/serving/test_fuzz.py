"""Attack the running service from its own OpenAPI document."""

import sys

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from course_lib import processes

OPERATIONS = [
    ("POST", "/predict"),
    ("POST", "/predict/batch"),
    ("POST", "/predict/stream"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/model"),
    ("GET", "/metrics"),
]


@pytest.fixture(scope="module", params=[(), ("--direct-route",)], ids=["idiomatic", "direct"])
def schema(bundle, request):
    port = processes.free_port()
    command = [sys.executable, "-m", "course_lib.serving", "--bundle", bundle, "--port", str(port), *request.param]
    with processes.Server("desk", command, port=port, ready_path="/ready") as server:
        server.wait_ready()
        yield schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        assert server.running
        assert '"level":"error"' not in server.log(lines=100_000)


def test_the_document_lists_every_operation(schema):
    assert {(found.ok().method.upper(), found.ok().path) for found in schema.get_all_operations()} == set(OPERATIONS)


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_input_makes_the_service_fail_or_break_its_own_document(schema, method, path, mode):
    if mode is schemathesis.GenerationMode.NEGATIVE and method == "GET":
        return  # nothing that could be wrong: these take no input

    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def attack(case):
        case.call_and_validate(timeout=10)  # no 5xx; status, type and body as documented; good accepted, bad refused

    attack()
