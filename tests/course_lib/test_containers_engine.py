"""Containers with a real engine: the unmodified Dockerfile is built, run, called and stopped; Compose starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import psutil
import pytest

from course_lib import containers
from course_lib.containers import desk
from course_lib.errors import EngineError
from course_lib.processes import free_port, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]
SLOW_APP = """
import asyncio
async def app(scope, receive, send):
    print("begin", flush=True)
    await asyncio.sleep(1.0 if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
FLIGHT = {"carrier": "UA", "origin": "EWR", "dest": "ORD", "distance": 719, "sched_minutes": 152, "dep_minute": 1080}
FLIGHT |= {"weekday": 5, "departures_in_hour": 24}


@pytest.fixture(scope="module")
def engine():
    """Docker or Podman with the base image; it is an error, not a skip, where the suite was told to expect one."""
    with containers.open_engine(os.environ.get("COURSE_CONTAINERS") or "docker") as found:
        if not found.real:
            if os.environ.get("COURSE_EXPECT_ENGINE"):
                pytest.fail(f"an engine was expected: {found.reason}")
            pytest.skip(found.reason)
        yield found
        host, client, label = found.host, list(found.client), f"label=mlops-course.session={found.session}"
    if found.reason == "it was running already":
        for listing in (("ps", "-aq"), ("images", "-aq"), ("network", "ls", "-q"), ("volume", "ls", "-q")):
            left = subprocess.run([*client, *listing, "--filter", label], capture_output=True, text=True, check=True)
            assert left.stdout == "", host
    assert not found.folder.exists()


@pytest.fixture(scope="module")
def context(engine, tmp_path_factory):
    return desk.write_context(tmp_path_factory.mktemp("context"), index_url=engine.index_url)


@pytest.fixture(scope="module")
def essential(engine, context):
    """The seven lines, unmodified."""
    assert (context / "Dockerfile").read_text() == desk.ESSENTIAL
    return engine.build(context, "course-test:essential", fresh=True)


def test_the_essential_dockerfile_builds_runs_and_answers_on_loopback_only(engine, essential):
    with engine.run(essential.tag, environment={"COURSE_BUNDLE_KEY": desk.public_key()}) as api:
        body = json.dumps(FLIGHT).encode()
        request = urllib.request.Request(api.wait_ready().url + "/predict", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert 0 <= json.load(reply)["late_probability"] <= 1
        port = int(api.url.rsplit(":", 1)[1])
        listening = {one.laddr.ip for one in psutil.net_connections("tcp") if one.laddr and one.laddr.port == port}
        assert listening == {"127.0.0.1"}
        assert api.stop().exit_code == 0


def test_the_predicted_cache_is_the_engine_s(engine, essential, context):
    before = containers.Context.of(context)
    with (context / "main.py").open("a") as file:
        file.write("\n# an edit\n")
    again = engine.build(context, "course-test:edited")
    assert before.files["main.py"] != containers.Context.of(context).files["main.py"]
    assert [text for text in again.ran if text.startswith(("RUN", "COPY"))] == ["COPY . ."]
    estimated = containers.total(containers.estimate(desk.ESSENTIAL, context))
    assert abs(estimated - essential.size) < 0.25 * essential.size


def test_a_stop_drops_no_accepted_request(engine, tmp_path):
    (tmp_path / "requirements.txt").write_text(
        (f"--index-url {engine.index_url}\n" if engine.index_url else "") + "uvicorn\n"
    )
    (tmp_path / "main.py").write_text(SLOW_APP)
    engine.build(tmp_path, "course-test:slow", dockerfile=desk.ESSENTIAL)
    with engine.run("course-test:slow") as running:
        running.wait_ready("/")
        answers: list[bytes] = []

        def ask() -> None:
            with urllib.request.urlopen(running.url + "/slow", timeout=30) as reply:
                answers.append(reply.read())

        seen = running.logs().count("begin")
        callers = [threading.Thread(target=ask) for _ in range(3)]
        for caller in callers:
            caller.start()
        wait_until(lambda: running.logs().count("begin") >= seen + 3, timeout=30, what="three requests in flight")
        stopped = running.stop(grace=20)
        for caller in callers:
            caller.join()
    assert answers == [b"ok"] * 3
    assert stopped.exit_code == 0


def test_a_deleted_secret_is_found_in_its_layer_and_a_mounted_one_nowhere(engine, tmp_path):
    (tmp_path / ".env").write_text("desk-secret")
    engine.build(tmp_path, "course-test:leak", dockerfile=f"FROM {containers.BASE}\nCOPY . /a/\nRUN rm /a/.env\n")
    assert [layer.files.get("a/.env") for layer in engine.archive("course-test:leak").layers][-2:] == [
        b"desk-secret",
        None,
    ]
    text = f"FROM {containers.BASE}\nRUN --mount=type=secret,id=t grep -q desk-secret /run/secrets/t\n"
    engine.build(tmp_path, "course-test:clean", dockerfile=text, secrets={"t": "desk-secret"})
    layers = engine.archive("course-test:clean").layers
    assert not [path for layer in layers for path, body in layer.files.items() if b"desk-secret" in (body or b"")]


def test_a_failed_build_and_an_early_end_say_why(engine, tmp_path):
    with pytest.raises(EngineError, match="could not be built"):
        engine.build(tmp_path, "course-test:bad", dockerfile=f"FROM {containers.BASE}\nRUN false\n")
    text = f'FROM {containers.BASE}\nCMD ["python", "-c", "raise SystemExit(\'no model\')"]\n'
    engine.build(tmp_path, "course-test:ends", dockerfile=text)
    with pytest.raises(EngineError, match="no model"), engine.run("course-test:ends") as running:
        running.wait_ready("/")


def test_compose_starts_api_mlflow_and_prometheus_in_the_order_of_health(engine, essential, tmp_path):
    images = [desk.mlflow_image(), desk.PROMETHEUS_IMAGE]
    if not containers.compose_program(engine) or containers.missing_images(engine, images):
        pytest.skip("Compose or the images of `make images` are missing")
    (tmp_path / "prometheus.yml").write_text((desk.FILES / "prometheus.yml").read_text())
    ports = {f"{name}_PORT": str(free_port()) for name in ("API", "MLFLOW", "PROMETHEUS")}
    settings = ports | {"API_IMAGE": essential.tag, "COURSE_BUNDLE_KEY": desk.public_key(), "MLFLOW_IMAGE": images[0]}
    with containers.Project(engine, (desk.FILES / "compose.yaml").read_text(), tmp_path, settings) as project:
        project.up(timeout=600)

        def scraped() -> bool:
            url = f"http://127.0.0.1:{ports['PROMETHEUS_PORT']}/api/v1/query?query=up"
            with urllib.request.urlopen(url, timeout=10) as reply:
                return [row["value"][1] for row in json.load(reply)["data"]["result"]] == ["1"]

        wait_until(scraped, timeout=60, what="Prometheus' scrape of the API")
        assert "mlflow" in project.logs()
    assert engine.command("ps", "-aq", "--filter", f"label=com.docker.compose.project={engine.session}").stdout == ""


def test_nothing_is_left_when_the_owner_is_killed(engine, tmp_path):
    code = (
        "import time\nfrom course_lib import containers\n"
        "engine = containers.open_engine()\n"
        f"engine.api.containers.run({containers.BASE!r}, ['sleep', '600'], detach=True,"
        " labels={'mlops-course.session': engine.session})\n"
        "print(engine.session, engine.folder, flush=True)\ntime.sleep(600)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ | {"DOCKER_HOST": engine.host}
    )
    session, folder = owner.stdout.readline().split()
    label = f"label=mlops-course.session={session}"
    assert engine.command("ps", "-q", "--filter", label).stdout
    owner.kill()
    owner.wait()
    owner.stdout.close()
    wait_until(lambda: not engine.command("ps", "-aq", "--filter", label).stdout, timeout=60, what="the clean-up")
    wait_until(lambda: not Path(folder).exists(), timeout=60, what="the removal of the scratch folder")
