"""Read a Compose file: who waits for whom, what breaks at start, and which rules of the course it keeps.

Start it with :meth:`course_lib.containers.engine.docker.Engine.compose`; reading it needs no engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from course_lib import safe_yaml
from course_lib.containers.review.policy import Finding
from course_lib.errors import CourseError

__all__ = ["ComposeError", "Service", "lint_compose", "read_compose", "start_order", "start_times"]


class ComposeError(CourseError):
    """A Compose file cannot be read, or its services wait for each other."""


@dataclass(frozen=True)
class Service:
    """One service of a Compose file.

    Attributes
    ----------
    name
        Its name, which is its host name for the others too.
    waits_for
        Condition by service: ``service_started``, ``service_healthy`` or ``service_completed_successfully``.
    healthcheck
        Its test as one line; empty if it has none.
    image, build
        What it runs: a ready image, or the folder it is built from.
    ports
        Published ports as written, such as ``127.0.0.1:8000:8000``.
    environment
        Variables by name.
    volumes
        Mounts as written.
    """

    name: str
    waits_for: Mapping[str, str]
    healthcheck: str
    image: str
    build: str
    ports: tuple[str, ...]
    environment: Mapping[str, str]
    volumes: tuple[str, ...]


def read_compose(text: str) -> dict[str, Service]:
    """Return the services of a Compose file, by name.

    Raises
    ------
    ComposeError
        It is no YAML, has no services, or a service waits for one that does not exist.
    """
    import yaml

    try:
        document = safe_yaml.load(text)
    except yaml.YAMLError as error:
        raise ComposeError(f"The file is no YAML: {error}", next_step="check the indentation") from error
    given = document.get("services") if isinstance(document, dict) else None
    if not isinstance(given, dict) or not given:
        raise ComposeError("The file has no services.", expected="a mapping under the key `services`")
    services = {str(name): _service(str(name), body or {}) for name, body in given.items()}
    for service in services.values():
        if unknown := [name for name in service.waits_for if name not in services]:
            raise ComposeError(f"{service.name} waits for {unknown[0]}, which is not a service of this file.")
    return services


def start_order(text: str) -> tuple[tuple[str, ...], ...]:
    """Return the services in waves: each wave starts when the ones before it are up.

    Raises
    ------
    ComposeError
        The file cannot be read, or services wait for each other.
    """
    order = TopologicalSorter({name: service.waits_for for name, service in read_compose(text).items()})
    try:
        order.prepare()
    except CycleError as error:
        left = ", ".join(sorted(set(error.args[1])))
        raise ComposeError(
            f"These services wait for each other: {left}.", next_step="remove one of the waits"
        ) from None
    waves: list[tuple[str, ...]] = []
    while wave := tuple(sorted(order.get_ready())):
        waves.append(wave)
        order.done(*wave)
    return tuple(waves)


def start_times(text: str, ready_s: Mapping[str, float]) -> dict[str, float]:
    """Return when each service is started, in seconds after ``compose up``.

    Parameters
    ----------
    text
        The Compose file.
    ready_s
        Seconds from a service's start to its first answer, by service; 0 for the others.

    Raises
    ------
    ComposeError
        The file cannot be read, or services wait for each other.
    """
    services = read_compose(text)
    times: dict[str, float] = {}
    for name in (name for wave in start_order(text) for name in wave):
        waits = services[name].waits_for.items()
        times[name] = max(
            (times[o] + (0 if c == "service_started" else ready_s.get(o, 0)) for o, c in waits), default=0.0
        )
    return times


def lint_compose(text: str) -> tuple[Finding, ...]:
    """Return what breaks the course's rules for a Compose file.

    Raises
    ------
    ComposeError
        The file cannot be read.
    """
    services = read_compose(text)
    found = [
        Finding(code, 0, f"{one.name}: {what}") for one in services.values() for code, what in _broken(one, services)
    ]
    return tuple(sorted(found, key=lambda finding: (finding.rule, finding.message)))


def _broken(service: Service, services: Mapping[str, Service]) -> Iterator[tuple[str, str]]:
    for other, condition in service.waits_for.items():
        if condition == "service_started":
            yield "COMP01", f"waits until {other} is started, which says nothing about whether it answers"
        elif condition == "service_healthy" and not services[other].healthcheck:
            yield "COMP02", f"waits until {other} is healthy, but {other} has no healthcheck: it would wait for ever"
    for port in service.ports:
        if not port.startswith(("127.0.0.1:", "localhost:")):
            yield "COMP03", f"port {port!r} is published on every network card of the machine; bind it to 127.0.0.1"
    for name, value in service.environment.items():
        if "://localhost" in value or "://127.0.0.1" in value:
            yield "COMP04", f"{name}={value} points into its own container; another service is reached by its name"
    tag = service.image.rsplit("/", 1)[-1].partition(":")[2]
    if service.image and tag in {"", "latest"} and "@sha256:" not in service.image:
        yield "COMP05", f"image {service.image} is another one every month: pin a tag"
    for program in ("curl", "wget"):
        if program in service.healthcheck.split():
            yield "COMP06", f"the healthcheck calls {program}, which slim images do not have"


def _service(name: str, body: Mapping[str, Any]) -> Service:
    if not isinstance(body, Mapping):
        raise ComposeError(f"Service {name} is not a mapping.", expected="keys such as image, ports, depends_on")
    waits = body.get("depends_on") or {}
    if isinstance(waits, list):
        waits = {str(other): {"condition": "service_started"} for other in waits}
    variables = body.get("environment") or {}
    if isinstance(variables, list):
        variables = dict(str(line).partition("=")[::2] for line in variables)
    build = body.get("build") or ""
    return Service(
        name=name,
        waits_for={str(k): str((v or {}).get("condition", "service_started")) for k, v in waits.items()},
        healthcheck=_test(body.get("healthcheck") or {}),
        image=str(body.get("image") or ""),
        build=str(build.get("context", ".") if isinstance(build, Mapping) else build),
        ports=tuple(_port(port) for port in body.get("ports") or ()),
        environment={str(key): str(value) for key, value in variables.items()},
        volumes=tuple(str(volume) for volume in body.get("volumes") or ()),
    )


def _test(healthcheck: Mapping[str, Any]) -> str:
    if healthcheck.get("disable"):
        return ""
    test = healthcheck.get("test") or ""
    words = test if isinstance(test, list) else ["CMD-SHELL", str(test)] if test else []
    return "" if words[:1] == ["NONE"] else " ".join(str(word) for word in words[1:])


def _port(port: Any) -> str:
    if isinstance(port, Mapping):
        host = f"{port['host_ip']}:" if port.get("host_ip") else ""
        return f"{host}{port.get('published', '')}:{port.get('target', '')}"
    return str(port)
