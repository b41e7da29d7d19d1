"""Two servers that start in the same moment get two ports."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from autograder.jupyter_ext import ports
from course_lib.processes import free_port

HOLD = """
import sys
from autograder.jupyter_ext.ports import reserve
print(reserve(int(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(ports.tempfile, "tempdir", str(tmp_path))


def start(first):
    command = [sys.executable, "-c", HOLD, str(first)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_servers_that_start_together_reserve_different_ports():
    first = free_port()
    servers = [start(first) for _ in range(4)]
    taken = [int(server.stdout.readline()) for server in servers]
    for server in servers:
        server.communicate()

    assert len(set(taken)) == 4
    assert all(first <= port < first + 50 for port in taken)
    again = start(first)
    assert int(again.stdout.readline()) == min(taken)  # what ended keeps nothing
    again.communicate()


def test_a_port_that_something_else_listens_on_is_passed_over():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = start(port)
        assert int(server.stdout.readline()) > port
        server.communicate()


def test_where_nothing_can_be_written_jupyter_looks_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(ports.tempfile, "tempdir", str(tmp_path / "none"))
    assert ports.reserve(9321) == 9321
