"""Stage container: the Dockerfile keeps the course's rules, and what it describes starts and answers.

The rules are read from the text. The image is laid out in plan mode inside the sandbox: its command runs with the files
and packages that the Dockerfile names, and no others. With ``--build`` a real engine builds and runs it instead.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

from autograder.projects.harness import Harness, Server, json_of, post
from autograder.projects.model import Requirement, Unmet
from autograder.projects.stage import Stage
from autograder.projects.stages.image import build_and_ask
from autograder.projects.submission import Project

__all__ = ["STAGE", "without_local_install"]

_START_SECONDS = 60.0
_OWN = {"DESK02", "DESK04"}  # rules that have a requirement of their own
_LOCAL_INSTALL = re.compile(r"""(?m)(\bpip3?\s+install\b[^\n&;]*?\s)["']?\.(?:\[([\w,\s-]*)\])?["']?(?=\s|$)""")
_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")

REQUIREMENTS = (
    Requirement(
        "container.policy",
        "the Dockerfile keeps the course's rules",
        4,
        "The evidence names rule and line. `course_lib.containers.lint` says the same, and notebook 5 says why.",
    ),
    Requirement(
        "container.user", "the container does not run as root", 2, "End the final stage with `USER` and a number."
    ),
    Requirement(
        "container.healthcheck",
        "a HEALTHCHECK calls a program that the image has",
        2,
        "Ask `/ready` with Python itself: a slim image has no curl.",
    ),
    Requirement(
        "container.contained",
        "neither the Dockerfile nor a Compose file asks for the host",
        2,
        "No `privileged`, no host network, no host folder or Docker socket as a volume, no `--security=insecure`.",
    ),
    Requirement(
        "container.runs",
        "the image's command starts and answers with what the Dockerfile puts in",
        3,
        "Copy every file that the service reads, and install every package that it imports; listen on 0.0.0.0.",
    ),
)


def _run(harness: Harness) -> None:
    from course_lib import containers
    from course_lib.errors import CourseError

    text = harness.project.text("Dockerfile")
    harness.record("container.contained", *_host_requests(harness, text or ""))
    if text is None:
        raise Unmet("there is no Dockerfile at the project's root")
    try:
        findings = containers.lint(text)
    except CourseError as error:
        raise Unmet(f"the Dockerfile cannot be read: {error.happened}") from error
    others = [finding for finding in findings if finding.rule not in _OWN]
    harness.record("container.policy", not others, "; ".join(str(finding) for finding in others) or "no rule is broken")
    for name, rule in (("container.user", "DESK02"), ("container.healthcheck", "DESK04")):
        broken = [finding for finding in findings if finding.rule == rule]
        harness.record(name, not broken, "; ".join(str(finding) for finding in broken) or _good(rule, text))
    _check_runs(harness, text)


def _good(rule: str, text: str) -> str:
    from course_lib import containers

    return f"USER {containers.user(containers.parse(text))}" if rule == "DESK02" else "a HEALTHCHECK is there"


def _host_requests(harness: Harness, dockerfile: str) -> tuple[bool, str]:
    found = [*_insecure_steps(dockerfile)]
    for name in _COMPOSE:
        if text := harness.project.text(name):
            found += [f"{name}: {what}" for what in _compose_host_access(text)]
    return not found, "; ".join(found) or "nothing of the host is asked for"


def _insecure_steps(dockerfile: str) -> Iterator[str]:
    for number, line in enumerate(dockerfile.splitlines(), 1):
        if re.search(r"--security=insecure|--network=host", line):
            yield f"line {number} of the Dockerfile: {line.strip()[:80]}"
        if re.search(r"--mount=\S*type=bind\S*(source|src)=(/|\.\.)", line) or "docker.sock" in line:
            yield f"line {number} of the Dockerfile mounts the host: {line.strip()[:80]}"


def _compose_host_access(text: str) -> Iterator[str]:
    import yaml

    from course_lib import safe_yaml

    try:
        services = (safe_yaml.load(text) or {}).get("services") or {}
    except (yaml.YAMLError, AttributeError, RecursionError):
        yield "it cannot be read"
        return
    for name, service in services.items() if isinstance(services, dict) else ():
        for key, value in service.items() if isinstance(service, dict) else ():
            if what := _host_access(str(key), value):
                yield f"service {name}: {what}"


def _host_access(key: str, value: Any) -> str:
    if key == "privileged" and value:
        return "privileged"
    if key in ("network_mode", "pid", "ipc", "userns_mode") and value == "host":
        return f"{key}: host"
    if key in ("cap_add", "devices") and value:
        return f"{key}: {value}"
    if key == "volumes" and isinstance(value, list):
        sources = [str(one.get("source", "")) if isinstance(one, dict) else str(one).partition(":")[0] for one in value]
        outside = [source for source in sources if source.startswith(("/", "~", "..", "$"))]
        return f"the host's {', '.join(outside)} as a volume" if outside else ""
    return ""


def _check_runs(harness: Harness, text: str) -> None:
    example = json.loads(harness.project.text(harness.setting("example")) or "null")
    if harness.build:
        files = {**harness.project.visible(()), **harness.trained_files()}
        harness.record("container.runs", *build_and_ask(files, text, _port(text), example))
        return
    _check_planned(harness, text, example)


def _check_planned(harness: Harness, text: str, example: Any) -> None:
    planned = without_local_install(text, harness.project)
    place = harness.fresh(name="image", overlay={**harness.trained_files(), "Dockerfile": planned.encode()})
    number = harness.sandbox.start_tool("image", place, str(_port(text)))
    reply = _first_line(harness, number)
    if "port" not in reply:
        harness.sandbox.stop(number)
        harness.record(
            "container.runs", False, f"plan mode: {reply.get('failed') or 'the command could not be started'}"
        )
        return
    with Server(harness.sandbox, number, int(reply["port"])) as server:
        ready = server.wait_open("/ready", seconds=_START_SECONDS, statuses=[200])
        [answer] = server.ask(post("/predict", example))
    evidence = f"plan mode: /ready {ready}, /predict {answer['status']}"
    right = answer["status"] == 200 and isinstance(json_of(answer), dict)
    harness.record("container.runs", right and ready == 200, evidence)


def without_local_install(dockerfile: str, project: Project) -> str:
    """Return a Dockerfile for plan mode, which reads names only: what `pip install .` would install, and from where."""
    table = project.metadata.get("project", {})

    def named(found: re.Match[str]) -> str:
        extras = [table.get("optional-dependencies", {}).get(name.strip(), []) for name in (found[2] or "").split(",")]
        return found[1] + " ".join(
            f"'{one}'" for one in [*table.get("dependencies", []), *(one for extra in extras for one in extra)]
        )

    planned = _LOCAL_INSTALL.sub(named, dockerfile)
    place = re.findall(r"(?m)^WORKDIR\s+(\S+)", dockerfile)
    if planned == dockerfile or not place or "PYTHONPATH" in dockerfile:
        return planned
    inside = "/src" if any(path.startswith("src/") for path in project.files) else ""
    return f"{planned.rstrip()}\nENV PYTHONPATH={place[-1]}{inside}\n"


def _port(text: str) -> int:
    found = re.search(r"^EXPOSE\s+(\d+)", text, re.M)
    return int(found[1]) if found else 8000


def _first_line(harness: Harness, number: int) -> dict[str, Any]:
    """Return the first JSON line that the tool inside prints, once it is there."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        alive, out = harness.sandbox.alive(number)
        for line in out.splitlines():
            if line.startswith("{"):
                return dict(json.loads(line))
        if not alive:
            break
        time.sleep(0.1)
    return {}


STAGE = Stage("container", REQUIREMENTS, _run, excluded=(".github", "tests"))
