from __future__ import annotations

import socket
import sys
import urllib.request

import psutil
import pytest

from course_lib import processes
from course_lib.errors import EngineError

STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-m", "http.server", sys.argv[1], "--bind", "127.0.0.1"])
child.wait()
"""


def files_server(port=None):
    port = port or processes.free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    return processes.Server("file server", command, port=port, timeout=30)


def test_a_server_is_started_awaited_and_stopped():
    with files_server() as server:
        server.wait_ready()
        assert urllib.request.urlopen(server.url).status == 200
        pid = server.pid
    assert not psutil.pid_exists(pid)
    processes.require_free(server.port)


def test_a_server_stops_when_the_block_fails():
    server = files_server()

    def failing_cell():
        with server:
            server.wait_ready()
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        failing_cell()
    assert not server.running
    processes.require_free(server.port)


def test_children_and_those_that_ignore_the_polite_signal_stop_too():
    port = processes.free_port()
    server = processes.Server("stubborn", [sys.executable, "-c", STUBBORN, str(port)], port=port, timeout=30)
    server.start().wait_ready()
    tree = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    assert len(tree) == 2
    server.stop(grace=0.5)
    assert not [process for process in tree if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_a_port_in_use_is_a_clear_error():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(EngineError, match="is in use by another program"):
            files_server(other.getsockname()[1]).start()


def test_a_missing_program_is_a_clear_error():
    server = processes.Server("ghost", ["no-such-program-here"], port=processes.free_port())
    with pytest.raises(EngineError, match=r"ghost could not be started[\s\S]*make engines"):
        server.start()


def test_a_server_that_dies_shows_the_end_of_its_log():
    program = "print('the reason it failed', flush=True); raise SystemExit(3)"
    server = processes.Server("short-lived", [sys.executable, "-c", program], port=processes.free_port(), timeout=30)
    with pytest.raises(EngineError, match=r"stopped before it was ready[\s\S]*the reason it failed"), server:
        server.wait_ready()


def test_a_server_that_never_answers_is_given_up():
    program = "import time; time.sleep(60)"
    server = processes.Server("silent", [sys.executable, "-c", program], port=processes.free_port(), timeout=0.5)
    with pytest.raises(EngineError, match="did not answer within"), server:
        server.wait_ready()
    assert not server.running


def test_its_working_folder_is_private_and_goes_with_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with files_server() as server:
        server.wait_ready()
        page = urllib.request.urlopen(server.url).read().decode()
        assert "server.log" in page
    assert not list(tmp_path.iterdir())
    assert server.log() == ""


def test_a_stopped_server_is_forgotten_and_can_be_started_again():
    with files_server() as server:
        server.wait_ready()
        first = server.folder
    assert not server.running
    with pytest.raises(EngineError, match="is not running"):
        _ = server.pid
    with server:
        server.wait_ready()
        assert server.folder != first
    assert not first.exists()


def test_waiting_for_a_condition_gives_up_with_its_name():
    with pytest.raises(EngineError, match="the flag did not come true"):
        processes.wait_until(lambda: False, timeout=0.05, what="the flag")
    processes.wait_until(lambda: True)
