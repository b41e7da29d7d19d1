"""One bundle for all tests of the service, made once and kept in the cache."""

from __future__ import annotations

import sys

import pytest

from course_lib import processes
from course_lib.packaging import desk_bundle
from course_lib.serving.api.schemas import EXAMPLE


@pytest.fixture(scope="session")
def bundle():
    return desk_bundle()


@pytest.fixture
def flight():
    return dict(EXAMPLE)


@pytest.fixture
def service(bundle):
    """A function that starts the service as a process; all are stopped afterwards."""
    started = []

    def start(*options):
        port = processes.free_port()
        command = [sys.executable, "-m", "course_lib.serving", "--bundle", bundle, "--port", str(port), *options]
        server = processes.Server("desk", command, port=port, ready_path="/ready")
        started.append(server)
        return server.start().wait_ready()

    yield start
    for server in started:
        server.stop()
