"""Nothing is downloaded and nobody is told: the network is closed in tests, and while notebooks run."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import NetworkUsedError

ROOT = Path(__file__).parents[1]
TRY_TO_LEAVE = """
import socket
with socket.socket() as listener:  # the loopback device must work
    listener.bind(("127.0.0.1", 0)); listener.listen()
    socket.create_connection(listener.getsockname(), timeout=5).close()
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)  # TEST-NET-1: an address that no machine has
except OSError as error:
    print("refused by the kernel:", error.errno)
"""


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80, 0, 0), ("example.org", 443)])
def test_a_connection_to_another_machine_fails_the_test(address):
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as probe, pytest.raises(NetworkUsedError):
        probe.connect(address)


def test_a_connection_to_this_machine_is_allowed():
    with socket.socket() as listener, socket.socket() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.connect(listener.getsockname())


def test_the_offline_script_leaves_only_the_loopback_device():
    done = subprocess.run(
        [ROOT / "scripts" / "offline.sh", sys.executable, "-c", TRY_TO_LEAVE],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "no network namespace" in done.stderr:
        pytest.skip("this system grants no network namespace")
    assert done.returncode == 0, done.stderr
    assert "refused by the kernel: 101" in done.stdout  # ENETUNREACH: there is no route out


def test_ci_runs_notebooks_and_answers_offline():
    script = (ROOT / "scripts" / "test.sh").read_text()
    for command in ("course", "answers"):
        assert re.search(rf"scripts/offline\.sh \$bin/python -m autograder {command}", script)
