"""SageMaker's data plane on this machine: ``InvokeEndpoint`` that reaches a real server with a real model.

The router speaks SageMaker Runtime's wire protocol, so boto3 works unchanged. For each call it looks the endpoint up in
the emulator, picks a variant by the current weights, makes sure that the variant's container runs, forwards the body to
``/invocations``, and notes the call in CloudWatch. Errors have AWS's own names and statuses.
Protocol: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from course_lib.cloud.providers import aws
from course_lib.cloud.sagemaker.hosting import Fleet, HostingFailed
from course_lib.processes import Server, free_port

__all__ = ["NAMESPACE", "Router", "main", "start"]

NAMESPACE = "AWS/SageMaker"  # of the metrics in CloudWatch
_PATH = re.compile(r"/endpoints/(?P<name>[A-Za-z0-9-]{1,63})/invocations")
_WANTED = "x-amzn-sagemaker-target-variant"
_TIMEOUT_S = 60.0  # as SageMaker: a container that takes longer has failed
_LIMIT = 25_000_000  # bytes of a request, as SageMaker
_SWEEP_S = 0.5


class _Refused(Exception):
    """An error with AWS's name for it."""

    def __init__(self, status: int, name: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.name, self.more = status, name, more


class Router:
    """Finds the container for a call and passes it on.

    Parameters
    ----------
    url
        URL of AWS's emulator.
    seed
        Decides which calls go to which variant.
    """

    def __init__(self, url: str, *, seed: int = 0) -> None:
        self._url = url
        self._fleet = Fleet(url)
        self._draw = random.Random(seed)  # noqa: S311 - shares of traffic, not a secret
        self._lock = threading.Lock()
        self._configs: dict[tuple[str, Any], dict[str, str]] = {}  # a configuration never changes

    def invoke(self, endpoint: str, body: bytes, kind: str, wanted: str = "") -> tuple[str, bytes, str]:
        """Return the variant that answered, its answer, and the answer's content type."""
        variants = self._variants(endpoint)
        variant = self._choose(endpoint, variants, wanted)
        started = time.perf_counter()
        status = 500
        try:
            port = self._fleet.port(variants[variant]["model"])
            status, answer, answered = _forward(port, body, kind)
        except HostingFailed as error:
            raise _Refused(
                400, "ValidationError", f"Endpoint {endpoint} is not InService (Failed): {error.happened}"
            ) from error
        finally:
            self._note(endpoint, variant, status, time.perf_counter() - started)
        if status >= 400:
            text = answer.decode(errors="replace")
            raise _Refused(
                424,
                "ModelError",
                f"Received client error ({status}) from primary with message {text!r}.",
                OriginalStatusCode=status,
                OriginalMessage=text,
            )
        return variant, answer, answered

    def sweep(self) -> None:
        """Stop the containers of models that no endpoint has any more."""
        if self._fleet.models:
            sagemaker = aws.client("sagemaker", self._url)
            names = [found["EndpointName"] for found in sagemaker.list_endpoints()["Endpoints"]]
            self._fleet.keep(one["model"] for name in names for one in self._variants(name).values())

    def _variants(self, endpoint: str) -> dict[str, dict[str, Any]]:
        sagemaker = aws.client("sagemaker", self._url)
        try:
            found = sagemaker.describe_endpoint(EndpointName=endpoint)
            key = found["EndpointConfigName"], found["CreationTime"]
            if key not in self._configs:
                config = sagemaker.describe_endpoint_config(EndpointConfigName=key[0])
                self._configs[key] = {one["VariantName"]: one["ModelName"] for one in config["ProductionVariants"]}
        except sagemaker.exceptions.ClientError as error:
            message = f"Endpoint {endpoint} of account {aws.ACCOUNT} not found."
            raise _Refused(400, "ValidationError", message) from error
        weights = {one["VariantName"]: one.get("CurrentWeight", 0.0) for one in found["ProductionVariants"]}
        return {
            variant: {"model": model, "weight": float(weights.get(variant, 0.0))}
            for variant, model in self._configs[key].items()
        }

    def _choose(self, endpoint: str, variants: dict[str, dict[str, Any]], wanted: str) -> str:
        if wanted:
            if wanted not in variants:
                raise _Refused(400, "ValidationError", f"Variant {wanted} not found for Endpoint {endpoint}.")
            return wanted
        weights = [one["weight"] for one in variants.values()]
        if not sum(weights):
            raise _Refused(400, "ValidationError", f"No variant of Endpoint {endpoint} has a weight above 0.")
        with self._lock:
            return self._draw.choices(list(variants), weights)[0]

    def _note(self, endpoint: str, variant: str, status: int, seconds: float) -> None:
        """Write what SageMaker writes to CloudWatch; ModelLatency is in microseconds there."""
        values = {
            "Invocations": 1.0,
            "Invocation4XXErrors": float(400 <= status < 500),
            "Invocation5XXErrors": float(status >= 500),
            "ModelLatency": seconds * 1e6,
        }
        where = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
        rows = [{"MetricName": name, "Dimensions": where, "Value": value} for name, value in values.items()]
        aws.client("cloudwatch", self._url).put_metric_data(Namespace=NAMESPACE, MetricData=rows)


def _forward(port: int, body: bytes, kind: str) -> tuple[int, bytes, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("POST", "/invocations", body, {"Content-Type": kind} if kind else {})
        reply = connection.getresponse()
        return reply.status, reply.read(), reply.headers.get("Content-Type", "application/octet-stream")
    except (OSError, http.client.HTTPException) as error:
        return 500, f"{type(error).__name__}: {error}".encode(), "text/plain"
    finally:
        connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, router: Router) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.router = router


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """Say that the router lives."""
        self._send(200, {"Content-Type": "application/json"}, b'{"status":"alive"}')

    def do_POST(self) -> None:
        """Answer one InvokeEndpoint."""
        try:
            self._send(*self._invoke())
        except _Refused as error:
            body = json.dumps({"Message": str(error), **error.more}).encode()
            headers = {"x-amzn-errortype": error.name, "Content-Type": "application/json"}
            self._send(error.status, headers, body)
        except Exception as error:  # whatever goes wrong, the caller gets AWS's shape, and the log the details
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            headers = {"x-amzn-errortype": "InternalFailure", "Content-Type": "application/json"}
            self._send(500, headers, b'{"Message": "An internal failure occurred."}')

    def _invoke(self) -> tuple[int, dict[str, str], bytes]:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LIMIT:
            self.close_connection = True
            raise _Refused(413, "ValidationError", f"The body has {length:,} bytes; {_LIMIT:,} are allowed.")
        body = self.rfile.read(length)
        asked = _PATH.fullmatch(self.path)
        if asked is None:
            raise _Refused(404, "UnknownOperationException", f"{self.path} is no operation of SageMaker Runtime.")
        kind = self.headers.get("Content-Type", "")
        variant, answer, answered = self.server.router.invoke(
            asked["name"], body, kind, self.headers.get(_WANTED) or ""
        )
        return 200, {"x-Amzn-Invoked-Production-Variant": variant, "Content-Type": answered}, answer

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the log to what went wrong."""


def start(url: str, *, seed: int = 0) -> Server:
    """Start the router as a process of its own; its URL is the ``endpoint_url`` of ``sagemaker-runtime``.

    Parameters
    ----------
    url
        URL of AWS's emulator.
    seed
        Decides which calls go to which variant.
    """
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "course_lib.cloud.sagemaker.endpoints",
        url,
        "--port",
        str(port),
        "--seed",
        str(seed),
    ]
    return Server("the endpoint router", command, port=port, ready_path="/", timeout=90).start()


def main(arguments: list[str] | None = None) -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.cloud.sagemaker.endpoints")
    parser.add_argument("url", help="URL of AWS's emulator")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    router = Router(options.url, seed=options.seed)

    def sweep() -> None:
        while True:
            time.sleep(_SWEEP_S)
            try:
                router.sweep()
            except Exception as error:  # the emulator may be gone already: the next look will tell
                print(f"sweep: {type(error).__name__}: {error}", file=sys.stderr, flush=True)

    threading.Thread(target=sweep, name="sweep", daemon=True).start()
    _Server(options.port, router).serve_forever()


if __name__ == "__main__":
    main()
