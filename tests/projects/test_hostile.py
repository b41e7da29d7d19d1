"""A hostile project is contained and reported, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from autograder.projects.harness import Timeouts
from autograder.projects.model import ProjectError
from autograder.projects.registry import open_project
from autograder.projects.report import as_html, as_markdown
from autograder.projects.sandbox import LIMITS, ProjectSandbox, SandboxEnded
from autograder.projects.stage import grade

SECRET = "swordfish-of-the-grader"
TABLE = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "hostile"
version = "1"
dependencies = ["pytest"]

[tool.setuptools]
py-modules = ["hostile"]

[tool.course]
project = "model-api"
train = ["python", "train.py", "{mark}"]
serve = ["python", "serve.py", "{port}", "{mark}"]
test = ["python", "-m", "pytest", "-q"]
model = "model.bin"
tracking = "mlflow.db"
predict = "hostile:predict"
app = "hostile:app"
example = "example.json"
holdout = "example.json"
"""
FORK_BOMB = """
import os, time
for _ in range(10_000):
    try:
        if not os.fork():
            os.setsid()
            time.sleep(600)
    except OSError as refused:
        print("refused", refused)
        break
else:
    print("ESCAPED: nothing stops a fork bomb")
open("model.bin", "w").write("x")
"""
STUBBORN = """
import http.server, os, signal, subprocess, sys
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", sys.argv[2]], start_new_session=True)
class Yes(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"{}")
    do_POST = do_GET
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Yes).serve_forever()
"""
LIAR = """
import os
def pytest_sessionfinish():
    os._exit(0)
"""
SNOOP = """
name: ci
on: push
jobs:
  snoop:
    runs-on: ubuntu-latest
    steps:
      - run: |
          env; cat /proc/*/environ || true
          cat {canary} && echo ESC""APED; echo broken > {canary} || true
          nohup python3 -c "import time; time.sleep(600)" {mark} >/dev/null 2>&1 &
          exit 1
        env:
          STOLEN: ${{{{ secrets.DEPLOY_KEY }}}}
"""
DOCKERFILE = """
FROM python:3.11-slim
RUN --mount=type=bind,source=/,target=/host cat /host/etc/shadow
VOLUME /var/run/docker.sock
CMD ["python"]
"""


@pytest.fixture
def mark() -> str:
    return f"course-hostile-{uuid.uuid4().hex}"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    path = tmp_path / "gradebook.db"
    path.write_text(SECRET)
    path.chmod(0o666)
    return path


def project(folder: Path, files: dict[str, str], mark: str) -> Path:
    folder.mkdir()
    table = TABLE.replace("{mark}", mark)
    for name, text in {"pyproject.toml": table, "hostile.py": "app = predict = None\n", **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def living(mark: str) -> list[int]:
    """Return the processes that carry the mark, once they have had time to end."""
    end = time.monotonic() + 10
    while True:
        found = []
        for process in psutil.process_iter(["pid", "cmdline", "status"]):
            named = any(mark in word for word in process.info["cmdline"] or ())
            if named and process.info["status"] != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(process.pid)
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.1)


def test_an_endless_install_is_ended_and_reported(tmp_path, mark):
    folder = project(tmp_path / "p", {"setup.py": f"import time\nx = {mark!r}\nwhile True: time.sleep(1)\n"}, mark)
    report = grade(*open_project(folder), only=["install", "test"], timeouts=Timeouts(install=8))
    assert "install.installs" in report.failed
    assert "did not end in time" in report.results["install.installs"].evidence
    assert "could not be installed" in report.results["test.pass"].evidence
    assert living(mark) == []


def test_everything_at_once_is_contained_and_reported(tmp_path, mark, canary, monkeypatch):
    monkeypatch.setenv("DEPLOY_KEY", SECRET)
    workflow = SNOOP.format(canary=canary, mark=mark)
    files = {
        "train.py": FORK_BOMB,
        "serve.py": STUBBORN,
        "example.json": '{"x": 1}',
        "tests/conftest.py": LIAR,
        "tests/test_nothing.py": "def test_nothing():\n    assert False\n",
        "Dockerfile": DOCKERFILE,
        ".github/workflows/ci.yml": workflow,
    }
    folder = project(tmp_path / "p", files, mark)
    limits = replace(LIMITS, processes=64, memory_mb=1024)
    report = grade(*open_project(folder), limits=limits, timeouts=Timeouts(stop=2, test=90))
    evidence = {name: result.evidence for name, result in report.results.items()}
    assert "train.runs" not in report.failed, evidence["train.runs"]  # the bomb was refused, and the training went on
    assert {"serve.ready", "serve.predicts", "serve.stops"} <= set(report.failed)
    assert "did not end" in evidence["serve.stops"]
    assert {"test.catch_swapped", "test.catch_bounds"} <= set(report.failed)  # the lie got past one check, not past two
    assert "mounts the host" in evidence["container.contained"]
    assert "reads the secret DEPLOY_KEY" in evidence["ci.least_privilege"]
    assert {"ci.green", "ci.red"} <= set(report.failed)
    reply = as_markdown(report) + as_html(report) + json.dumps({f.id: f.measured for f in report.results.values()})
    assert SECRET not in reply
    assert "ESCAPED" not in reply
    assert canary.read_text() == SECRET
    assert living(mark) == []


def test_a_project_that_outlives_its_sandbox_s_time_is_ended(mark):
    with ProjectSandbox(limits=replace(LIMITS, wall_seconds=4)) as sandbox:
        with pytest.raises(SandboxEnded, match="longer than it may"):
            sandbox.run(["/bin/sh", "-c", "sleep 600", mark], cwd="/box/work", seconds=60)
        with pytest.raises(SandboxEnded, match="ended"):
            sandbox.files("/box/work")
    assert living(mark) == []


def test_memory_is_limited(mark):
    eat = "x = [bytearray(1 << 24) for _ in range(200)]; print('ESC' + 'APED')"
    out, why = "", ""
    with ProjectSandbox(limits=replace(LIMITS, memory_mb=400)) as sandbox:
        try:
            out = sandbox.run(["/usr/bin/env", "python3", "-c", eat, mark], cwd="/box/work", seconds=60).out
        except SandboxEnded as ended:
            why = str(ended)
    assert "memory" in why or "ESCAPED" not in out
    assert living(mark) == []


def test_commands_see_neither_the_grader_nor_its_tools_nor_each_other(mark):
    look = "import os; print(sorted(p for p in os.listdir('/proc') if p.isdigit()), os.environ.get('PYTHONPATH'))"
    with ProjectSandbox() as sandbox:
        sandbox.start(["/bin/sh", "-c", "sleep 60", mark], cwd="/box/work")
        done = sandbox.run(["python3", "-c", look], cwd="/box/work", seconds=30)
    assert done.out.strip() == "['1', '2'] None"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("model.bin", "/etc/passwd"), "leaves the project"),
        (lambda text: text.replace("model.bin", "../model"), "leaves the project"),
        (lambda text: text.replace('project = "model-api"', 'project = "chess"'), "no practice project called 'chess'"),
        (lambda text: text.replace('test = ["python"', 'test = [3, "python"'), "no right value for 'test'"),
        (lambda text: text.partition("[tool.course]")[0], "says nothing to the grader"),
        (lambda text: text + "\n]", "no TOML"),
    ],
)
def test_a_wrong_table_is_a_clear_error(tmp_path, change, message):
    folder = project(tmp_path / "p", {}, "x")
    (folder / "pyproject.toml").write_text(change(TABLE))
    with pytest.raises(ProjectError, match=message):
        open_project(folder)


def test_links_out_of_the_project_and_git_are_not_read(tmp_path, canary):
    folder = project(tmp_path / "p", {".git/config": "[core]\nfsmonitor = touch /tmp/pwned\n"}, "x")
    (folder / "link").symlink_to(canary)
    (folder / "folder").symlink_to(tmp_path)
    files = open_project(folder)[0].files
    assert not [name for name in files if name.startswith((".git/", "link", "folder"))]


def test_a_grader_that_is_killed_leaves_nothing_behind(mark):
    program = (
        "import sys; from autograder.projects.sandbox import ProjectSandbox\n"
        "with ProjectSandbox() as sandbox:\n"
        "    sandbox.start(['/bin/sh', '-c', 'sleep 600', sys.argv[1]], cwd='/box/work'); print('up', flush=True)\n"
        "    sandbox.run(['/bin/sh', '-c', 'sleep 600', sys.argv[1]], cwd='/box/work', seconds=600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, mark], stdout=subprocess.PIPE, text=True) as grader:
        assert grader.stdout is not None
        assert grader.stdout.readline() == "up\n"
        grader.kill()
    assert living(mark) == []
