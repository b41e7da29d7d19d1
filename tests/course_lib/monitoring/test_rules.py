from __future__ import annotations

import shutil
import subprocess

import pytest
import yaml
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from course_lib import monitoring
from course_lib.errors import EngineError, MonitoringError
from course_lib.monitoring import DESK_RULES, Rule, Scrape, Signal, dashboard, play, promtool, samples, servers

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
AUC = Rule(name="Decayed", signal=Signal(kind="value", metric="desk_auc"), below=0.65, for_s=3, keep_s=4)


def scrapes(values, metric="desk_auc"):
    return [Scrape(float(at), {} if v is None else {metric: {frozenset(): v}}) for at, v in enumerate(values)]


def states(rule, values):
    return [(change.at, change.state) for change in play([rule], scrapes(values))]


def test_an_alert_fires_once_and_recovers():
    found = states(AUC, [0.7, 0.7, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.7, 0.7, 0.7, 0.7, 0.7])
    assert found == [(2, "pending"), (5, "firing"), (12, "resolved")]


def test_one_bad_scrape_wakes_nobody():
    assert states(AUC, [0.7, 0.5, 0.7, 0.5, 0.5, 0.7]) == [(1, "pending"), (3, "pending")]


def test_a_signal_that_wavers_is_one_alert():
    found = states(AUC, [0.5] * 5 + [0.7, 0.7, 0.5, 0.7, 0.5] + [0.7] * 6)
    assert [state for _, state in found] == ["pending", "firing", "resolved"]


def test_a_missing_signal_is_no_alert():
    assert states(AUC, [None] * 6) == []


def test_a_clock_of_scrapes_that_runs_backwards_is_an_error():
    with pytest.raises(MonitoringError, match="runs backwards: 5 s is followed by 1 s"):
        play([AUC], [Scrape(5.0, {}), Scrape(1.0, {})])


def test_a_ratio_is_taken_over_increases_and_survives_a_restart():
    signal = Signal(kind="ratio", metric="requests_total", where={"status": "5.."}, window_s=60)

    def at(second, good, bad):
        ok, failed = frozenset({("status", "200")}), frozenset({("status", "503")})
        return Scrape(second, {"requests_total": {ok: good, failed: bad}})

    assert signal.at([at(0, 1000, 500)]) is None
    assert signal.at([at(0, 1000, 500), at(1, 1090, 510)]) == pytest.approx(0.1)
    assert signal.at([at(0, 1000, 500), at(1, 30, 10)]) == pytest.approx(0.25)


def test_a_quantile_is_interpolated_within_its_bucket():
    def exposed(values):
        registry = CollectorRegistry()
        histogram = Histogram("seconds", "s", buckets=(0.1, 0.2, 0.4), registry=registry)
        for value in values:
            histogram.observe(value)
        return samples.parse(generate_latest(registry).decode())

    seen = [Scrape(0.0, exposed([])), Scrape(1.0, exposed([0.05] * 50 + [0.15] * 50))]
    assert Signal(kind="quantile", metric="seconds", q=0.75).at(seen) == pytest.approx(0.15)
    assert Signal(kind="quantile", metric="seconds", q=0.99).at(seen[:1]) is None


def test_a_target_that_is_down_is_a_sample_and_no_error():
    found = samples.scrape({"desk": "http://127.0.0.1:9/metrics"}, at=0.0)
    down = DESK_RULES[0]
    assert down.signal.at([found]) == 0
    later = [Scrape(float(second), found.samples) for second in range(4)]
    assert [change.state for change in play([down], later)] == ["pending", "firing"]


def test_text_that_is_no_metric_is_refused():
    with pytest.raises(MonitoringError, match="are no metrics"):
        samples.parse("<html>not found</html>\n")


@pytest.mark.parametrize("limits", [{}, {"above": 1, "below": 2}, {"above": 1, "for_s": -1}])
def test_a_rule_has_one_limit_and_no_negative_time(limits):
    with pytest.raises(MonitoringError, match="exactly one limit"):
        Rule(name="odd", signal=AUC.signal, **limits)


def test_rules_with_the_same_name_make_no_file():
    with pytest.raises(MonitoringError, match="its own name"):
        monitoring.as_yaml([AUC, AUC])


@needs_promtool
def test_promtool_accepts_what_we_write(tmp_path):
    (tmp_path / "rules.yml").write_text(monitoring.as_yaml(DESK_RULES))
    command = ["promtool", "check", "rules", tmp_path / "rules.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "5 rules found" in done.stdout, done.stderr


@needs_promtool
def test_promtool_accepts_the_configuration_we_write(tmp_path):
    config = servers.prometheus_config({"desk": "127.0.0.1:1"}, alertmanager="127.0.0.1:2")
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = ["promtool", "check", "config", "--syntax-only", tmp_path / "prometheus.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


@needs_promtool
def test_promtool_and_our_evaluation_agree_on_when_a_rule_fires():
    values = [0.7] * 3 + [0.5] * 8 + [0.7] * 3 + [0.5] * 2 + [0.7] * 10
    changes = play([AUC], scrapes(values))
    fires, ends = (next(c.at for c in changes if c.state == state) for state in ("firing", "resolved"))
    expected = {second: fires <= second < ends for second in range(len(values))}
    text = " ".join(map(str, values))
    promtool.unit_test([AUC], {"desk_auc": text}, {"Decayed": expected})


@needs_promtool
def test_promtool_says_what_is_wrong():
    with pytest.raises(MonitoringError, match="promtool refused it"):
        promtool.unit_test([Rule(name="b", signal=Signal(kind="value", metric="sum(rate("), above=0)], {}, {})
    with pytest.raises(MonitoringError, match="promtool refused it"):
        promtool.unit_test([AUC], {"desk_auc": "0.9x10"}, {"Decayed": {9: True}})


def test_without_the_tools_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert not servers.available()
    with pytest.raises(EngineError, match="promtool was not found"):
        promtool.unit_test([AUC], {}, {})
    prometheus = monitoring.Prometheus({})
    with pytest.raises(EngineError, match="evaluates the rules in Python"):
        prometheus.start()
    prometheus.stop()


def test_the_dashboard_is_valid_and_its_panels_are_ours():
    board = dashboard.build()
    assert list(dashboard.expressions(board)) == [spec.title for spec in dashboard.DESK_PANELS]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda b: b["panels"][0]["fieldConfig"]["defaults"].update(unitt="s"), "does not know .*unitt"),
        (lambda b: b["panels"][1].update(id=1), "the ids of its panels"),
        (lambda b: b["panels"][1].update(gridPos=b["panels"][0]["gridPos"]), "overlap"),
        (lambda b: b["panels"][0].update(targets=[]), "no title or no query"),
        (lambda b: b.update(panels=[]), "it has no panel"),
        (lambda b: b["panels"][0].update(gridPos=3), "cannot read it"),
    ],
)
def test_a_spoilt_dashboard_is_refused_with_the_reason(spoil, message):
    board = dashboard.build()
    spoil(board)
    with pytest.raises(MonitoringError, match=message):
        dashboard.validate(board)
