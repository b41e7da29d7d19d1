"""Containers without an engine: Dockerfiles, contexts, layers, rules, sizes, Compose files, drills, plan mode."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from course_lib import containers, engines
from course_lib.containers import desk
from course_lib.containers.engine import detect, wheel_index
from course_lib.containers.engine.docker import _podman_steps, _steps
from course_lib.containers.review import policy, review
from course_lib.errors import CourseError, EngineError
from course_lib.processes import wait_until

GOOD = """\
FROM python:3.11-slim@sha256:0
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
USER 10001
HEALTHCHECK CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health')"]
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
"""
FILES = {"main.py": "v1", "requirements.txt": "fastapi", "bundle/model.onnx": 90_000}


def test_the_essential_pattern_is_read_line_by_line():
    stage = containers.parse(desk.ESSENTIAL).final
    assert stage.base == containers.BASE
    assert [one.name for one in stage.instructions] == ["WORKDIR", "COPY", "RUN", "COPY", "EXPOSE", "CMD"]
    assert stage.instructions[-1].argv == ("uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000")


def test_comments_continuations_flags_heredocs_and_variables_are_understood():
    text = (
        "# top\nARG V=3.11\nFROM python:${V}-slim AS build\nRUN a \\\n  # between\n  && b\n"
        "RUN --mount=type=secret,id=t --network=none <<EOF\nFROM nowhere\nEOF\nFROM build\nCMD run it\n"
    )
    found = containers.parse(text)
    first, second = found.stages[0].instructions
    assert (found.stages[0].base, first.value, first.line) == ("python:3.11-slim", "a && b", 4)
    assert second.flag("mount") == "type=secret,id=t"
    assert found.final.instructions[0].argv is None
    assert found.lineage(found.final)[0].name == "build"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no FROM"),
        ("RUN x", "before the first FROM"),
        ("FROM a\nINSTALL x", "not an instruction"),
        ("FROM a b", "no base"),
    ],
)
def test_an_unreadable_dockerfile_is_refused_by_line(text, message):
    with pytest.raises(containers.DockerfileError, match=message):
        containers.parse(text)


@pytest.mark.parametrize(
    ("path", "rules", "out"),
    [
        ("a.csv", ["*.csv"], True),
        ("data/a.csv", ["*.csv"], False),
        ("data/a.csv", ["**/*.csv"], True),
        ("a.csv", ["**/*.csv"], True),
        ("data/x/a", ["data"], True),
        ("data/x/a", ["/data/"], True),
        ("main.py", ["*", "!main.py"], False),
        ("main.py", ["!main.py", "*"], True),
        ("a", ["# a", ""], False),
    ],
)
def test_dockerignore_rules(path, rules, out):
    assert containers.ignored(path, rules) is out


@given(st.sampled_from(sorted(FILES)), st.text(max_size=5))
def test_a_step_runs_again_exactly_from_the_first_changed_copy(path, content):
    after = FILES | {path: content}
    again = [layer.instruction.text for layer in containers.rebuilt(desk.ESSENTIAL, FILES, after)]
    if content == FILES[path]:
        assert again == []
    elif path == "requirements.txt":
        assert len(again) >= 3
        assert again[0] == "COPY requirements.txt ."
    else:
        assert [text for text in again if text.startswith(("RUN", "COPY"))] == ["COPY . ."]


def test_a_change_of_metadata_reinstalls_nothing():
    changed = desk.ESSENTIAL.replace("EXPOSE 8000", "EXPOSE 8080").replace(
        "WORKDIR /app\n", "WORKDIR /app\nLABEL a=b\n"
    )
    again = containers.rebuilt(desk.ESSENTIAL, FILES, FILES, text_after=changed)
    assert not [layer for layer in again if layer.expensive]


def test_stages_that_the_image_does_not_use_are_not_built():
    text = "FROM a AS unused\nRUN pip install x\nFROM b\nCOPY main.py .\n"
    assert [layer.instruction.name for layer in containers.graph(text, FILES)] == ["COPY"]


def test_a_missing_source_is_named():
    with pytest.raises(containers.DockerfileError, match=r"nothing\.txt"):
        containers.graph("FROM a\nCOPY nothing.txt .", FILES)


def test_the_essential_pattern_breaks_two_rules_and_a_good_file_none():
    assert [finding.rule for finding in containers.lint(desk.ESSENTIAL)] == ["DESK02", "DESK04"]
    assert containers.lint(GOOD) == ()


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("python:3.11-slim@sha256:0", "python", "DESK01"),
        ("USER 10001", "USER desk", "DESK02"),
        ('CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]', "CMD uvicorn main:app", "DESK03"),
        ('CMD ["python", "-c", "import urllib.request as u', 'CMD ["curl", "-c", "import u', "DESK04"),
        ("COPY requirements.txt .", "COPY . .", "DESK05"),
        ("--no-cache-dir ", "", "DESK06"),
        ("USER 10001", "RUN apt-get install -y git\nUSER 10001", "DESK07"),
        ("USER 10001", "ENV API_TOKEN=x\nUSER 10001", "DESK08"),
        ("USER 10001", "COPY .env .\nUSER 10001", "DESK08"),
        ("COPY . .", "ADD . .", "DESK09"),
        ("WORKDIR /app\n", "", "DESK10"),
    ],
)
def test_each_rule_finds_what_it_is_for(old, new, rule):
    assert rule in [finding.rule for finding in containers.lint(GOOD.replace(old, new))]


def test_hadolint_runs_offline_and_finds_a_moving_tag():
    assert "DL3007" in [finding.rule for finding in containers.hadolint("FROM python:latest\n")]
    assert policy.hadolint_version()


def test_deleting_later_saves_nothing_and_ignoring_does():
    heavy = FILES | {"data/raw.csv": 50_000_000}
    deleted = containers.total(containers.estimate(desk.ESSENTIAL + "RUN rm -rf data\n", heavy))
    kept_out = containers.total(containers.estimate(desk.ESSENTIAL, heavy | {".dockerignore": "data\n"}))
    assert deleted - kept_out == pytest.approx(50_000_000, abs=1000)


def test_a_second_stage_leaves_the_compiler_behind():
    build = "FROM python:3.11-slim AS b\nRUN apt-get install -y gcc && python -m venv /v && /v/bin/pip install numpy\n"
    small = containers.total(containers.estimate(build + "FROM python:3.11-slim\nCOPY --from=b /v /v\n", FILES))
    assert small < containers.total(containers.estimate(build, FILES)) - 100_000_000
    assert small > 145_000_000 + 30_000_000


COMPOSE = """
services:
  db: {image: "db:1", healthcheck: {test: ["CMD", "python", "-c", "1"]}}
  api: {image: "api:1", depends_on: {db: {condition: service_healthy}}, ports: ["127.0.0.1:80:80"]}
"""


def test_services_start_when_those_they_wait_for_are_healthy():
    assert containers.start_order(COMPOSE) == (("db",), ("api",))
    assert containers.start_times(COMPOSE, {"db": 7}) == {"db": 0, "api": 7}
    assert containers.lint_compose(COMPOSE) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "no YAML"),
        ("a: 1", "no services"),
        ("services: {a: {depends_on: [b]}}", "not a service"),
        ("services: {a: {depends_on: [b]}, b: {depends_on: [a]}}", "wait for each other"),
    ],
)
def test_a_broken_compose_file_is_refused(text, message):
    with pytest.raises(containers.ComposeError, match=message):
        containers.start_order(text)


def test_the_course_s_own_compose_file_keeps_the_rules():
    text = (desk.FILES / "compose.yaml").read_text().replace("${API_IMAGE:-desk-api:1}", "desk-api:1")
    assert containers.start_order(text) == (("mlflow",), ("api",), ("prometheus",))
    assert containers.lint_compose(text) == ()


def test_the_drill_counts_what_a_server_without_a_handler_drops():
    report = containers.drill("server.serve_forever()", requests=2)
    assert (report.dropped, report.exit_code, report.killed) == (2, -15, False)
    with pytest.raises(CourseError, match="ended by itself"):
        containers.drill("pass")


def test_a_review_names_the_misconception():
    with pytest.raises(AssertionError, match="still ships them"):
        review.budget(desk.ESSENTIAL + "RUN rm -rf d\n", FILES | {"d/x": 900_000_000}, 340)


def _archive(layers):
    outer = io.BytesIO()
    with tarfile.open(fileobj=outer, mode="w") as tar:

        def add(into, name, body):
            info = tarfile.TarInfo(name)
            info.size = len(body)
            into.addfile(info, io.BytesIO(body))

        names = []
        for n, files in enumerate(layers):
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as one:
                for path, body in files.items():
                    add(one, path, body)
            names.append(f"{n}/layer.tar")
            add(tar, names[-1], inner.getvalue())
        steps = [{"created_by": f"step {n}"} for n in range(len(layers))]
        add(tar, "c.json", json.dumps({"history": [{"created_by": "ENV", "empty_layer": True}, *steps]}).encode())
        add(tar, "manifest.json", json.dumps([{"Config": "c.json", "Layers": names}]).encode())
    return outer.getvalue()


def test_layers_are_read_one_by_one_and_list_their_software():
    head = b"Metadata-Version: 2.1\nName: Fast\nVersion: 1.0\n\ntext"
    read = containers.read_archive(
        _archive([{"base": b"b"}, {"s/Fast-1.0.dist-info/METADATA": head}, {"s/.wh.x": b""}]), skip=1
    )
    assert [layer.made_by for layer in read.layers] == ["step 0", "step 1", "step 2"]
    assert "base" not in read.layers[0].files
    assert containers.sbom(layer.files for layer in read.layers)[0]["purl"] == "pkg:pypi/fast@1.0"
    with pytest.raises(EngineError, match="no image archive"):
        containers.read_archive(b"nothing")


def test_progress_of_both_builders_is_read():
    log = "#6 [3/5] COPY r .\n#6 CACHED\n#7 [build 4/5] RUN pip\n#7 0.1 text\n#7 DONE 5.1s\n"
    assert [(s.text, s.cached, s.seconds) for s in _steps(log)] == [("COPY r .", True, 0), ("RUN pip", False, 5.1)]
    podman = "STEP 1/3: FROM a\nSTEP 2/3: COPY r .\n--> Using cache abc\nSTEP 3/3: RUN pip\n"
    assert [(s.text, s.cached) for s in _podman_steps(podman)] == [("COPY r .", True), ("RUN pip", False)]


def test_the_local_index_offers_wheels_to_pip(tmp_path):
    (tmp_path / "Some_Package-1.0-py3-none-any.whl").write_bytes(b"wheel")
    with wheel_index.WheelIndex(tmp_path) as index:
        with urllib.request.urlopen(f"{index.url}/some-package/") as page:
            assert b"Some_Package-1.0" in page.read()
        with urllib.request.urlopen(index.url.replace("/simple", "/wheels/Some_Package-1.0-py3-none-any.whl")) as file:
            assert file.read() == b"wheel"


@pytest.fixture
def hidden(monkeypatch):
    """Hide every engine of this machine."""
    monkeypatch.setattr(detect, "docker_client", lambda: None)
    monkeypatch.setattr(detect.shutil, "which", lambda *_, **__: None)
    monkeypatch.delenv(detect.CHOICE, raising=False)


def test_without_any_engine_plan_mode_says_what_is_missing(hidden):
    with containers.open_engine() as engine:
        assert (engine.mode, engine.real) == ("plan", False)
        assert "Docker" in engine.reason
        assert "Podman: it is not installed" in engine.reason
    assert not engine.folder.exists()


def test_an_engine_nobody_knows_is_refused():
    with pytest.raises(EngineError, match="docker, podman or plan"):
        containers.open_engine("rocket")


def test_engines_are_listed_with_what_runs_without_them():
    rows = {one.engine.name: one for one in engines.found(["docker", "podman", "compose", "hadolint", "prometheus"])}
    assert rows["hadolint"].version
    assert "plan mode" in rows["Docker engine"].engine.without


@pytest.fixture
def small(tmp_path):
    """A context with a server of the standard library that says who it is."""
    (tmp_path / "requirements.txt").write_text("uvicorn\n")
    (tmp_path / "main.py").write_text(
        "async def app(scope, receive, send):\n"
        "    import sys\n"
        "    body = b'pandas' if any('site-packages' in p for p in sys.path) else b'clean'\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    await send({'type': 'http.response.body', 'body': body})\n"
    )
    return tmp_path


def test_plan_mode_runs_the_command_with_nothing_but_what_the_dockerfile_brings(small):
    text = desk.ESSENTIAL.replace('"8000"]', '"8000", "--lifespan", "off"]')
    with containers.open_engine("plan") as engine:
        build = engine.build(small, "t:1", dockerfile=text)
        assert build.seconds is None
        with engine.run("t:1") as running:
            with urllib.request.urlopen(running.wait_ready("/").url) as reply:
                assert reply.read() == b"clean"
            assert running.url.startswith("http://127.0.0.1:")
            assert running.stop().exit_code in {0, 143}
        assert engine.build(small, "t:2", dockerfile=text).ran == ()
        (small / "main.py").write_text("app = 1")
        assert engine.build(small, "t:3", dockerfile=text).ran == ("COPY . .",)


def test_plan_mode_misses_what_the_dockerfile_forgot(small):
    with containers.open_engine("plan") as engine:
        engine.build(small, "t:1", dockerfile=desk.ESSENTIAL.replace("COPY . .\n", ""))
        with engine.run("t:1") as running, pytest.raises(EngineError, match="main"):
            running.wait_ready("/", timeout=60)


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux")
def test_the_janitor_ends_what_outlives_the_engine(tmp_path):
    folder = tmp_path / "session"
    folder.mkdir()
    watcher = f"import os, time; open({str(tmp_path / 'watcher')!r}, 'w').write(str(os.getpid())); time.sleep(300)"
    leaving = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True)"
    engine = [sys.executable, "-c", leaving, watcher]  # ends at once, as Podman's client does; its watcher does not
    order = {"client": ["true"], "session": "none", "folder": str(folder), "engine": engine}
    command = [sys.executable, "-m", "course_lib.containers.engine.cleanup", json.dumps(order)]
    janitor = subprocess.Popen(command, stdin=subprocess.PIPE)
    wait_until(lambda: (tmp_path / "watcher").exists() and (tmp_path / "watcher").read_text(), timeout=30, what="it")
    left = int((tmp_path / "watcher").read_text())
    assert _alive(left)
    janitor.communicate(timeout=60)

    assert not _alive(left)


def test_the_janitor_cleans_up_when_its_owner_is_killed(tmp_path):
    folder = tmp_path / "session"
    folder.mkdir()
    order = {"client": ["true"], "session": "s", "engine": ["sleep", "600"], "folder": str(folder)}
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            "p = subprocess.Popen([sys.executable, '-m', 'course_lib.containers.engine.cleanup', sys.argv[1]],"
            " stdin=subprocess.PIPE, start_new_session=True)\nprint(p.pid, flush=True)\ntime.sleep(600)",
            json.dumps(order),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    janitor = int(owner.stdout.readline())
    wait_until((folder / "engine.log").exists, timeout=30, what="the janitor's start")
    owner.kill()
    owner.wait()
    owner.stdout.close()
    wait_until(lambda: not folder.exists(), timeout=60, what="the removal of the session's folder")
    wait_until(lambda: not _alive(janitor), timeout=30, what="the janitor's end")


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_the_context_of_the_desk_holds_service_model_and_pinned_requirements(tmp_path):
    from course_lib.packaging import desk_bundle

    made = desk.write_context(tmp_path / "c", index_url="http://127.0.0.1:1/simple", bundle=desk_bundle())
    assert (made / "requirements.txt").read_text().startswith("--index-url http://127.0.0.1:1/simple\ncryptography==")
    assert (made / "bundle" / "manifest.json").exists()
    assert (made / "course_lib" / "serving" / "api" / "app.py").exists()
    assert not (made / "course_lib" / "containers").exists()
