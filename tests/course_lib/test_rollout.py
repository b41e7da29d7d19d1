"""Rollout: switches, canaries and rollbacks with real processes behind a real proxy, and not one request lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from course_lib import engines, packaging, processes, rollout, training
from course_lib.errors import EngineError, LoadTestError, RolloutError

# A server with the service's three promises (/ready, /predict, an orderly stop) that starts in a tenth of a second.
APP = """
import json, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

version, port, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
counter, looks = iter(range(10**9)), iter(range(10**9))

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(200 if next(looks) >= options.get("ready_after", 0) else 503, b"{}")
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(options.get("takes", 0))
        bad = next(counter) % 100 < options.get("fails_of_100", 0)
        answer = {"late_probability": options.get("answer", 0.25), "model_version": version}
        self.answer(500 if bad else 200, json.dumps(answer).encode())
    def log_message(self, *_): pass

ThreadingHTTPServer.daemon_threads = True
ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
FLIGHT = {"carrier": "UA"}
CASES = (rollout.Case(FLIGHT, 0.25),)

ENGINES = [
    pytest.param(
        "haproxy",
        marks=pytest.mark.skipif(
            shutil.which("haproxy") is None, reason="HAProxy is not installed: run `make engines`"
        ),
    ),
    "python",
]


def app(**options):
    """Return a launcher for the small server; the bundle's name is its version."""
    import json

    def start(bundle, port):
        command = [sys.executable, "-c", APP, bundle.name, str(port), json.dumps(options)]
        return processes.Server(f"version {bundle.name}", command, port=port, ready_path="/ready")

    return start


def gate(url):
    return rollout.smoke_test(url, CASES)


@pytest.fixture(params=ENGINES)
def proxy(request):
    with rollout.Proxy(request.param) as running:
        yield running


@pytest.fixture
def desk(proxy):
    with rollout.BlueGreen(proxy, smoke=gate, start=app()) as pair:
        yield pair


def traffic(proxy, **options):
    return rollout.Traffic(proxy.url + "/predict", [FLIGHT], **({"connections": 4, "pause": 0.002} | options))


# --- blue/green --------------------------------------------------------------------------------------------------


def test_no_request_is_lost_over_several_switches_and_a_rollback(proxy, desk):
    assert desk.deploy(Path("1")).switched
    with traffic(proxy) as clients:
        clients.wait_for(50)
        for version in ("2", "3", "4"):
            assert desk.deploy(Path(version)).switched
            clients.wait_for(50)
        assert desk.rollback().switched
        clients.wait_for(50)
    report = clients.report()
    assert report.failed == 0, report.reasons
    assert list(report.versions) == ["1", "2", "3", "4"]
    assert report.samples[-1].version == "3"


def test_requests_in_flight_are_finished_by_the_version_that_got_them(proxy):
    with rollout.BlueGreen(proxy, start=app(takes=0.3)) as desk:
        desk.deploy(Path("1"))
        with traffic(proxy, connections=8) as clients:
            clients.wait_for(8)
            desk.deploy(Path("2"))
            desk.retire()  # stops version 1 at once: what it had was answered
            clients.wait_for(8)
        assert clients.report().failed == 0, clients.report().reasons


def test_restart_in_place_loses_requests(proxy, desk):
    desk.deploy(Path("1"))
    (server,) = desk.servers.values()
    with rollout.Traffic(server.url + "/predict", [FLIGHT], pause=0.002) as clients:
        clients.wait_for(20)
        server.stop()
        clients.wait_for(20)
    assert clients.report().failed > 0


def test_version_that_never_gets_ready_is_refused_and_stopped(proxy, desk, monkeypatch):
    desk.deploy(Path("1"))
    started = []

    def start(bundle, port):
        started.append(app(ready_after=10**6)(bundle, port))
        return started[0]

    impatient = rollout.BlueGreen(proxy, policy=lambda v: rollout.careful({**v, "waited": v["waited"] * 100}))
    impatient.live, impatient.servers = desk.live, desk.servers
    with traffic(proxy) as clients:
        switch = impatient.deploy(Path("2"), start=start)
        clients.wait_for(20)
    assert not switch.switched
    assert switch.live == "blue"
    assert switch.reason == "it never became ready"
    assert not started[0].running
    assert clients.report().versions == {"1": clients.report().sent}


def test_version_whose_process_dies_is_refused(proxy, desk):
    desk.deploy(Path("1"))

    def start(bundle, port):
        return processes.Server("broken", [sys.executable, "-c", "raise SystemExit('no disk')"], port=port)

    switch = desk.deploy(Path("2"), start=start)
    assert not switch.switched
    assert "no disk" in switch.reason
    assert rollout.ask(proxy.url, FLIGHT)["model_version"] == "1"


def test_version_that_answers_wrong_is_refused_before_it_gets_a_request(proxy, desk):
    desk.deploy(Path("1"))
    with traffic(proxy) as clients:
        switch = desk.deploy(Path("2"), start=app(answer=0.3))
        clients.wait_for(20)
    assert not switch.switched
    assert switch.reason == "wrong in the smoke test: case 1: 0.3000 instead of 0.2500"
    assert set(clients.report().versions) == {"1"}


def test_version_that_fails_under_load_is_rolled_back_by_the_watch(proxy, desk):
    desk.deploy(Path("1"))
    with traffic(proxy) as clients:
        assert desk.deploy(Path("2"), smoke=lambda _: rollout.SmokeTest(0, ()), start=app(fails_of_100=50)).switched
        back = rollout.watch(desk, requests=100, limit=0.05)
        clients.wait_for(1)
        before = clients.report().failed
        clients.wait_for(50)
    assert back is not None
    assert back.live == "blue"
    assert before > 0
    assert clients.report().failed - before <= 4  # at most those that the four clients had on their way


def test_good_version_stays_after_the_watch(proxy, desk):
    desk.deploy(Path("1"))
    desk.deploy(Path("2"))
    with traffic(proxy):
        assert rollout.watch(desk, requests=50) is None
    assert desk.live == "green"


def test_watch_without_traffic_is_an_error_not_a_pass(proxy, desk):
    desk.deploy(Path("1"))
    with pytest.raises(RolloutError, match="Only 0 of 10"):
        rollout.watch(desk, requests=10, timeout=0.1)


def test_policy_that_raises_leaves_the_live_version_in_service(proxy, desk):
    desk.deploy(Path("1"))

    def policy(view):
        raise NotImplementedError("Exercise 4.3")

    broken = rollout.BlueGreen(proxy, policy=policy, start=app())
    broken.live, broken.servers = desk.live, desk.servers
    with pytest.raises(NotImplementedError):
        broken.deploy(Path("2"))
    assert list(desk.servers) == ["blue"]
    assert rollout.ask(proxy.url, FLIGHT)["model_version"] == "1"


@pytest.mark.parametrize("action", ["done", "launch the rocket"])
def test_policy_that_says_nonsense_is_told_so(proxy, desk, action):
    desk.deploy(Path("1"))
    silly = rollout.BlueGreen(proxy, policy=lambda _: action, start=app())
    silly.live, silly.servers = desk.live, desk.servers
    with pytest.raises(RolloutError, match=f"The policy said '{action}' while old got the traffic"):
        silly.deploy(Path("2"))
    assert rollout.ask(proxy.url, FLIGHT)["model_version"] == "1"


def test_rollback_without_a_version_to_go_back_to_says_so(desk):
    desk.deploy(Path("1"))
    with pytest.raises(RolloutError, match="no running server in the slot green"):
        desk.rollback()


@pytest.mark.parametrize("warm", [True, False])
def test_rollback_plan_carried_out_by_hand_loses_nothing(proxy, desk, warm):
    desk.deploy(Path("1"))
    desk.deploy(Path("2"))
    if not warm:
        desk.retire()
    begin = [] if warm else ["start blue", "await ready blue"]
    with traffic(proxy) as clients:
        clients.wait_for(20)
        for step in (*begin, "ready blue", "drain green", "await empty green", "stop green"):
            desk.step(step, bundle=Path("1"))
        clients.wait_for(20)
    assert clients.report().failed == 0, clients.report().reasons
    assert clients.report().samples[-1].version == "1"
    assert list(desk.servers) == ["blue"]


@pytest.mark.parametrize("step", ["explode blue", "drain red", "", "start blue"])
def test_step_that_cannot_be_done_is_refused(desk, step):
    desk.deploy(Path("1"))
    with pytest.raises(RolloutError):
        desk.step(step)


def test_leaving_the_block_stops_every_server(proxy):
    servers = []

    def work():
        with rollout.BlueGreen(proxy, start=app()) as desk:
            desk.deploy(Path("1"))
            desk.deploy(Path("2"))
            servers.extend(desk.servers.values())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert len(servers) == 2
    assert not any(server.running for server in servers)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for the name of a Unix socket (108 bytes in all)."""
    with tempfile.TemporaryDirectory(prefix="rollout-") as name:
        yield Path(name)


def test_program_that_fails_leaves_no_process_behind(short_folder):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from course_lib import processes, rollout\n"
        f"APP = {APP!r}\n"
        "def start(bundle, port):\n"
        "    command = [sys.executable, '-c', APP, '1', str(port), '{}']\n"
        "    return processes.Server('one', command, port=port, ready_path='/ready')\n"
        "proxy = rollout.Proxy().start()\n"
        "desk = rollout.BlueGreen(proxy, start=start)\n"
        "desk.deploy(Path('1'))\n"
        "print(proxy.port, desk.servers['blue'].port, flush=True)\n"
        "raise RuntimeError('a cell failed')\n"
    )
    env = os.environ | {"TMPDIR": str(short_folder)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert "a cell failed" in done.stderr
    ports = [int(port) for port in done.stdout.split()]
    assert len(ports) == 2
    for port in ports:
        processes.require_free(port)
    assert list(short_folder.iterdir()) == []


@pytest.fixture(scope="module")
def real_bundles():
    config = training.TrainingConfig(max_iter=5)
    return [packaging.desk_bundle((1,), version=number, config=config) for number in (1, 2)]


def test_real_service_is_switched_refused_and_rolled_back(real_bundles, winter):
    opened = packaging.open_bundle(real_bundles[0])
    flights = rollout.flight_bodies(winter.iloc[::5000])
    answers = opened.scorer().score_rows(flights).tolist()
    cases = [rollout.Case(flight, answer) for flight, answer in zip(flights, answers, strict=True)]
    with rollout.Proxy() as proxy, rollout.BlueGreen(proxy, smoke=lambda u: rollout.smoke_test(u, cases)) as desk:
        assert desk.deploy(real_bundles[0]).switched
        with rollout.Traffic(proxy.url + "/predict", flights) as clients:
            clients.wait_for(20)
            refused = desk.deploy(real_bundles[1], start=rollout.faulty("kilometres"))
            assert desk.deploy(real_bundles[1]).switched
            clients.wait_for(20)
            assert desk.rollback().switched
            clients.wait_for(20)
    assert not refused.switched
    assert "wrong in the smoke test" in refused.reason
    assert clients.report().failed == 0, clients.report().reasons
    assert clients.report().versions.keys() == {"1", "2"}


def test_many_switches_under_load_are_counted(real_bundles, winter):
    flights = rollout.flight_bodies(winter.head(5))
    endured = rollout.swap_under_load(real_bundles, flights, swaps=6, fresh_every=6, requests_between=20)
    assert (endured.swaps, endured.fresh) == (6, 1)
    assert endured.report.failed == 0, endured.report.reasons
    assert endured.report.sent >= 120
    assert endured.report.versions.keys() == {"1", "2"}


@pytest.mark.parametrize(("fault", "path"), [("never-ready", "/health"), ("missing-weather", "/ready")])
def test_doubles_have_the_fault_that_they_promise(real_bundles, winter, fault, path):
    with rollout.faulty(fault)(real_bundles[0], processes.free_port()) as server:
        waiting = processes.Server("double", ["true"], port=server.port, ready_path=path)
        processes.wait_until(waiting.answers, timeout=60, what=f"{fault} to start")
        flight = rollout.flight_bodies(winter.head(1))[0] | {"pressure": None}
        with pytest.raises(RolloutError, match="503" if fault == "never-ready" else "500"):
            rollout.ask(server.url, flight)


# --- canary ------------------------------------------------------------------------------------------------------


def test_bad_canary_is_rolled_back_by_itself_and_few_requests_fail(proxy, desk):
    desk.deploy(Path("1"))
    with traffic(proxy) as clients:
        report = rollout.release(
            desk, Path("2"), weights=(10, 50), every=0.02, start=app(fails_of_100=60), smoke=lambda _: _passed()
        )
        clients.wait_for(4)
        failed = clients.report().failed
        clients.wait_for(100)
    assert report.outcome == "rolled back"
    assert "evidence" in report.reason
    assert all(look.weight == 10 for look in report.looks)
    assert clients.report().failed == failed  # none after the rollback
    assert list(desk.servers) == ["blue"]


def test_good_canary_is_promoted_without_a_lost_request(proxy, desk):
    desk.deploy(Path("1"))
    with traffic(proxy) as clients:
        report = rollout.release(desk, Path("2"), weights=(20, 50), requests=40, every=0.02)
        clients.wait_for(50)
    assert report.outcome == "promoted"
    assert clients.report().failed == 0, clients.report().reasons
    assert clients.report().samples[-1].version == "2"
    assert {look.weight for look in report.looks} == {20, 50}


def test_canary_that_fails_its_smoke_test_never_gets_a_request(proxy, desk):
    desk.deploy(Path("1"))
    with traffic(proxy) as clients:
        report = rollout.release(desk, Path("2"), start=app(answer=0.9))
        clients.wait_for(20)
    assert report.outcome == "refused"
    assert set(clients.report().versions) == {"1"}


def test_canary_without_traffic_is_taken_out(desk):
    desk.deploy(Path("1"))
    report = rollout.release(desk, Path("2"), timeout=0.3)
    assert report.outcome == "rolled back"
    assert "too few requests" in report.reason


def test_canary_gets_about_its_share(proxy, desk):
    desk.deploy(Path("1"))
    desk.start_canary(Path("2"), weight=20)
    with traffic(proxy) as clients:
        clients.wait_for(200)
    answered = clients.report().versions
    assert 0.15 < answered["2"] / clients.report().sent < 0.25


def _passed():
    return rollout.SmokeTest(0, ())


# --- the stop rule -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_good_releases_are_stopped_in_five_per_cent_of_cases_at_most(rate, share):
    releases = rollout.simulate(rate, rate, releases=200, windows=40, share=share, seed=7)
    assert sum(rollout.first_alarm(windows) is not None for windows in releases) <= 10


def test_canary_that_is_better_raises_no_more_alarms():
    releases = rollout.simulate(0.1, 0.02, releases=200, seed=3)
    assert sum(rollout.first_alarm(windows) is not None for windows in releases) <= 10


def test_peeking_at_a_z_test_stops_far_more():
    releases = rollout.simulate(0.02, 0.02, releases=200, windows=40, seed=7)
    assert sum(rollout.peeking_alarm(windows) is not None for windows in releases) >= 40


@pytest.mark.parametrize(("champion", "canary"), [(0.001, 0.05), (0.01, 0.06), (0.05, 0.2)])
def test_bad_releases_are_stopped(champion, canary):
    releases = rollout.simulate(champion, canary, releases=200, windows=40, seed=5)
    assert sum(rollout.first_alarm(windows) is not None for windows in releases) >= 190


def test_evidence_is_one_on_average_whatever_the_common_rate():
    windows = [one[0] for one in rollout.simulate(0.3, 0.3, releases=4000, windows=1, requests=20, seed=1)]
    mean = sum(rollout.Witness(harms=(0.2,)).add(window) for window in windows) / len(windows)
    assert mean < 1.1


def test_window_without_canary_requests_changes_nothing():
    assert rollout.Witness().add(rollout.Window(1000, 500, 0, 0)) == pytest.approx(1.0)


def test_evidence_stays_finite():
    witness = rollout.Witness()
    for _ in range(50):
        assert witness.add(rollout.Window(1000, 0, 1000, 1000)) < float("inf")
    assert witness.alarm


@pytest.mark.parametrize("counts", [(1, 2, 1, 0), (1, 0, 1, 2), (-1, 0, 1, 0), (1, -1, 1, 0)])
def test_counts_that_cannot_be_are_refused(counts):
    with pytest.raises(RolloutError, match="no count of requests"):
        rollout.Window(*counts)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 2])
def test_alpha_is_a_probability(alpha):
    with pytest.raises(RolloutError, match="alpha"):
        rollout.Witness(alpha=alpha)


# --- proxy and traffic -------------------------------------------------------------------------------------------


def test_without_haproxy_the_python_proxy_runs_and_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with rollout.Proxy() as proxy, rollout.BlueGreen(proxy, smoke=gate, start=app()) as desk:
        assert proxy.engine == "the course's Python proxy (HAProxy was not found)"
        assert desk.deploy(Path("1")).switched
        assert rollout.ask(proxy.url, FLIGHT)["model_version"] == "1"
    (found,) = engines.found(["haproxy"])
    assert found.version is None
    assert "Python proxy" in found.engine.without


def test_asking_for_haproxy_where_it_is_missing_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="make engines"):
        rollout.Proxy("haproxy")


def test_nobody_ready_is_503(proxy):
    with pytest.raises(RolloutError, match="503"):
        rollout.ask(proxy.url, FLIGHT)


def test_server_that_is_gone_is_an_error_status_and_is_counted(proxy):
    proxy.point("blue", processes.free_port())
    proxy.set_state("blue", "ready")
    with pytest.raises(RolloutError, match=r"50[23]"):
        rollout.ask(proxy.url, FLIGHT)
    counts = proxy.counts()["blue"]
    assert (counts.total, counts.failed, counts.in_flight) == (1, 1, 0)


def test_failed_answers_are_counted_by_slot(proxy, desk):
    desk.deploy(Path("1"), smoke=lambda _: _passed(), start=app(fails_of_100=30))
    with traffic(proxy, connections=1) as clients:
        clients.wait_for(60)
    counts = proxy.counts()["blue"]
    assert counts.total == clients.report().sent
    assert counts.failed == clients.report().failed == clients.report().reasons["500"] == 30


def test_slot_in_service_is_not_pointed_elsewhere(proxy, desk):
    desk.deploy(Path("1"))
    with pytest.raises(RolloutError, match="in service"):
        proxy.point("blue", processes.free_port())


@pytest.mark.parametrize("colour", ["red", "", "blue; show info"])
def test_unknown_slot_is_refused(proxy, colour):
    with pytest.raises(RolloutError, match="no slot"):
        proxy.set_weight(colour, 1)


@pytest.mark.parametrize("weight", [-1, 257])
def test_weight_out_of_range_is_refused(proxy, weight):
    with pytest.raises(RolloutError, match="out of range"):
        proxy.set_weight("blue", weight)


def test_command_that_the_proxy_does_not_know_is_an_error(proxy):
    with pytest.raises(RolloutError, match="refused"):
        proxy.command("set server desk/blue state asleep")


def test_proxy_that_is_not_running_says_so():
    proxy = rollout.Proxy("python")
    with pytest.raises(RolloutError, match="does not answer"):
        proxy.counts()
    proxy.stop()


def test_answer_that_comes_in_chunks_passes_through(proxy, tmp_path):
    code = (
        "import sys\n"
        "from http.server import *\n"
        "class H(BaseHTTPRequestHandler):\n"
        "    protocol_version = 'HTTP/1.1'\n"
        "    def do_GET(self):\n"
        "        self.send_response(200)\n"
        "        self.send_header('transfer-encoding', 'chunked')\n"
        "        self.end_headers()\n"
        "        self.wfile.write(b'5\\r\\nhello\\r\\n6\\r\\n world\\r\\n0\\r\\n\\r\\n')\n"
        "ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()\n"
    )
    import urllib.request

    port = processes.free_port()
    with processes.Server("chunks", [sys.executable, "-c", code, str(port)], port=port) as server:
        server.wait_ready()
        proxy.point("green", port)
        proxy.set_state("green", "ready")
        for _ in range(2):
            with urllib.request.urlopen(proxy.url + "/stream") as reply:
                assert reply.read() == b"hello world"


def test_traffic_counts_refused_connections():
    with rollout.Traffic(f"http://127.0.0.1:{processes.free_port()}/predict", [FLIGHT], connections=1) as clients:
        clients.wait_for(3)
    report = clients.report()
    assert report.reasons == {"refused": report.sent}
    assert report.versions == {}


def test_traffic_counts_requests_that_take_too_long(tmp_path):
    port = processes.free_port()
    with app(takes=5)(Path("1"), port) as server:
        server.wait_ready()
        with rollout.Traffic(server.url + "/predict", [FLIGHT], connections=1, timeout=0.1) as clients:
            clients.wait_for(1)
    assert clients.report().reasons == {"timed out": clients.report().sent}


def test_traffic_ends_with_its_block():
    before = threading.active_count()
    with rollout.Traffic(f"http://127.0.0.1:{processes.free_port()}/predict", [FLIGHT]) as clients:
        clients.wait_for(1)
    assert threading.active_count() == before


@pytest.mark.parametrize("url", ["https://127.0.0.1:1/x", "127.0.0.1", "http://127.0.0.1/x"])
def test_url_that_traffic_cannot_use_is_refused(url):
    with pytest.raises(LoadTestError, match="Traffic cannot be sent"):
        rollout.Traffic(url, [FLIGHT])


def test_smoke_test_without_cases_proves_nothing():
    with pytest.raises(RolloutError, match="proves nothing"):
        rollout.smoke_test("http://127.0.0.1:1", [])


def test_smoke_test_of_a_dead_server_fails_every_case():
    result = rollout.smoke_test(f"http://127.0.0.1:{processes.free_port()}", CASES * 2)
    assert not result.passed
    assert len(result.problems) == 2


def test_known_answers_come_from_the_pipeline(january_model, winter):
    cases = rollout.known_answers(january_model, winter.head(3))
    assert [case.probability for case in cases] == training.predict(january_model, winter.head(3)).tolist()
    assert isinstance(cases[0].flight["distance"], int)


# --- rehearsal ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("world", "outcome"),
    [
        ({}, "done"),
        ({"ready": (False, True, False, True, True, True)}, "done"),
        ({"smoke": "failed"}, "give up"),
        ({"ready": (False,)}, "give up"),
        ({"dies_at": 2}, "give up"),
        ({"ready": (True,), "finishing": (0,)}, "done"),
    ],
)
def test_careful_policy_loses_nothing_in_rehearsal(world, outcome):
    played = rollout.rehearse_switch(rollout.careful, rollout.World(**world))
    assert (played.outcome, played.lost) == (outcome, {})


@pytest.mark.parametrize(
    ("policy", "cause"),
    [
        (lambda v: {"old": "send traffic", "both": "drain old", "new": "done"}[v["traffic"]], "not ready"),
        (lambda v: "done", "after it was stopped"),
        (lambda v: "drain old" if v["traffic"] == "old" else "done", "not ready"),
    ],
)
def test_careless_policies_lose_requests_in_rehearsal(policy, cause):
    lost = rollout.rehearse_switch(policy, rollout.World()).lost
    assert any(cause in text for text in lost)


def test_policy_that_never_ends_is_stopped():
    assert rollout.rehearse_switch(lambda _: "wait", rollout.World()).outcome == "never ended"


@pytest.mark.parametrize(
    ("plan", "cause"),
    [
        (["drain green", "ready blue"], "no slot was open"),
        (["ready blue", "drain green", "stop green"], "in flight"),
        (["stop green"], "stopped server"),
    ],
)
def test_careless_plans_lose_requests_in_rehearsal(plan, cause):
    played = rollout.rehearse_rollback(plan, good="blue", bad="green", good_is_running=True)
    assert any(cause in text for text in played.lost)


def test_plan_that_changes_nothing_is_not_done():
    played = rollout.rehearse_rollback([], good="blue", bad="green", good_is_running=True)
    assert played.outcome == "green still gets requests"


# --- figures -----------------------------------------------------------------------------------------------------


def test_figures_say_what_was_lost_and_label_their_axes():
    samples = tuple(rollout.Sample(k / 10, 0.01, "200" if k < 8 else "502", "1") for k in range(10))
    figure = rollout.timeline_figure({"restart": rollout.TrafficReport(samples)})
    assert figure.axes[0].get_title() == "restart: 2 of 10 requests failed"
    assert figure.axes[0].get_ylabel() == "requests per second"
    alarms = rollout.alarm_figure({"rule": [0, None, 3]}, looks=4)
    assert "looks" in alarms.axes[0].get_xlabel()
    look = rollout.Look(0.1, 5, rollout.Window(1, 0, 1, 0), 1.0)
    evidence = rollout.evidence_figure(rollout.CanaryReport("promoted", "", (look,)))
    assert evidence.axes[0].get_title().startswith("promoted after 1 looks")
