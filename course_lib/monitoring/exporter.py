"""A Prometheus exporter of what the API cannot count: drift, quality on landed flights, and labels."""

from __future__ import annotations

import threading
from typing import Any, Self

from course_lib.monitoring.drift import DriftReport
from course_lib.monitoring.quality import Estimate, Performance

__all__ = ["Exporter"]


class Exporter:
    """Serves the monitor's gauges on loopback until it is stopped.

    Examples
    --------
    >>> with Exporter() as exporter:  # doctest: +SKIP
    ...     exporter.saw_drift(detector.check(window))
    """

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Gauge

        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry}
        self._drifted = Gauge("desk_drifted_features", "Features whose distribution has changed.", **own)
        self._distance = Gauge("desk_drift_distance", "Distance to the reference, 0 to 1.", ("feature",), **own)
        self._auc = Gauge("desk_auc", "AUC on recent flights with a known label.", **own)
        self._gap = Gauge("desk_calibration_gap", "Mean prediction minus late rate.", **own)
        self._labels = Gauge("desk_labels", "Recent flights by state of their label.", ("state",), **own)
        self._estimated = Gauge("desk_estimated_auc", "AUC that the predictions promise, without labels.", **own)
        for gauge in (self._auc, self._gap, self._estimated):
            gauge.set(float("nan"))  # not measured yet: 0 would be a catastrophe, and fire
        self.port = 0
        self._server: Any = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Listen on a free port."""
        from prometheus_client import start_http_server

        self._server, self._thread = start_http_server(0, addr="127.0.0.1", registry=self.registry)
        self.port = int(self._server.server_address[1])
        return self

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        if self._thread is not None:
            self._thread.join(5)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """``host:port``, as Prometheus wants it."""
        return f"127.0.0.1:{self.port}"

    def saw_drift(self, report: DriftReport) -> None:
        """Export a drift report."""
        self._drifted.set(len(report.drifted))
        largest: dict[str, float] = {}
        for one in report.features:
            largest[one.name] = max(one.distance, largest.get(one.name, 0.0))
        for name, distance in largest.items():
            self._distance.labels(name).set(distance)

    def saw_performance(self, seen: Performance) -> None:
        """Export quality on landed flights; what cannot be computed becomes NaN, which fires no rule."""
        self._auc.set(float("nan") if seen.auc is None else seen.auc)
        self._gap.set(float("nan") if seen.gap is None else seen.gap)
        self._labels.labels("known").set(seen.labels)
        self._labels.labels("waiting").set(seen.waiting)

    def saw_estimate(self, seen: Estimate) -> None:
        """Export the estimate that needs no labels."""
        self._estimated.set(seen.auc)
