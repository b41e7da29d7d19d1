"""Test harness of a project being graded: its sandbox, environment and trained state, and the results so far."""

from __future__ import annotations

import contextlib
import json
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import PurePosixPath
from typing import Any

from autograder.projects.model import RequirementResult, Unmet, Untried
from autograder.projects.sandbox import ENVIRONMENT, WORK, CompletedCommand, ProjectSandbox
from autograder.projects.submission import Project, products

__all__ = ["INPUTS", "NOT_CODE", "TIMEOUTS", "Harness", "Server", "StageCache", "Timeouts", "json_of"]

NOT_CODE = (".github", ".dockerignore", "Dockerfile", "compose.yaml", "docker-compose.yml", "README.md", "tests")
INPUTS = f"{WORK}/given"


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Timeouts in seconds after which a step is ended: they are for a slow machine, no measure of a project."""

    install: float = 120.0
    train: float = 240.0
    answer: float = 90.0  # until a service that was started answers
    test: float = 180.0
    stop: float = 10.0


TIMEOUTS = Timeouts()


@dataclass
class StageCache:
    """Stage cache of gradings of nearly the same project: a stage whose files are the same is not run again.

    A stage is given only the files that it may depend on, so the same files give the same results.
    """

    results: dict[str, dict[str, RequirementResult]] = field(default_factory=dict)
    trained: dict[str, tuple[list[CompletedCommand], dict[str, bytes]]] = field(default_factory=dict)


class Harness:
    """Test harness: what the stages of one grading share."""

    def __init__(
        self,
        project: Project,
        sandbox: ProjectSandbox,
        cache: StageCache,
        *,
        inputs: Mapping[str, bytes] | None = None,
        timeouts: Timeouts = TIMEOUTS,
        build: bool = False,
    ) -> None:
        self.project = project
        self.sandbox = sandbox
        self.cache = cache
        self.timeouts = timeouts
        self.build = build
        self.results: dict[str, RequirementResult] = {}
        self.inputs = inputs or {}
        self.blind: tuple[str, ...] = ()  # what the stage that runs is not given
        self._number = 0
        self._installed: CompletedCommand | None = None

    # results ----------------------------------------------------------------------------------------------------
    def record(self, requirement: str, passed: bool, evidence: str, measured: str = "") -> bool:
        """Record the result of a requirement, and return whether it is met."""
        self.results[requirement] = RequirementResult(requirement, bool(passed), evidence, measured)
        return bool(passed)

    @contextlib.contextmanager
    def failing(self, requirement: str) -> Iterator[None]:
        """Record a requirement as not met where the block raises :class:`Unmet`, and let the stage go on."""
        try:
            yield
        except Unmet as unmet:
            self.record(requirement, False, str(unmet))

    # places ------------------------------------------------------------------------------------------------------
    def fresh(self, *, name: str = "project", overlay: Mapping[str, bytes] | None = None) -> str:
        """Write the files that the stage may see into a new folder of the sandbox, and return it."""
        self._number += 1
        place = f"{WORK}/{self._number}/{name}"
        self.sandbox.put({**self.project.visible(self.blind), **(overlay or {})}, place)
        self.sandbox.put(self.inputs, INPUTS)
        return place

    def setting(self, key: str) -> str:
        """Return a setting as text."""
        return str(self.project.settings[key])

    # states ------------------------------------------------------------------------------------------------------
    def installed(self) -> CompletedCommand:
        """Install the project into a fresh environment, once; return how that went.

        The environment is layered on the course's: its packages can be imported, and nothing can be downloaded.
        """
        if self._installed is None:
            self._installed = self._install()
        return self._installed

    def _install(self) -> CompletedCommand:
        place = f"{WORK}/source"
        self.sandbox.put({**self.project.visible(NOT_CODE), **_readme(self.project)}, place)
        made = self.sandbox.run(
            [sys.executable, "-m", "venv", "--without-pip", ENVIRONMENT], cwd=WORK, seconds=self.timeouts.install
        )
        if not made.ok:
            return made
        site, version = sysconfig.get_path("purelib"), f"{sys.version_info.major}.{sys.version_info.minor}"
        self.sandbox.put({"course.pth": site.encode()}, f"{ENVIRONMENT}/lib/python{version}/site-packages")
        self.sandbox.put(_programs(self.project), f"{ENVIRONMENT}/bin", programs=True)
        pip = [sys.executable, "-m", "pip", "--python", f"{ENVIRONMENT}/bin/python", "install", "--quiet"]
        offline = ["--no-index", "--no-deps", "--no-build-isolation", "--no-cache-dir", "--editable", place]
        return self.sandbox.run([*pip, *offline], cwd=WORK, seconds=self.timeouts.install)

    def require_installed(self) -> None:
        """Raise :class:`Unmet` unless the project could be installed."""
        done = self.installed()
        if not done.ok:
            raise Untried(f"the project could not be installed: {done.description()} (see install.installs)")

    def imports_from(self, place: str) -> dict[str, str]:
        """Return the variables with which the package is imported from ``place``: that copy, and no other."""
        inside = "src" if any(path.startswith("src/") for path in self.project.files) else "."
        return {"PYTHONPATH": f"{place}/{inside}".removesuffix("/.")}

    def trained(self, *, times: int = 1) -> tuple[list[CompletedCommand], dict[str, bytes]]:
        """Train at least ``times`` times in one folder; return how it went, and the files that each training left.

        What training makes is taken away first, so that nothing that was handed in passes as trained.
        """
        for number in (1, 2):
            key = f"{number} {self.project.digest(NOT_CODE)}"
            if number >= times and key in self.cache.trained:
                return self.cache.trained[key]
        self.cache.trained[f"{times} {self.project.digest(NOT_CODE)}"] = self._train(times)
        return self.trained(times=times)

    def _train(self, times: int) -> tuple[list[CompletedCommand], dict[str, bytes]]:
        self.require_installed()
        before, self.blind = self.blind, NOT_CODE
        place = self.fresh()
        self.blind = before
        runs: list[CompletedCommand] = []
        kept: dict[str, bytes] = {}
        for path in self.products:
            self.sandbox.remove(f"{place}/{path}")
        for number in range(times):
            env = {**self.imports_from(place), "PYTHONHASHSEED": str(number + 1)}
            runs.append(
                self.sandbox.run(
                    self.project.command("train", **self._places), cwd=place, seconds=self.timeouts.train, env=env
                )
            )
            if not runs[-1].ok:
                break
            kept |= {f"{number}:{path}": data for path, data in self._made(place).items()}
        return runs, kept

    @property
    def _places(self) -> dict[str, str]:
        """What placeholders in commands stand for: the grader's own files, by their name without its ending."""
        return {PurePosixPath(name).stem: f"{INPUTS}/{name}" for name in self.inputs}

    @property
    def products(self) -> tuple[str, ...]:
        """Files and folders that training makes."""
        return products(self.project.settings)

    def _made(self, place: str) -> dict[str, bytes]:
        """Return the files that were not handed in, or have changed, without Python's caches."""
        found = {}
        for path, size in self.sandbox.files(place).items():
            if "__pycache__" in path or size > 32 << 20:
                continue
            data = self.sandbox.get(f"{place}/{path}")
            if data is not None and self.project.files.get(path) != data:
                found[path] = data
        return found

    def trained_files(self, number: int = 0) -> dict[str, bytes]:
        """Return the files that the training of that number left.

        Raises
        ------
        Unmet
            Training failed.
        """
        runs, kept = self.trained()
        if not all(run.ok for run in runs):
            raise Untried(f"training failed: {runs[-1].description()} (see train.runs)")
        prefix = f"{number}:"
        return {path.removeprefix(prefix): data for path, data in kept.items() if path.startswith(prefix)}

    def trained_model(self, number: int = 0) -> bytes:
        """Return the model's file that the training of that number made.

        Raises
        ------
        Unmet
            Training failed, or made no such file.
        """
        path = self.setting("model")
        made = self.trained_files(number).get(path)
        if made is None:
            raise Untried(f"training made no `{path}` (see train.runs)")
        return made

    # servers -----------------------------------------------------------------------------------------------------
    def serve(
        self,
        place: str,
        ready: str,
        *,
        statuses: Iterable[int] = (),
        env: Mapping[str, str] | None = None,
        port: int = 0,
        **values: object,
    ) -> Server:
        """Start the service from ``place`` and wait until ``ready`` is answered."""
        port = port or self.sandbox.free_ports()[0]
        command = self.project.command("serve", port=port, **self._places, **values)
        number = self.sandbox.start(command, cwd=place, env={**self.imports_from(place), **(env or {})})
        server = Server(self.sandbox, number, port, grace=self.timeouts.stop)
        seconds = self.timeouts.answer
        reply = self.sandbox.probe(
            "wait_open", within=seconds + 10, port=port, path=ready, seconds=seconds, statuses=list(statuses)
        )
        server.first = reply.get("answer", {"status": 0})
        return server


@dataclass
class Server:
    """A running service of the project; leaving the block stops it."""

    sandbox: ProjectSandbox
    number: int
    port: int
    grace: float = 10.0
    first: dict[str, Any] = field(default_factory=dict)
    stopped: dict[str, Any] | None = None

    def ask(self, *requests: Mapping[str, Any], timeout: float = 20.0) -> list[dict[str, Any]]:
        """Send requests and return the answers."""
        return self.sandbox.ask(self.port, *requests, timeout=timeout)

    def get(self, path: str) -> dict[str, Any]:
        """Return the answer to a GET."""
        return self.ask({"path": path})[0]

    def post(self, path: str, body: Any) -> dict[str, Any]:
        """Return the answer to a POST of JSON."""
        return self.ask({"method": "POST", "path": path, "json": body})[0]

    def require_answer(self) -> None:
        """Raise :class:`Unmet` with the end of its log unless it answered when it was started."""
        if not self.first["status"]:
            printed = [line for line in self.sandbox.alive(self.number)[1].splitlines() if line.strip()]
            raise Untried(f"the service did not answer: {printed[-1][:200] if printed else 'it printed nothing'}")

    def stop(self) -> dict[str, Any]:
        """Stop it and return how that went."""
        if self.stopped is None:
            self.stopped = self.sandbox.stop(self.number, grace=self.grace)
        return self.stopped

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.sandbox.ended:
            self.stop()


def _programs(project: Project) -> dict[str, bytes]:
    """Return the programs of the packages that the project declares, as pip would have made them in its environment."""
    found = {}
    for name in ("pip", *project.declared()):
        with contextlib.suppress(metadata.PackageNotFoundError):
            for entry in metadata.distribution(name).entry_points.select(group="console_scripts"):
                module, _, function = entry.value.partition(" ")[0].partition(":")
                lines = [f"#!{ENVIRONMENT}/bin/python", "import sys", f"from {module} import {function.split('.')[0]}"]
                found[entry.name] = "\n".join([*lines, f"sys.exit({function}())", ""]).encode()
    return found


def _readme(project: Project) -> dict[str, bytes]:
    """Return the README, which a package's metadata may name."""
    return {"README.md": project.files["README.md"]} if "README.md" in project.files else {}


def json_of(answer: Mapping[str, Any]) -> Any:
    """Return the JSON of an answer, ``None`` if it is none."""
    try:
        return json.loads(answer["text"])
    except (ValueError, RecursionError):
        return None
