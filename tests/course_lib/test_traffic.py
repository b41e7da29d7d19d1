"""Traffic against servers that answer in every way HTTP/1.1 allows."""

import socketserver
import threading
from contextlib import contextmanager

import pytest

from course_lib import loadtest

BODY = b'{"model_version": "7"}'
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\n" + BODY
LEAVING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
CUT_OFF = LENGTH[:-1]


@contextmanager
def served(answer, *, stays, piece=1000):
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while line := self.rfile.readline():
                size = 0
                while line.strip():
                    size = int(line.split(b":")[1]) if line.lower().startswith(b"content-length") else size
                    line = self.rfile.readline()
                self.rfile.read(size)
                for start in range(0, len(answer), piece):
                    self.wfile.write(answer[start : start + piece])
                if not stays:
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/predict"
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "stays", "piece"),
    [(LENGTH, True, 1000), (LENGTH, True, 1), (UNTIL_CLOSED, False, 7), (LEAVING, False, 1000), (LEAVING, True, 3)],
)
def test_an_answer_counts_however_it_ends(answer, stays, piece):
    with served(answer, stays=stays, piece=piece) as url, loadtest.Traffic(url, [{}], connections=2) as traffic:
        traffic.wait_for(6)
    report = traffic.report()
    assert report.failed == 0
    assert report.versions == {"7": report.sent}


def test_an_answer_that_is_cut_off_is_lost():
    with served(CUT_OFF, stays=False) as url, loadtest.Traffic(url, [{}], connections=2) as traffic:
        traffic.wait_for(3)
    assert traffic.report().reasons == {"closed": traffic.report().sent}


def test_a_generator_ends_when_the_server_has_sent_everybody_away():
    with served(LEAVING, stays=False) as url:
        load = loadtest.closed_loop(url.removesuffix("/predict"), connections=3, seconds=60)
    assert (load.statuses, load.lost) == ({200: 3}, 0)


def test_the_pace_bounds_what_each_connection_sends():
    with served(LENGTH, stays=True) as url:
        (load,) = loadtest.steps(url.removesuffix("/predict"), [2], seconds=1.0, pace=10)
    assert 0 < load.requests <= 2 * 10
    assert load.failed == 0
