"""Test harness of a project being graded: its sandbox, environment and trained state, and the results so far."""

from __future__ import annotations

import contextlib
import json
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from importlib import metadata
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from autograder.projects.model import RequirementResult, Unmet, Untried
from autograder.projects.sandbox import ENVIRONMENT, WORK, CompletedCommand, ProjectSandbox
from autograder.projects.submission import Project, products
from autograder.text import visible

__all__ = ["INPUTS", "NOT_CODE", "TIMEOUTS", "Harness", "Server", "StageCache", "Timeouts", "dig", "json_of", "post"]

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


class Training(NamedTuple):
    """One training: how it went, and the files that it left."""

    done: CompletedCommand
    files: dict[str, bytes]


@dataclass
class StageCache:
    """Stage cache of gradings of nearly the same project: a stage whose files are the same is not run again.

    A stage is given only the files that it may depend on, so the same files give the same results.
    """

    results: dict[str, dict[str, RequirementResult]] = field(default_factory=dict)
    trained: dict[str, list[Training]] = field(default_factory=dict)


@dataclass(eq=False)
class Harness:
    """Test harness: what the stages of one grading share."""

    project: Project
    sandbox: ProjectSandbox
    cache: StageCache
    _: KW_ONLY
    inputs: Mapping[str, bytes] = field(default_factory=dict)
    timeouts: Timeouts = TIMEOUTS
    build: bool = False
    results: dict[str, RequirementResult] = field(default_factory=dict, init=False)
    excluded: tuple[str, ...] = field(default=(), init=False)  # what the stage that runs is not given
    _number: int = field(default=0, init=False)
    _installed: CompletedCommand | None = field(default=None, init=False)

    # results ----------------------------------------------------------------------------------------------------
    def record(self, requirement: str, passed: bool, evidence: str, measured: str = "") -> bool:
        """Record the result of a requirement, and return whether it is met."""
        self.results[requirement] = RequirementResult(requirement, bool(passed), visible(evidence), visible(measured))
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
        self.sandbox.put({**self.project.visible(self.excluded), **(overlay or {})}, place)
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
        readme = {path: data for path, data in self.project.files.items() if path == "README.md"}  # metadata name it
        self.sandbox.put({**self.project.visible(NOT_CODE), **readme}, place)
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

    def run(
        self, name: str, place: str, *, seconds: float, env: Mapping[str, str] | None = None, **values: object
    ) -> CompletedCommand:
        """Run a command of the settings in ``place`` until it ends, at most ``seconds``."""
        command = self.project.command(name, **self._places, **values)
        env = {**self._import_environment(place), **(env or {})}
        return self.sandbox.run(command, cwd=place, seconds=seconds, env=env)

    def _import_environment(self, place: str) -> dict[str, str]:
        """Return the variables with which the package is imported from ``place``: that copy, and no other."""
        inside = "src" if any(path.startswith("src/") for path in self.project.files) else "."
        return {"PYTHONPATH": f"{place}/{inside}".removesuffix("/.")}

    def trained(self, *, times: int = 1) -> list[Training]:
        """Train at least ``times`` times in one folder; fewer only where one failed, which is the last then.

        What training makes is taken away first, so that nothing that was handed in passes as trained.
        """
        for number in (1, 2):
            key = f"{number} {self.project.digest(NOT_CODE)}"
            if number >= times and key in self.cache.trained:
                return self.cache.trained[key]
        self.cache.trained[f"{times} {self.project.digest(NOT_CODE)}"] = self._train(times)
        return self.trained(times=times)

    def _train(self, times: int) -> list[Training]:
        self.require_installed()
        before, self.excluded = self.excluded, NOT_CODE
        place = self.fresh()
        self.excluded = before
        trainings: list[Training] = []
        for path in products(self.project.settings):
            self.sandbox.remove(f"{place}/{path}")
        while len(trainings) < times and all(training.done.ok for training in trainings):
            seed = {"PYTHONHASHSEED": str(len(trainings) + 1)}
            done = self.run("train", place, seconds=self.timeouts.train, env=seed)
            trainings.append(Training(done, self._new_files(place) if done.ok else {}))
        return trainings

    @property
    def _places(self) -> dict[str, str]:
        """What placeholders in commands stand for: the grader's own files, by their name without its ending."""
        return {PurePosixPath(name).stem: f"{INPUTS}/{name}" for name in self.inputs}

    def _new_files(self, place: str) -> dict[str, bytes]:
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
        trainings = self.trained()
        if not trainings[-1].done.ok:
            raise Untried(f"training failed: {trainings[-1].done.description()} (see train.runs)")
        return trainings[number].files

    def trained_model(self) -> bytes:
        """Return the model's file that the first training made.

        Raises
        ------
        Unmet
            Training failed, or made no such file.
        """
        path = self.setting("model")
        made = self.trained_files().get(path)
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
        port = port or self.sandbox.free_port()
        command = self.project.command("serve", port=port, **self._places, **values)
        number = self.sandbox.start(command, cwd=place, env={**self._import_environment(place), **(env or {})})
        server = Server(self.sandbox, number, port, grace=self.timeouts.stop)
        server.wait_open(ready, seconds=self.timeouts.answer, statuses=statuses)
        return server

    def record_stop(self, requirement: str, server: Server) -> None:
        """Stop a service, and record whether it ended by itself on SIGTERM."""
        reply = server.stop()
        overdue = f"it did not end within {server.grace:.0f} s"
        ending = "it had ended before" if reply["ended_before"] else overdue if reply["forced"] else "it ended"
        self.record(requirement, ending == "it ended", f"SIGTERM: {ending}", f"{reply['seconds']:.2f} s")


@dataclass
class Server:
    """A running service of the project; leaving the block stops it."""

    sandbox: ProjectSandbox
    number: int
    port: int
    grace: float = 10.0
    first: dict[str, Any] = field(default_factory=dict)
    stopped: dict[str, Any] | None = None

    def wait_open(self, path: str, *, seconds: float, statuses: Iterable[int] = ()) -> int:
        """Wait until a GET of ``path`` is answered, if possible with one of ``statuses``; return the status."""
        reply = self.sandbox.probe(
            "wait_open", within=seconds + 10, port=self.port, path=path, seconds=seconds, statuses=list(statuses)
        )
        self.first = reply.get("answer", {"status": 0})
        return int(self.first["status"])

    def ask(self, *requests: Mapping[str, Any], timeout: float = 20.0, stream: bool = False) -> list[dict[str, Any]]:
        """Send requests one after the other and return the answers."""
        within = timeout * len(requests) + 10
        reply = self.sandbox.probe(
            "ask", within=within, port=self.port, requests=list(requests), timeout=timeout, stream=stream
        )
        lost = {"status": 0, "text": reply.get("failed", ""), "type": "", "lines": [], "seconds": 0.0}
        return list(reply.get("answers") or [lost for _ in requests])

    def get(self, path: str) -> dict[str, Any]:
        """Return the answer to a GET."""
        return self.ask({"path": path})[0]

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


def post(path: str, body: Any) -> dict[str, Any]:
    """Return a POST of JSON, as a request to :meth:`Server.ask`."""
    return {"method": "POST", "path": path, "json": body}


def json_of(answer: Mapping[str, Any]) -> Any:
    """Return the JSON of an answer, ``None`` if it is none."""
    try:
        return json.loads(answer["text"])
    except (ValueError, RecursionError):
        return None


def dig(value: Any, *path: str | int) -> Any:
    """Return what stands in JSON at a path of keys and places, ``None`` where nothing does.

    Examples
    --------
    >>> dig({"data": [{"id": "a"}]}, "data", 0, "id"), dig({"data": []}, "data", 0, "id")
    ('a', None)
    """
    for key in path:
        try:
            value = value[key]
        except (KeyError, TypeError, IndexError):
            return None
    return value
