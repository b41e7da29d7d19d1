"""The stop drill: start a server, put requests in flight, send SIGTERM, and count what was lost."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from course_lib.errors import EngineError
from course_lib.processes import free_port, wait_until

__all__ = ["HEAD", "StopReport", "drill"]

HEAD = """\
import signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        print("begin", flush=True)
        time.sleep({work_s})                      # the model at work
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *args):
        pass

server = ThreadingHTTPServer(("127.0.0.1", {port}), Handler)   # it listens from here on
"""


@dataclass(frozen=True)
class StopReport:
    """What a server did when it was asked to stop.

    Attributes
    ----------
    in_flight
        Requests that it was working on when SIGTERM came.
    answered
        How many of them got their whole answer.
    exit_code
        The code it ended with; negative: the number of the signal that killed it.
    killed
        Whether it was still there after the grace period and had to be killed.
    seconds
        From SIGTERM to its end.
    output
        What it printed.
    """

    in_flight: int
    answered: int
    exit_code: int
    killed: bool
    seconds: float
    output: str

    @property
    def dropped(self) -> int:
        """Requests that were accepted and never answered."""
        return self.in_flight - self.answered


def drill(source: str, *, requests: int = 4, work_s: float = 0.3, grace_s: float = 2.0) -> StopReport:
    """Run ``source`` as a server and stop it with ``requests`` requests in flight.

    Parameters
    ----------
    source
        Python text that runs after :data:`HEAD`, where ``server`` exists already: it serves, and handles SIGTERM.
    requests
        Requests in flight when the signal comes.
    work_s
        Seconds that the server works on each.
    grace_s
        Seconds from SIGTERM to SIGKILL, as ``docker stop --time``.

    Raises
    ------
    EngineError
        The script ended, or never took the requests.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="course-drill-") as folder:
        script, log = Path(folder) / "server.py", Path(folder) / "server.log"
        script.write_text(HEAD.format(work_s=work_s, port=port) + "\n" + source)
        with log.open("wb") as output:
            command = [sys.executable, "-I", "-S", "-u", str(script)]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder)
        try:
            return _drill(process, port, log, requests, grace_s)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def _drill(process: subprocess.Popen[bytes], port: int, log: Path, requests: int, grace_s: float) -> StopReport:
    with ThreadPoolExecutor(max_workers=max(requests, 1)) as pool:
        _wait(process, lambda: _listens(port), log)
        if not requests:  # one answer proves that the script is past its set-up: a signal before that would be unfair
            _wait(process, lambda: _get(port), log)
        replies = [pool.submit(_get, port) for _ in range(requests)]
        _wait(process, lambda: log.read_text().count("begin") >= requests, log)
        started = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        killed = False
        try:
            process.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            killed = True
            process.kill()
            process.wait()
        seconds = time.monotonic() - started
        answered = sum(reply.result() for reply in replies)
    return StopReport(requests, answered, process.returncode, killed, round(seconds, 2), log.read_text())


def _wait(process: subprocess.Popen[bytes], condition: object, log: Path) -> None:
    def reached() -> bool:
        if process.poll() is not None:
            raise EngineError(
                f"The server script ended by itself with code {process.returncode}.",
                expected="a script that serves until SIGTERM",
                next_step=f"read what it printed:\n{log.read_text() or '(nothing: did it call serve_forever?)'}",
            )
        return bool(condition())  # type: ignore[operator]

    wait_until(reached, timeout=30, what="a server that accepts and handles requests")


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _get(port: int) -> bool:
    """Return whether a whole answer came back."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            reply = b""
            while part := connection.recv(4096):
                reply += part
    except OSError:
        return False
    return reply.endswith(b"\r\n\r\nok")
