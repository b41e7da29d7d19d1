import os
import signal
import socket
import subprocess
import sys
import threading

import psutil
import pytest

from course_lib import loadtest, processes
from course_lib.errors import EngineError, LoadTestError
from course_lib.serving.client import Desk


def test_stopping_under_load_loses_nothing_that_was_accepted(service):
    server = service("--drain-s", "5", "--log-level", "INFO")
    found = []
    test = threading.Thread(target=lambda: found.append(loadtest.closed_loop(server.url, connections=8, seconds=10)))
    test.start()
    processes.wait_until(lambda: server.log(lines=1).count("/predict"), what="the first answer")

    os.kill(server.pid, signal.SIGTERM)
    test.join()
    processes.wait_until(lambda: not server.running, what="the end of the service")

    (load,) = found
    assert load.lost == 0
    assert set(load.statuses) == {200}
    assert '"event":"draining"' in server.log(lines=100_000)


def test_the_online_path_needs_none_of_the_training_libraries():
    code = (
        "import sys; from course_lib import packaging; from course_lib.serving import create_app, server, load_model;"
        "heavy = {'pandas', 'sklearn', 'scipy', 'mlflow', 'skl2onnx', 'onnx', 'matplotlib', 'ray', 'locust', 'httpx'};"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_a_taken_port_is_an_error_with_a_reason(bundle):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "course_lib.serving", "--bundle", str(bundle), "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode != 0
    assert "address already in use" in done.stderr + done.stdout


def test_without_a_bundle_the_process_lives_and_is_not_ready(tmp_path):
    port = processes.free_port()
    command = [sys.executable, "-m", "course_lib.serving", "--bundle", str(tmp_path), "--port", str(port)]
    with processes.Server("desk", command, port=port, ready_path="/health") as server:
        server.wait_ready()
        with Desk(server.url) as desk:
            assert not desk.ready()
        processes.wait_until(lambda: "could not be loaded" in server.log(), what="the reason in the log")


def test_a_failing_cell_leaves_no_process_and_no_port(service):
    server = service()
    pid, port = server.pid, server.port

    with pytest.raises(ZeroDivisionError), server:
        raise ZeroDivisionError

    assert not psutil.pid_exists(pid)
    processes.require_free(port)


def test_a_load_test_of_nothing_says_so():
    with pytest.raises(LoadTestError, match="load test"):
        loadtest.closed_loop(f"http://127.0.0.1:{processes.free_port()}", seconds=0.1)


def test_a_stopped_service_cannot_be_waited_for(tmp_path):
    port = processes.free_port()
    command = [sys.executable, "-m", "course_lib.serving", "--port", str(port)]
    with pytest.raises(EngineError, match="--bundle"), processes.Server("desk", command, port=port) as server:
        server.wait_ready()
