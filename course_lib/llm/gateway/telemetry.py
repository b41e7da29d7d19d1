"""What the gateway says about itself: a log line a request, and Prometheus metrics by protocol."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from course_lib.llm.gateway.neutral import Usage
from course_lib.serving.api.telemetry import LOGGER, App, Scope, Telemetry

__all__ = ["GatewayTelemetry", "Metrics"]

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """The metrics of one gateway, in a registry of its own.

    ``status`` is the one that the caller got; 499 means that the caller left before there was one.
    """

    def __init__(self) -> None:
        own = CollectorRegistry()
        self.registry = own
        label = ("protocol",)
        self.requests = Counter("gateway_requests_total", "Requests.", (*label, "status"), registry=own)
        self.seconds = Histogram(
            "gateway_request_seconds",
            "Time from request to the end of the answer.",
            label,
            buckets=_SECONDS,
            registry=own,
        )
        self.first_token = Histogram(
            "gateway_first_token_seconds", "Time to the first token of a stream.", label, buckets=_SECONDS, registry=own
        )
        self.tokens = Counter("gateway_tokens_total", "Tokens read and written.", (*label, "kind"), registry=own)
        self.errors = Counter("gateway_errors_total", "Errors, also inside streams.", (*label, "kind"), registry=own)
        self.in_flight = Gauge("gateway_requests_in_flight", "Requests being answered now.", registry=own)

    def answered(self, protocol: str, status: int, seconds: float) -> None:
        """Count one request."""
        self.requests.labels(protocol, str(status)).inc()
        self.seconds.labels(protocol).observe(seconds)

    def used(self, protocol: str, usage: Usage) -> None:
        """Count the tokens of one answer."""
        for kind in ("prompt", "completion", "cached"):
            self.tokens.labels(protocol, kind).inc(getattr(usage, kind))

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class GatewayTelemetry(Telemetry):
    """The service's middleware (request id, log, last line of defence), counting by protocol instead of by path."""

    def __init__(self, app: App, *, metrics: Metrics) -> None:  # ours counts alike
        super().__init__(app, metrics=metrics, closing=lambda: False)  # type: ignore[arg-type]

    def _done(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        if scope.get("cancelled"):
            status = 499
        protocol = scope.get("protocol", "none")
        self._metrics.answered(protocol, status, seconds)
        facts = {"request_id": request_id, "method": scope["method"], "path": scope["path"], "status": status}
        LOGGER.info("request", extra=facts | {"ms": round(1000 * seconds, 3)} | scope.get("log", {}))
