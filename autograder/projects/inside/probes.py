"""HTTP probes: what the supervisor asks a server, each in its own process. Standard library only: it forks often."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

__all__ = ["PROBES"]

HOST = "127.0.0.1"
_MAX_BYTES = 4 << 20  # bytes read of one answer
_MAX_BODY = 1 << 16  # bytes read of one alert


def ask(
    port: int, requests: Sequence[Mapping[str, Any]], timeout: float = 20.0, *, stream: bool = False
) -> dict[str, Any]:
    """Send requests one after the other; each is ``method``, ``path`` and ``json`` or ``body`` with ``headers``."""
    return {"answers": [_one(port, request, timeout, stream=stream) for request in requests]}


def _one(port: int, request: Mapping[str, Any], timeout: float, *, stream: bool = False) -> dict[str, Any]:
    started = time.perf_counter()
    answer: dict[str, Any] = {"status": 0, "type": "", "text": "", "lines": []}
    with contextlib.closing(http.client.HTTPConnection(HOST, port, timeout=timeout)) as connection:
        try:
            body, headers = _body(request)
            connection.request(request.get("method", "GET"), request["path"], body=body, headers=headers)
            reply = connection.getresponse()
            if stream:
                answer["lines"] = _timed_lines(reply, started, timeout)
            else:
                answer["text"] = reply.read(_MAX_BYTES).decode(errors="replace")
            answer |= {"status": reply.status, "type": reply.getheader("content-type", "")}
        except (OSError, http.client.HTTPException) as error:
            answer |= {"text": f"{type(error).__name__}: {error}", "lines": []}
    return {**answer, "seconds": _since(started)}


def _since(started: float) -> float:
    return time.perf_counter() - started


def _body(request: Mapping[str, Any]) -> tuple[bytes | None, dict[str, str]]:
    if "json" in request:
        return json.dumps(request["json"]).encode(), {"Content-Type": "application/json"}
    return (str(request["body"]).encode() if "body" in request else None), dict(request.get("headers", {}))


def _timed_lines(reply: http.client.HTTPResponse, started: float, timeout: float) -> list[list[Any]]:
    """Return each line of a stream with the seconds after which it came."""
    lines: list[list[Any]] = []
    while len(lines) < 20_000 and _since(started) < timeout:
        line = reply.readline(1 << 16)
        if not line:
            break
        if text := line.decode(errors="replace").rstrip("\r\n"):
            lines.append([_since(started), text])
    return lines


def wait_open(
    port: int, path: str, seconds: float, statuses: Sequence[int] = (), settle: float = 15.0
) -> dict[str, Any]:
    """Wait until a GET of ``path`` is answered, then ``settle`` seconds for one of ``statuses``; return the answer."""
    end, answer = time.monotonic() + seconds, {"status": 0, "text": "no answer"}
    answered = False
    while time.monotonic() < end:
        answer = _one(port, {"path": path}, 5.0)
        if answer["status"] and (not statuses or answer["status"] in statuses):
            break
        if answer["status"] and not answered:
            answered, end = True, time.monotonic() + settle
        time.sleep(0.05)
    return {"answer": answer}


def load(port: int, request: Mapping[str, Any], clients: int, each: int, timeout: float = 20.0) -> dict[str, Any]:
    """Send ``each`` requests from each of ``clients`` connections at once; return statuses and latencies in ms."""
    statuses: list[int] = []
    latencies: list[float] = []
    lock = threading.Lock()

    def client() -> None:
        connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
        body, headers = _body(request)
        for _ in range(each):
            started = time.perf_counter()
            try:
                if connection.sock is None:
                    connection.connect()
                    assert connection.sock is not None
                    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.request(request.get("method", "POST"), request["path"], body=body, headers=headers)
                reply = connection.getresponse()
                reply.read(_MAX_BYTES)
                status = reply.status
            except (OSError, http.client.HTTPException):
                connection.close()
                status = 0
            with lock:
                statuses.append(status)
                latencies.append(1000 * _since(started))
        connection.close()

    started = time.perf_counter()
    _all_at_once([client] * clients)
    return {"statuses": statuses, "latencies_ms": latencies, "seconds": _since(started)}


def together(port: int, request: Mapping[str, Any], clients: int, timeout: float) -> dict[str, Any]:
    """Send one request from each of ``clients`` at once; return the lines of each stream, by one clock."""
    streams: list[list[list[Any]]] = [[] for _ in range(clients)]
    started = time.perf_counter()

    def client(number: int) -> None:
        late = _since(started)
        lines = _one(port, request, timeout, stream=True)["lines"]
        streams[number] = [[late + seconds, line] for seconds, line in lines]

    _all_at_once([partial(client, number) for number in range(clients)])
    return {"streams": streams}


def _all_at_once(jobs: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def baseline_load(clients: int, each: int) -> dict[str, Any]:
    """Put the same load on a server that does nothing: what this machine adds to every latency at this moment."""
    return load(_listen(0, lambda _: None), {"path": "/", "json": {}}, clients, each)


def _listen(port: int, take: Callable[[bytes], None]) -> int:
    """Serve in the background and hand each POST's body to ``take``; return the port."""

    class Receiver(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            take(self.rfile.read(min(int(self.headers.get("content-length") or 0), _MAX_BODY)))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class named it
            """Say nothing."""

    server = http.server.ThreadingHTTPServer((HOST, port), Receiver)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def free_port() -> dict[str, Any]:
    """Return a port that is free in the sandbox's network."""
    with socket.create_server((HOST, 0)) as listening:
        return {"port": listening.getsockname()[1]}


def feed(
    port: int, alerts: int, batches: Sequence[Mapping[str, Any]], late: int, settle_seconds: float
) -> dict[str, Any]:
    """Send batches to a monitored model, each batch's labels ``late`` batches later, and listen for alerts meanwhile.

    A batch is ``rows`` to predict and their ``labels`` by id. After each one the status is asked for until it says that
    the batch and the labels that came with it were looked at, at most ``settle_seconds`` seconds. Returned is, for each
    batch, the answer, the status, and the alerts that were received since the batch before.
    """
    received: list[Any] = []

    def take(body: bytes) -> None:
        with contextlib.suppress(ValueError, RecursionError):
            if len(received) < 1_000:
                received.append(json.loads(body.decode(errors="replace")))

    _listen(alerts, take)
    steps = []
    for number, batch in enumerate(batches):
        before = len(received)
        body = {"batch": number, "rows": batch["rows"]}
        answer = _one(port, {"method": "POST", "path": "/predict", "json": body}, 20.0)
        if number >= late:
            labels = {"batch": number - late, "labels": batches[number - late]["labels"]}
            _one(port, {"method": "POST", "path": "/labels", "json": labels}, 20.0)
        status = _settled(port, number, number - late, settle_seconds)
        steps.append(
            {"answer": answer["text"], "code": answer["status"], "status": status, "alerts": received[before:]}
        )
        if not status.get("settled"):
            break
    time.sleep(0.3)  # for an alert that is still on its way
    if steps:
        steps[-1]["alerts"] = steps[-1]["alerts"] + received[sum(len(step["alerts"]) for step in steps) :]
    return {"steps": steps}


def _settled(port: int, batch: int, labelled: int, settle_seconds: float) -> dict[str, Any]:
    end, status = time.monotonic() + settle_seconds, {}
    while time.monotonic() < end:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            status = dict(json.loads(_one(port, {"path": "/status"}, 10.0)["text"]))
            seen = status["batch"] >= batch and (labelled < 0 or status["labelled"] >= labelled)
            if seen and not status.get("busy"):
                return {**status, "settled": True}
        time.sleep(0.01)
    return status


PROBES: dict[str, Callable[..., dict[str, Any]]] = {
    probe.__name__: probe for probe in (ask, baseline_load, feed, free_port, load, together, wait_open)
}
