"""Decide which engine this machine can use: a running Docker, a private one, Podman, or plan mode; and say why."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from course_lib.containers.engine.docker import BASE, Engine, docker_client, image_cache
from course_lib.containers.engine.plan_engine import PlanEngine
from course_lib.errors import CourseError, EngineError
from course_lib.processes import wait_until

__all__ = [
    "CHOICE",
    "compose_version",
    "docker_runs",
    "docker_version",
    "may_start",
    "open_engine",
    "podman_version",
    "private_engine",
]

CHOICE = "COURSE_CONTAINERS"  # docker, podman or plan: use this one; anything else: the first that works
_READY_SECONDS = 20.0


class _Absent(CourseError):
    """An engine cannot be used here; the message says why."""


def open_engine(prefer: str | None = None) -> Engine | PlanEngine:
    """Return the first engine that works here, with the course's base image in it.

    Parameters
    ----------
    prefer
        ``docker``, ``podman`` or ``plan``; by default the environment variable ``COURSE_CONTAINERS``, else the first
        that works, in this order.

    Raises
    ------
    EngineError
        ``prefer`` is none of the three.
    """
    wanted = prefer or os.environ.get(CHOICE, "")
    openers: dict[str, Callable[[], Engine]] = {"docker": _docker, "podman": _podman}
    if wanted not in {"", "plan", *openers}:
        raise EngineError(f"There is no engine called {wanted!r}.", expected="docker, podman or plan")
    if wanted == "plan":
        return PlanEngine("plan mode was asked for")
    reasons = []
    for name in [wanted] if wanted else openers:
        try:
            return openers[name]()
        except _Absent as absent:
            reasons.append(f"{name.capitalize()}: {absent.happened}")
    return PlanEngine("; ".join(reasons))


def docker_runs() -> bool:
    """Return whether a Docker engine is running that this user may use."""
    client = docker_client()
    return client is not None and bool(host := _docker_host(client)) and _answers(host)


def may_start(program: str) -> bool:
    """Return whether this user may start an engine of their own."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which(program) is not None


def docker_version() -> str | None:
    """Return the version of the Docker engine that can be used here; ``None`` if there is none."""
    client = docker_client()
    if client and docker_runs():
        command = [*client, "version", "--format", "{{.Server.Version}}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        return done.stdout.strip() or None
    if client and may_start("dockerd"):
        done = subprocess.run(["dockerd", "--version"], capture_output=True, text=True, check=False)
        return done.stdout.split(",")[0].removeprefix("Docker version ").strip() + " (started when needed)"
    return None


def podman_version() -> str | None:
    """Return the version of Podman; ``None`` if it is not installed."""
    if shutil.which("podman") is None:
        return None
    done = subprocess.run(["podman", "--version"], capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.rpartition(" ")[2].strip() or None


def compose_version() -> str | None:
    """Return the version of Compose, as Docker's plugin or as a program; ``None`` if there is neither."""
    for command in ([*(docker_client() or ["docker"]), "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            done = subprocess.run([*command, "version"], capture_output=True, text=True, timeout=20, check=False)
            if done.returncode == 0 and (found := re.search(r"\d+\.\d+\.\d+", done.stdout)):
                return found[0]
    return None


def _docker() -> Engine:
    client = docker_client()
    if client is None:
        raise _Absent("its command line with BuildKit was not found")
    host = _docker_host(client)
    folder = Path(tempfile.mkdtemp(prefix="course-containers-"))
    if host and _answers(host):
        engine = Engine("docker", [*client, "--host", host], host, "it was running already", [], folder)
    elif may_start("dockerd"):
        if not image_cache(BASE).exists():
            folder.rmdir()
            raise _Absent("none is running, and no base image was prepared for a private one: `make engines` does it")
        engine = _private(client, folder)
    else:
        folder.rmdir()
        raise _Absent("no engine is running, and this user may not start one")
    return _with_base(engine)


def private_engine() -> Engine:
    """Start an empty Docker engine of our own and return it; its end, and that of this process, stop it.

    Raises
    ------
    EngineError
        This user may not start one, Docker is not installed, or it does not start.
    """
    client = docker_client()
    if client is None or not may_start("dockerd"):
        raise EngineError("No Docker engine can be started here.", expected="root, and Debian's package docker.io")
    engine = _private(client, Path(tempfile.mkdtemp(prefix="course-containers-")))
    try:
        wait_until(lambda: _answers(engine.host), timeout=_READY_SECONDS, what="the container engine's answer")
    except EngineError:
        engine.close()
        raise
    return engine


def _private(client: list[str], folder: Path) -> Engine:
    host = f"unix://{folder}/docker.sock"
    return Engine("docker", [*client, "--host", host], host, "started for this session", _dockerd(folder), folder)


def _podman() -> Engine:
    if shutil.which("podman") is None:
        raise _Absent("it is not installed")
    folder = Path(tempfile.mkdtemp(prefix="course-containers-"))
    host = f"unix://{folder}/podman.sock"
    client = ["podman", *([] if shutil.which("crun") else ["--runtime", "runc"])]
    client += [] if Path("/run/systemd/system").exists() else ["--cgroup-manager", "cgroupfs"]
    service = [*client, "system", "service", "--time", "0", host]
    return _with_base(Engine("podman", client, host, "its API was started for this session", service, folder))


def _with_base(engine: Engine) -> Engine:
    """Wait until the engine answers and holds the base image."""
    try:
        wait_until(lambda: _answers(engine.host), timeout=_READY_SECONDS, what="the container engine's answer")
        if engine.pull(BASE):
            return engine
        why = f"the base image {BASE} is not here, and its registry was not reached"
    except EngineError:
        log = engine.folder / "engine.log"
        why = "it did not start: " + (log.read_text(errors="replace")[-200:].strip() if log.exists() else "no log")
    engine.close()
    raise _Absent(why)


def _docker_host(client: list[str]) -> str:
    """Return the address that Docker's command line would use: the variable, else its current context."""
    if configured := os.environ.get("DOCKER_HOST"):
        return configured
    command = [*client, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip()


def _answers(host: str) -> bool:
    """Return whether an engine answers there."""
    if host.startswith("unix://"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect(host.removeprefix("unix://"))
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
            return b" 200 " in connection.recv(64)
        return False
    import docker
    import requests

    try:
        client = docker.DockerClient(base_url=host, timeout=5)
    except (docker.errors.DockerException, requests.exceptions.RequestException, ValueError):
        return False
    try:
        return bool(client.ping())
    except (docker.errors.DockerException, requests.exceptions.RequestException):
        return False
    finally:
        client.close()


def _dockerd(folder: Path) -> list[str]:
    """Return the command of a private engine that publishes on loopback only and leaves the firewall alone.

    Without iptables, published ports go through Docker's own proxy, containers of one network reach each other, and
    none reaches the world; builds use the host's network.
    """
    places = ["--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "docker.pid"]
    quiet = ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]
    command = ["dockerd", "--host", f"unix://{folder}/docker.sock", "--ip", "127.0.0.1", *quiet, *places]
    return [str(part) for part in command]
