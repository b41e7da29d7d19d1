"""Plan mode: what a build would do, without an engine, and its command run as a plain process.

The layer graph is computed by Docker's rules, sizes are estimated from what is installed here. ``run`` lays out the
files that COPY names in a scratch folder and starts CMD there with this Python, an empty environment, and only the
packages that the Dockerfile installs: what the Dockerfile forgot is missing here too. What plan mode cannot do: run
other RUN steps, change users, or limit anything. It never pretends to.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, Self

from course_lib.containers.engine.results import Build, Mode, Step, Stopped
from course_lib.containers.reading.context import Context
from course_lib.containers.reading.dockerfile import Dockerfile, Instruction, Stage, expand, parse
from course_lib.containers.reading.layers import graph, pairs, sources
from course_lib.containers.reading.sizes import closure, estimate, packages_of, total
from course_lib.errors import EngineError
from course_lib.processes import Server, free_port

__all__ = ["PlanEngine", "Planned"]

_STEPS = frozenset({"ADD", "COPY", "RUN", "WORKDIR"})  # what a builder reports as a step: the rest is settings


class PlanEngine:
    """The engine of machines without one: it plans builds and runs commands as processes."""

    mode: Mode = "plan"
    real = False
    index_url = ""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.folder = Path(tempfile.mkdtemp(prefix="course-plan-"))
        self._built: dict[str, tuple[str, Path]] = {}
        self._keys: set[str] = set()
        self._running: list[Planned] = []
        atexit.register(self.close)

    def build(
        self,
        folder: Path,
        tag: str,
        *,
        dockerfile: str | None = None,
        secrets: Mapping[str, str] | None = None,  # noqa: ARG002 - no RUN step is run, so none needs its secret
        fresh: bool = False,
    ) -> Build:
        """Plan a build; steps planned before with the same cache key count as cached.

        Raises
        ------
        DockerfileError
            The Dockerfile cannot be read, or copies what the context does not have.
        """
        text = dockerfile if dockerfile is not None else (folder / "Dockerfile").read_text()
        layers, sizes = graph(text, folder), estimate(text, folder)
        if fresh:
            self._keys.clear()
        shown = [layer for layer in layers if layer.instruction.name in _STEPS]
        steps = tuple(Step(layer.instruction.text, layer.key in self._keys) for layer in shown)
        self._keys.update(layer.key for layer in layers)
        kept = self.folder / f"image-{len(self._built)}"
        _lay_out(parse(text), folder, kept)
        self._built[tag] = (text, kept)
        return Build(
            self.mode, tag, steps, None, total(sizes), tuple((step.text, step.bytes) for step in sizes if step.bytes)
        )

    def run(self, tag: str, *, port: int = 8000, **options: Any) -> Planned:
        """Run the command of a planned image as a process; limits and users among the options have no effect here.

        Raises
        ------
        EngineError
            The image was not planned, or has no command.
        """
        if tag not in self._built:
            raise EngineError(
                f"There is no image {tag}.", expected="an image that was built", next_step="build it first"
            )
        text, root = self._built[tag]
        planned = Planned(parse(text), root, port, dict(options.get("environment") or {}), options.get("command"))
        self._running.append(planned)
        return planned

    def load_ahead(self, *images: str) -> None:
        """Do nothing: no image is ever needed here."""

    def close(self) -> None:
        """Stop every process and remove the scratch folder."""
        atexit.unregister(self.close)
        for planned in self._running:
            planned.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Planned:
    """The command of an image as a process of this machine, on a free port of the loopback address."""

    mode: Mode = "plan"

    def __init__(
        self, dockerfile: Dockerfile, root: Path, port: int, environment: Mapping[str, str], command: Any = None
    ) -> None:
        here, variables = _place(dockerfile)
        listen = free_port()
        argv = [_local(word, root, port, listen) for word in command or _command(dockerfile)]
        self._env = _environment(root, variables | dict(environment), port, listen)
        self._server = Server(
            "the image's command",
            ["env", "-i", *(f"{k}={v}" for k, v in self._env.items()), *argv],
            port=listen,
            cwd=_inside(root, here),
        )
        self._server.start()
        self.url = self._server.url

    def wait_ready(self, path: str = "/ready", *, timeout: float = 60.0) -> Self:
        """Wait until a GET of ``path`` is answered with a status below 400."""
        self._server.ready_path, self._server.timeout = path, timeout
        self._server.wait_ready()
        return self

    def health(self) -> str:
        """Return ``none``: nobody runs health checks in plan mode."""
        return "none"

    def execute(self, *command: str) -> tuple[int, str]:
        """Refuse: there is no container to run a command in."""
        raise EngineError(
            f"Plan mode has no container to run {command[:1]} in.",
            expected="Docker or Podman",
            next_step="see `engine.reason`",
        )

    def logs(self) -> str:
        """Return what the process printed."""
        return self._server.log(lines=200)

    def stop(self, *, grace: int = 10) -> Stopped:
        """Send SIGTERM to process 1, after ``grace`` seconds SIGKILL, and return how it ended."""
        import psutil

        process = psutil.Process(self._server.pid)
        started = time.perf_counter()
        os.kill(process.pid, signal.SIGTERM)
        code = None
        with contextlib.suppress(psutil.TimeoutExpired):
            code = process.wait(timeout=grace)
        seconds = time.perf_counter() - started
        self._server.stop(grace=0.1)
        return Stopped(round(seconds, 2), 137 if code is None else 128 - code if code < 0 else int(code))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=2.0)


def _lay_out(dockerfile: Dockerfile, folder: Path, root: Path) -> None:
    """Write the files that COPY puts into the image, the packages that it installs, and a ``python`` to run them."""
    context = Context.of(folder)
    copied: dict[int, Path] = {}
    packages: set[str] = set()
    for stage in dockerfile.stages:
        copied[stage.index] = root.with_name(f"{root.name}-{stage.index}") if stage != dockerfile.final else root
        target = copied[stage.index]
        target.mkdir(parents=True)
        parent = dockerfile.stage(stage.base)
        if parent and parent.index in copied:
            shutil.copytree(copied[parent.index], target, dirs_exist_ok=True, symlinks=True)
        here = "/"
        for instruction in stage.instructions:
            if instruction.name == "WORKDIR":
                here = str(PurePosixPath(here) / instruction.value)
                _inside(target, here).mkdir(parents=True, exist_ok=True)
            elif instruction.name in {"COPY", "ADD"}:
                _copy(instruction, dockerfile, context, folder, copied, target, here)
            elif instruction.name == "RUN":
                packages.update(packages_of(instruction, context))
    _link_packages(root / ".plan", closure(packages))


def _copy(  # noqa: PLR0917 - what one COPY line needs
    instruction: Instruction,
    dockerfile: Dockerfile,
    context: Context,
    folder: Path,
    copied: Mapping[int, Path],
    root: Path,
    here: str,
) -> None:
    given, target = sources(instruction)
    place = str(PurePosixPath(here) / target)
    if reference := instruction.flag("from"):
        stage = dockerfile.stage(reference)
        for source in given:
            origin = _inside(copied[stage.index], source) if stage else root / ".missing"
            if origin.is_dir():
                shutil.copytree(origin, _inside(root, place), dirs_exist_ok=True, symlinks=True)
        return
    for source in given:
        top = source.rstrip("/").removeprefix("./")
        is_folder = top in {"", "."} or (folder / top).is_dir()
        for path in context.select(source):
            name = path if top in {"", "."} else path[len(top) + 1 :] if is_folder else Path(path).name
            into = is_folder or target.endswith("/") or len(given) > 1 or _inside(root, place).is_dir() or target == "."
            end = _inside(root, place) / name if into else _inside(root, place)
            end.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / path, end)


def _link_packages(home: Path, names: tuple[str, ...]) -> None:
    """Link installed packages into a folder of their own, with their console scripts."""
    site, programs = home / "site", home / "bin"
    site.mkdir(parents=True)
    programs.mkdir()
    for name in names:
        files = metadata.files(name) or []
        for top in {file.parts[0] for file in files if file.parts[0] not in {"..", "__pycache__"}}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(files[0].locate())).parents[len(files[0].parts) - 1] / top)
        for script in metadata.distribution(name).entry_points.select(group="console_scripts"):
            module, _, function = script.value.partition(":")
            code = f"import sys; from {module} import {function}; sys.argv[0] = '{script.name}'; sys.exit({function}())"
            _program(programs / script.name, f'{sys.executable} -S -c "{code}"')
    for name in ("python", "python3"):
        _program(programs / name, f"{sys.executable} -S")


def _program(path: Path, command: str) -> None:
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)


def _place(dockerfile: Dockerfile) -> tuple[str, dict[str, str]]:
    """Return the working folder and the variables at the end of the final stage."""
    here = "/"
    variables: dict[str, str] = {}
    for stage in dockerfile.lineage(dockerfile.final):
        for instruction in stage.instructions:
            if instruction.name == "WORKDIR":
                here = str(PurePosixPath(here) / expand(instruction.value, variables))
            elif instruction.name == "ENV":
                variables.update((name, expand(value, variables)) for name, value in pairs(instruction))
    return here, variables


def _command(dockerfile: Dockerfile) -> list[str]:
    """Return the words that the engine would start: ENTRYPOINT and CMD, a shell around the shell form."""
    words: list[str] = []
    for name in ("ENTRYPOINT", "CMD"):
        if found := _last(dockerfile.lineage(dockerfile.final), name):
            words += found.argv if found.argv is not None else ("/bin/sh", "-c", found.value)
    if not words:
        raise EngineError("The image has no command.", expected="CMD in the final stage", next_step="add one")
    return words


def _last(stages: tuple[Stage, ...], name: str) -> Instruction | None:
    return next((found for stage in reversed(stages) if (found := stage.last(name))), None)


def _environment(root: Path, variables: Mapping[str, str], port: int, listen: int) -> dict[str, str]:
    own = {name: _local(value, root, port, listen) for name, value in variables.items() if name != "PATH"}
    site = os.pathsep.join(part for part in (own.pop("PYTHONPATH", ""), str(root / ".plan" / "site")) if part)
    path = os.pathsep.join([str(root / ".plan" / "bin"), "/usr/bin", "/bin"])
    return {"PATH": path, "PYTHONPATH": site, "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(root), **own}


def _local(word: str, root: Path, port: int, listen: int) -> str:
    """Return a word of the command as it must be outside a container: loopback, a free port, files under ``root``."""
    word = word.replace("0.0.0.0", "127.0.0.1").replace(str(port), str(listen))  # noqa: S104 - it is taken out
    if word.startswith("/") and not word.startswith(("/bin/", "/usr/bin/")):
        named = _inside(root, word)
        return str(named) if named.exists() else str(root / ".plan" / "bin" / Path(word).name)
    return word


def _inside(root: Path, path: str) -> Path:
    return root / path.lstrip("/")
