"""One warm engine for all attacks."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from arena import LIMITS, SECRET, Host, reference, settled

from autograder.sandbox import Engine, capabilities


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    folder.chmod(0o755)
    canary = folder / "gradebook.db"
    canary.write_text(SECRET)
    canary.chmod(0o666)
    inet, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    abstract = f"course-test-{os.getpid()}"
    unix.bind("\0" + abstract)
    unix.listen()
    for listener in (inet, unix):
        listener.setblocking(False)
    os.environ["COURSE_TEST_SECRET"] = SECRET
    yield Host(canary, inet.getsockname()[1], abstract, os.getpid(), (inet, unix))
    del os.environ["COURSE_TEST_SECRET"]
    inet.close()
    unix.close()


@pytest.fixture(scope="session")
def engine(host: Host) -> Iterator[Engine]:
    best = capabilities().best
    if best is None:
        pytest.fail(f"no sandbox on this machine: {capabilities()}")
    with Engine(sandbox=os.environ.get("COURSE_TEST_SANDBOX", best), preload=("numpy",), cache=None) as engine:
        yield engine


@pytest.fixture(scope="session")
def processes(engine: Engine) -> frozenset[int]:
    """The engine's own processes when nothing runs, the snapshot of the first cell included."""
    engine.run(reference(), limits=LIMITS, reference=reference())
    assert engine.is_sliced(reference())
    return settled(engine)
