"""Alerts, webhook and retraining, in Python alone and with real Prometheus and Alertmanager."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request

import pandas as pd
import pytest

from course_lib import data, monitoring, packaging, processes, registry, retraining, rollout, tracking, training
from course_lib.errors import MonitoringError
from course_lib.monitoring import DESK_RULES, Exporter, Inbox, dashboard, servers, webhook
from course_lib.monitoring.quality import performance
from course_lib.retraining import Outcome, RetrainingService

needs_prometheus = pytest.mark.skipif(not servers.available(), reason="Prometheus or Alertmanager is not installed")
MONDAY = pd.Timestamp("2013-03-25", tz="UTC")
ALERT = {"name": "DeskRankingDecayed", "status": "firing", "starts_at": "2013-03-25T00:00:00Z"}
DONE = Outcome(True, 2, 2, 1000, ("better",))


def clock():
    return MONDAY.to_pydatetime()


def test_an_alert_is_kept_before_it_is_answered_and_survives_a_restart(tmp_path):
    with Inbox(tmp_path / "journal") as box:
        webhook.post(box.url, ALERT)
        webhook.post(box.url, ALERT)  # a repeated delivery is the same alert
        assert len(box.waiting) == 1
    with (tmp_path / "journal").open("a") as file:
        file.write('{"notice": {"key": "cut o')  # the machine stopped while writing
    again = Inbox(tmp_path / "journal")
    assert [notice.name for notice in again.waiting] == ["DeskRankingDecayed"]
    again.done(again.waiting[0])
    again.stop()
    third = Inbox(tmp_path / "journal")
    assert third.waiting == ()
    third.stop()


@pytest.mark.parametrize("body", [b"no json", b"{}", b'{"alerts": [{"status": "firing"}]}', b"[]", b""])
def test_a_call_that_is_no_alert_is_refused_and_the_inbox_lives(tmp_path, body):
    with Inbox(tmp_path / "journal") as box:
        request = urllib.request.Request(box.url, body, {"Content-Type": "application/json"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        assert refused.value.code == 400
        refused.value.close()
        webhook.post(box.url, ALERT)
        assert len(box.waiting) == 1


def test_a_webhook_that_is_down_is_an_error_and_the_sender_keeps_the_alert():
    with pytest.raises(MonitoringError, match="did not take the alert DeskRankingDecayed"):
        webhook.post(f"http://127.0.0.1:{processes.free_port()}/alerts", ALERT)


def test_the_service_trains_for_an_alert_and_cools_down_afterwards(tmp_path):
    with RetrainingService(tmp_path, lambda: DONE, clock=clock) as service:
        webhook.post(service.url, ALERT)
        webhook.post(service.url, ALERT | {"starts_at": "2013-03-25T01:00:00Z"})
        webhook.post(service.url, ALERT | {"status": "resolved"})
        webhook.post(service.url, ALERT | {"name": "DeskSlow"})
        assert service.wait(lambda entries: len(entries) == 4)
    first, second, third, fourth = service.entries
    assert (first.retrained, first.promoted) == (True, True)
    assert second.reason.startswith("cooling down")
    assert third.reason == "DeskRankingDecayed is over"
    assert "a person has to look" in fourth.reason


def test_a_training_that_fails_is_noted_and_the_service_lives(tmp_path):
    def broken():
        raise OSError("disk full")

    with RetrainingService(tmp_path, broken, clock=clock) as service:
        webhook.post(service.url, ALERT)
        webhook.post(service.url, ALERT | {"name": "DeskSlow"})
        assert service.wait(lambda entries: len(entries) == 2)
    assert service.entries[0].detail == "failed: OSError: disk full"
    assert service.entries[0].promoted is False


def test_an_alert_that_was_not_dealt_with_is_dealt_with_after_a_restart(tmp_path):
    box = Inbox(tmp_path / "alerts.jsonl")
    box.accept({"alerts": [{"status": "firing", "labels": {"alertname": "DeskRankingDecayed"}, "startsAt": "now"}]})
    box.stop()
    with RetrainingService(tmp_path, lambda: DONE, clock=clock) as service:
        assert service.wait(lambda entries: len(entries) == 1)
    again = RetrainingService(tmp_path, lambda: DONE, clock=clock)
    assert again.entries == service.entries
    assert again.inbox.waiting == ()
    again.inbox.stop()


@pytest.fixture(scope="module")
def flights():
    return data.flights([1, 2, 3]).iloc[::3].reset_index(drop=True)


@pytest.fixture
def store(flights, tmp_path):
    january = data.labelled(flights[flights["month"] == 1])
    opened = tracking.open_store(tmp_path / "store")
    run = tracking.log_training(opened, "desk", training.train(january), january, training.TrainingConfig())
    registry.register(opened, run, alias="champion")
    return opened


def test_a_challenge_uses_no_label_from_the_future(store, flights, monkeypatch):
    seen = []
    monkeypatch.setattr(tracking, "log_training", lambda *a, **k: seen.append(a[3]) or "run")
    monkeypatch.setattr(registry, "register", lambda *a, **k: type("V", (), {"number": 2}))
    monkeypatch.setattr(registry, "promote", lambda _, judge: seen.append(judge) or type("D", (), {"reasons": ()}))
    retraining.challenge(store, flights, moment=MONDAY)
    learnt, judged = seen
    assert (learnt["label_known_at"] <= MONDAY - pd.Timedelta(days=7)).all()
    assert (judged["label_known_at"] <= MONDAY).all()
    assert learnt["sched_dep"].max() < judged["sched_dep"].min() + pd.Timedelta(hours=1)


def decayed(flights, store, exporter):
    champion = registry.load(store)
    known = flights[flights["sched_dep"] <= MONDAY]
    exporter.saw_performance(performance(known.assign(probability=training.predict(champion, known)), MONDAY))


def test_without_prometheus_the_same_rules_in_python_start_the_same_retraining(store, flights, tmp_path):
    train = lambda: retraining.challenge(store, flights, moment=MONDAY)  # noqa: E731
    with Exporter() as exporter, RetrainingService(tmp_path / "loop", train, clock=clock) as service:
        decayed(flights, store, exporter)
        seen = [
            monitoring.scrape({"monitor": f"http://{exporter.address}/metrics"}, at=second) for second in (0.0, 2.0)
        ]
        fired = [c for c in monitoring.play(DESK_RULES, seen) if c.state == "firing"]
        assert [change.rule for change in fired] == ["DeskRankingDecayed"]
        webhook.post(service.url, ALERT | {"name": fired[0].rule})
        assert service.wait(lambda entries: len(entries) == 1)
    assert service.entries[0].promoted, service.entries
    assert registry.resolve(store, "champion").number == 2


@needs_prometheus
def test_a_real_alert_promotes_a_better_model_in_under_thirty_seconds(store, flights, tmp_path):
    began = time.monotonic()
    bodies = rollout.flight_bodies(flights.tail(20))
    api = rollout.launch(packaging.desk_bundle((1,)), processes.free_port()).start()
    train = lambda: retraining.challenge(store, flights, moment=MONDAY)  # noqa: E731
    with (
        api,
        Exporter() as exporter,
        RetrainingService(tmp_path / "loop", train, clock=clock) as service,
        monitoring.Alertmanager(service.url) as alertmanager,
    ):
        api.wait_ready()
        targets = {"desk": f"127.0.0.1:{api.port}", "monitor": exporter.address}
        with monitoring.Prometheus(targets, DESK_RULES, alertmanager=alertmanager.address) as prometheus:
            prometheus.wait_for("sum(up) == 2")
            decayed(flights, store, exporter)
            exporter._drifted.set(0)
            for body in bodies:
                rollout.ask(api.url, body)
            assert service.wait(lambda entries: any(entry.promoted for entry in entries)), service.entries
            took = time.monotonic() - began
            expressions = dashboard.expressions(dashboard.build())
            prometheus.wait_for(expressions["Mean prediction"] + " > 0")
            assert all(dashboard.check_expressions(dashboard.build(), prometheus).values())
            with pytest.raises(MonitoringError, match="refused the query"):
                prometheus.query("sum(rate(")
        with pytest.raises(MonitoringError, match="does not answer"):
            prometheus.query("up")
    assert took < 30
    assert registry.resolve(store, "champion").number == 2


@needs_prometheus
def test_an_alert_raised_while_the_webhook_is_down_arrives_when_it_is_back(tmp_path):
    port = processes.free_port()
    rules = [rule for rule in DESK_RULES if rule.severity == "retrain"]
    with Exporter() as exporter, monitoring.Alertmanager(f"http://127.0.0.1:{port}/alerts") as alertmanager:
        exporter._auc.set(0.5)
        with monitoring.Prometheus(
            {"monitor": exporter.address}, rules, alertmanager=alertmanager.address
        ) as prometheus:
            processes.wait_until(lambda: any(a.state == "firing" for a in prometheus.alerts()), timeout=20)
            failed = "alertmanager_notification_requests_failed_total"
            address = {"am": f"{alertmanager.url}/metrics"}
            processes.wait_until(
                lambda: sum(monitoring.scrape(address).samples.get(failed, {}).values()) > 0, timeout=20
            )
            with Inbox(tmp_path / "journal", port=port) as box:
                assert box.wait(30)
                assert box.waiting[0].name == "DeskRankingDecayed"


def test_the_service_runs_as_a_process_of_its_own(store, tmp_path):
    import sys

    port = processes.free_port()
    command = [sys.executable, "-m", "course_lib.retraining", "--store", tmp_path / "store", "--state", tmp_path / "s"]
    command += ["--moment", "2013-03-25", "--every", "6", "--port", str(port)]
    with processes.Server("retraining", command, port=port, ready_path=None, timeout=60) as server:
        server.wait_ready()
        webhook.post(f"http://127.0.0.1:{port}/alerts", ALERT)
        ledger = tmp_path / "s" / "ledger.jsonl"
        processes.wait_until(lambda: ledger.exists() and ledger.read_text().endswith("\n"), timeout=60)
        entry = json.loads(ledger.read_text())
    assert entry["retrained"], entry
    assert "failed" not in entry["detail"]
    assert threading.active_count() < 50
