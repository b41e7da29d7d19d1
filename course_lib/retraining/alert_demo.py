"""An alert-to-retrain demo: a decayed model, a real alert, a webhook, a training, a promotion; all stopped again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib import monitoring, processes, registry, training
from course_lib.errors import EngineError
from course_lib.monitoring import servers
from course_lib.monitoring.drift import DriftReport
from course_lib.monitoring.quality import performance
from course_lib.retraining.loop import Outcome, challenge
from course_lib.retraining.service import Entry, RetrainingService

if TYPE_CHECKING:
    import pandas as pd

    from course_lib.tracking_store import Store

__all__ = ["Drill", "drill"]


@dataclass(frozen=True)
class Drill:
    """What happened.

    Attributes
    ----------
    engine
        What evaluated the rules.
    points
        Seconds since the beginning, and the AUC that was scraped.
    events
        Seconds since the beginning, by what happened.
    entries
        The ledger of the retraining service.
    panels
        Series found for each panel of the dashboard; empty without Prometheus.
    requests
        Requests that the API answered, as scraped, by status.
    """

    engine: str
    points: tuple[tuple[float, float], ...]
    events: Mapping[str, float]
    entries: tuple[Entry, ...]
    panels: Mapping[str, int]
    requests: Mapping[str, float] = field(default_factory=dict)


def drill(store: Store, flights: pd.DataFrame, folder: Path, *, moment: pd.Timestamp, bundle: Path) -> Drill:
    """Serve flights, let the monitor see a decayed ranking, and wait until the loop has promoted a better model.

    Parameters
    ----------
    store
        Registry with a champion.
    flights
        Flights up to ``moment`` and beyond.
    folder
        For journal and ledger.
    moment
        The present in the desk's year.
    bundle
        What the API serves.

    Raises
    ------
    EngineError
        Nothing was promoted within 30 seconds.
    """
    from course_lib import rollout

    def train() -> Outcome:
        return challenge(store, flights, moment=moment)

    known = flights[flights["sched_dep"] <= moment]
    champion = registry.load(store)
    seen = performance(known.assign(probability=training.predict(champion, known)), moment)
    bodies = rollout.flight_bodies(known.tail(40))
    with ExitStack() as stack:
        api = stack.enter_context(rollout.launch(bundle, processes.free_port()))
        exporter = stack.enter_context(monitoring.Exporter())
        service = stack.enter_context(RetrainingService(folder, train, clock=moment.to_pydatetime))
        api.wait_ready()
        watch = _Prometheus if servers.available() else _Python
        watcher = watch(stack, api.port, exporter.address, service)
        began = time.time()
        for body in bodies:
            rollout.ask(api.url, body)
        exporter.saw_performance(seen)
        exporter.saw_drift(DriftReport(len(known), ()))
        watcher.until(lambda: any(entry.promoted is not None for entry in service.entries))
        events = watcher.events(began) | {"model decided": watcher.finished - began}
        return watcher.report(began, events, service.entries)


class _Prometheus:
    """The real thing."""

    engine = "Prometheus and Alertmanager"

    def __init__(self, stack: ExitStack, port: int, exporter: str, service: RetrainingService) -> None:
        alertmanager = stack.enter_context(monitoring.Alertmanager(service.url))
        targets = {"desk": f"127.0.0.1:{port}", "monitor": exporter}
        rules = monitoring.DESK_RULES
        self._prometheus: Any = stack.enter_context(
            monitoring.Prometheus(targets, rules, alertmanager=alertmanager.address)
        )
        self._prometheus.wait_for("sum(up) == 2")
        self._seen: dict[str, float] = {}
        self._service = service
        self.finished = 0.0

    def until(self, condition: Any) -> None:
        def step() -> bool:
            for alert in self._prometheus.alerts():
                self._seen.setdefault(f"alert {alert.state}", time.time())
            if self._service.inbox.received:
                self._seen.setdefault("webhook called", time.time())
            return bool(condition())

        processes.wait_until(step, timeout=30, what="the promotion")
        self.finished = time.time()
        self._prometheus.wait_for("sum(rate(desk_prediction_count[30s])) > 0")

    def events(self, began: float) -> dict[str, float]:
        return {name: at - began for name, at in self._seen.items()}

    def report(self, began: float, events: Mapping[str, float], entries: tuple[Entry, ...]) -> Drill:
        panels = monitoring.dashboard.check_expressions(monitoring.dashboard.build(), self._prometheus)
        history = self._prometheus.history("desk_auc", seconds=time.time() - began + 2, step_s=0.5)
        points = tuple((at - began, value) for at, value in history)
        counted = self._prometheus.query('sum by (status) (desk_requests_total{route="/predict"})')
        requests = {labels["status"]: value for labels, value in counted}
        return Drill(self.engine, points, events, entries, panels, requests)


class _Python:
    """The same rules over scraped samples, where Prometheus or Alertmanager is not installed."""

    engine = "Python, over scraped samples (Prometheus or Alertmanager was not found)"

    def __init__(self, _: ExitStack, port: int, exporter: str, service: RetrainingService) -> None:
        self._targets = {"desk": f"http://127.0.0.1:{port}/metrics", "monitor": f"http://{exporter}/metrics"}
        self._service = service
        self._scrapes: list[monitoring.Scrape] = []
        self._seen: dict[str, float] = {}
        self._posted = False
        self.finished = 0.0

    def until(self, condition: Any) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            if time.monotonic() > deadline:
                raise EngineError("The promotion did not come true within 30 s.", next_step="read the service's ledger")
            self._scrapes.append(monitoring.scrape(self._targets, at=time.time()))
            for change in monitoring.play(monitoring.DESK_RULES, self._scrapes):
                self._seen.setdefault(f"alert {change.state}", change.at)
                if change.state == "firing" and not self._posted:
                    notice = {"name": change.rule, "status": "firing", "starts_at": str(change.at)}
                    monitoring.post(self._service.url, notice)
                    self._posted = True
                    self._seen["webhook called"] = time.time()
            time.sleep(0.3)
        self.finished = time.time()
        self._scrapes.append(monitoring.scrape(self._targets, at=self.finished))

    def events(self, began: float) -> dict[str, float]:
        return {name: at - began for name, at in self._seen.items()}

    def report(self, began: float, events: Mapping[str, float], entries: tuple[Entry, ...]) -> Drill:
        found = [(s.at - began, next(iter(s.samples["desk_auc"].values()))) for s in self._scrapes]
        counts: dict[str, float] = {}
        for labels, number in self._scrapes[-1].samples.get("desk_requests_total", {}).items():
            if dict(labels)["route"] == "/predict":
                counts[dict(labels)["status"]] = number
        return Drill(self.engine, tuple(found), events, entries, {}, counts)
