"""A graceful-shutdown test: start a server, put requests in flight, send SIGTERM, and count what was lost."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from course_lib import programs
from course_lib.errors import EngineError
from course_lib.processes import free_port, wait_until
from course_lib.programs import Program

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
    script = HEAD.format(work_s=work_s, port=port) + "\n" + source
    command = [sys.executable, "-I", "-S", "-u", "server.py"]
    with programs.start(command, files={"server.py": script}) as program:
        return _drill(program, port, requests, grace_s)


def _drill(program: Program, port: int, requests: int, grace_s: float) -> StopReport:
    with ThreadPoolExecutor(max_workers=max(requests, 1)) as pool:
        _wait(program, lambda: _listens(program, port))
        if not requests:  # one answer proves that the script is past its set-up: a signal before that would be unfair
            _wait(program, lambda: _get(program, port))
        replies = [pool.submit(_get, program, port) for _ in range(requests)]
        _wait(program, lambda: program.output().count("begin") >= requests)
        started = time.monotonic()
        program.send_signal(signal.SIGTERM)
        killed = False
        try:
            code = programs.wait(program, grace_s)
        except TimeoutError:
            killed = True
            program.send_signal(signal.SIGKILL)
            code = programs.wait(program, 10)
        seconds = time.monotonic() - started
        answered = sum(reply.result() for reply in replies)
    return StopReport(requests, answered, code, killed, round(seconds, 2), program.output())


def _wait(program: Program, condition: Callable[[], object]) -> None:
    def reached() -> bool:
        if (code := program.poll()) is not None:
            raise EngineError(
                f"The server script ended by itself with code {code}.",
                expected="a script that serves until SIGTERM",
                next_step=f"read what it printed:\n{program.output() or '(nothing: did it call serve_forever?)'}",
            )
        return bool(condition())

    wait_until(reached, timeout=30, what="a server that accepts and handles requests")


def _listens(program: Program, port: int) -> bool:
    with contextlib.suppress(OSError), program.connect(port, timeout=1):
        return True
    return False


def _get(program: Program, port: int) -> bool:
    """Return whether a whole answer came back."""
    try:
        with program.connect(port, timeout=15) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            reply = b""
            while part := connection.recv(4096):
                reply += part
    except OSError:
        return False
    return reply.endswith(b"\r\n\r\nok")
