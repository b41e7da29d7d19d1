"""A gateway in front of a double, both on real sockets in this process, and the providers' own clients."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
import uvicorn

from course_lib import processes
from course_lib.llm.gateway import Settings, create_gateway
from tests.course_lib.llm.gateway.clients import CLIENTS, MODEL
from tests.course_lib.llm.gateway.fakes import FakeServer

ALIASES = ("gpt-4o-mini", "us.amazon.nova-lite-v1:0", "gemini-2.5-flash")
TEXT = "Flights are late when it snows.\u2028Naïve ✈"
MODELS = dict.fromkeys([MODEL, *ALIASES], MODEL)


class _Server(uvicorn.Server):
    def install_signal_handlers(self):
        """Leave the signals to pytest."""


@contextmanager
def served(app, port=None):
    """Run an app with uvicorn in a thread, and yield its URL."""
    port = port or processes.free_port()
    config = uvicorn.Config(app, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=2, ws="none")
    server = _Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    processes.wait_until(lambda: server.started or not thread.is_alive(), timeout=60, what="the start of a server")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


class Stack:
    """A gateway in front of a double, both listening, for all tests; each test finds them as new."""

    def __init__(self, fake, app, url):
        self.fake, self.app, self.url = fake, app, url
        self._before = {}

    def renew(self):
        vars(self.fake).update(vars(FakeServer()))
        self._before = {(s.name, *sorted(s.labels.items())): s.value for s in self._samples()}

    def metric(self, name, **labels):
        """Return how much a counter has grown during this test."""
        key = (name, *sorted(labels.items()))
        now = {(s.name, *sorted(s.labels.items())): s.value for s in self._samples()}
        return now.get(key, 0.0) - self._before.get(key, 0.0)

    def _samples(self):
        return [sample for family in self.app.state.gateway.metrics.registry.collect() for sample in family.samples]


@pytest.fixture(scope="session")
def _stack():
    fake = FakeServer()
    with served(fake.app()) as upstream:
        settings = Settings(models=MODELS, max_body_bytes=20_000, max_completion_tokens=100, max_concurrent=4)
        app = create_gateway(f"{upstream}/v1", settings)
        with served(app) as url:
            yield Stack(fake, app, url)


@pytest.fixture
def gateway(_stack):
    _stack.renew()
    return _stack


@pytest.fixture
def fake(gateway):
    return gateway.fake


@pytest.fixture(scope="session")
def dead():
    """The URL of a gateway whose model's server is not there."""
    settings = Settings(models=MODELS, connect_timeout_s=5)
    with served(create_gateway(f"http://127.0.0.1:{processes.free_port()}/v1", settings)) as url:
        yield url


@pytest.fixture(scope="session")
def connect():
    """A function that returns the client of a protocol; it is made once for each URL."""
    made = {}

    def client(protocol, url):
        if (protocol, url) not in made:
            made[protocol, url] = CLIENTS[protocol](url)
        return made[protocol, url]

    yield client
    for one in made.values():
        one.close()
