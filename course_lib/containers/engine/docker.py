"""A container engine, Docker or Podman: it builds, runs, loads and reads images, and cleans up after a session.

:func:`course_lib.containers.open_engine` says which is here and why. All modes have the same methods, so that a
notebook reads the same in each; plan mode (:mod:`course_lib.containers.engine.plan_engine`) predicts a build and runs
its command as a plain process.
"""

from __future__ import annotations

import atexit
import contextlib
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from course_lib.containers import desk
from course_lib.containers.engine import wheel_index
from course_lib.containers.engine.cleanup import LABEL
from course_lib.containers.engine.results import Build, Mode, Step
from course_lib.containers.reading.inspect_image import Archive, read_archive
from course_lib.errors import EngineError

if TYPE_CHECKING:
    import docker

    from course_lib.containers.engine.container import Container

__all__ = ["BASE", "Engine", "image_cache"]

BASE = "python:3.11-slim"
_STEP = re.compile(r"^#(\d+) \[(?:[^\]]*?)(?:stage-\d+ |[\w.-]+ )?\s*\d+/\d+\] (.+)$")
_DONE = re.compile(r"^#(\d+) (CACHED|DONE ([\d.]+)s)")
_PODMAN_STEP = re.compile(r"^(?:\[\d+/\d+\] )?STEP \d+/\d+: (.+)$")


def image_cache(image: str) -> Path:
    """Return where an image is kept as an archive, for machines that reach no registry."""
    from course_lib import data

    return data.cache_dir() / "images" / (re.sub(r"[^\w.-]+", "-", image) + ".tar.gz")


class Engine:
    """A container engine, and everything that one session makes with it.

    Leaving the ``with`` block, or the end of the process in any way, removes the session's containers, networks,
    volumes and images, and stops the engine if the session started it. Images that were there before stay.

    Parameters
    ----------
    mode
        ``docker`` or ``podman``.
    client
        Command line of the engine.
    host
        Address of its API.
    reason
        Why this engine: for the learner.
    daemon
        Command that starts the engine, or nothing if it runs already.
    folder
        Scratch folder of the session.
    """

    real = True

    def __init__(  # noqa: PLR0917 - what defines an engine
        self, mode: Mode, client: Sequence[str], host: str, reason: str, daemon: Sequence[str], folder: Path
    ) -> None:
        self.mode: Mode = mode
        self.reason = reason
        self.session = f"mlops-course-{uuid.uuid4().hex[:10]}"
        self.folder = folder
        self.host = host
        self.client = list(client)
        self._archives: dict[str, Archive] = {}
        self._loading: dict[str, Future[bool]] = {}
        self._index: wheel_index.WheelIndex | None = None
        self._api: docker.DockerClient | None = None
        order = {"client": self.client, "session": self.session, "engine": list(daemon), "folder": str(folder)}
        self._janitor = subprocess.Popen(
            [sys.executable, "-m", "course_lib.containers.engine.cleanup", json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder.parent,
            start_new_session=True,
        )
        atexit.register(self.close)

    @property
    def api(self) -> docker.DockerClient:
        """The Docker SDK's client (Podman speaks the same API)."""
        if self._api is None:
            import docker

            self._api = docker.DockerClient(base_url=self.host, timeout=120)
        return self._api

    @property
    def index_url(self) -> str:
        """Address of the local package index, or ``""`` where images install from pip's own index."""
        wheels = wheel_index.wheel_folder(desk.requirements())
        if self._index is None and wheels.exists() and self._reaches_our_loopback():
            self._index = wheel_index.WheelIndex(wheels)
        return self._index.url if self._index else ""

    def build(
        self,
        folder: Path,
        tag: str,
        *,
        dockerfile: str | None = None,
        secrets: Mapping[str, str] | None = None,
        fresh: bool = False,
    ) -> Build:
        """Build an image.

        Parameters
        ----------
        folder
            The build context.
        tag
            Name for the image; the session's end removes it.
        dockerfile
            Text to use; by default the file ``Dockerfile`` in the folder.
        secrets
            Values for ``RUN --mount=type=secret,id=…``, by id.
        fresh
            Take nothing from the cache.

        Raises
        ------
        EngineError
            The build failed; the end of its log is in the message.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            path = Path(scratch) / "Dockerfile"
            path.write_text(dockerfile if dockerfile is not None else (folder / "Dockerfile").read_text())
            command = [
                *self.client,
                "build",
                "--file",
                str(path),
                "--tag",
                self.name(tag),
                "--label",
                f"{LABEL}={self.session}",
            ]
            for name, value in (secrets or {}).items():
                (Path(scratch) / name).write_text(value)
                command += ["--secret", f"id={name},src={Path(scratch) / name}"]
            command += ["--no-cache"] if fresh else []
            command += ["--network=host"] if self.index_url else []
            command += ["--progress=plain"] if self.mode == "docker" else ["--format=docker", "--layers", *_LIMITS]
            started = time.perf_counter()
            done = self._run([*command, str(folder)], timeout=900)
        seconds = time.perf_counter() - started
        log = done.stderr + done.stdout if self.mode == "docker" else done.stdout + done.stderr
        if done.returncode:
            raise EngineError(
                f"The image {tag} could not be built.",
                expected="a Dockerfile whose steps all succeed",
                next_step="read the end of the log:\n" + "\n".join(log.splitlines()[-15:]),
            )
        image = self.api.images.get(self.name(tag))
        steps = _steps(log) if self.mode == "docker" else _podman_steps(log)
        return Build(self.mode, tag, steps, seconds, int(image.attrs["Size"]), _layers(image.history()), log)

    def run(self, tag: str, *, port: int = 8000, **options: Any) -> Container:
        """Start a container whose ``port`` is published on a free port of the loopback address.

        Parameters
        ----------
        tag
            Image.
        port
            Port inside the container.
        options
            ``environment``, ``user``, ``command``, ``read_only``, ``tmpfs``, ``cap_drop``, ``mem_limit``… as the Docker
            SDK's ``containers.run`` names them.

        Raises
        ------
        EngineError
            The image is unknown, or the container could not be started.
        """
        from course_lib.containers.engine.container import start

        return start(self, tag, port, options)

    def archive(self, tag: str) -> Archive:
        """Return an image's layers and configuration; the files of its base are not read."""
        image = self.api.images.get(self.name(tag))
        name = str(image.id)
        if name in self._archives:
            return self._archives[name]
        path = self.folder / f"{uuid.uuid4().hex}.tar"
        try:
            with path.open("wb") as file:
                file.writelines(image.save(named=True))
            base = len(self.api.images.get(self.name(BASE)).attrs["RootFS"]["Layers"]) if self.has(BASE) else 0
            self._archives[name] = read_archive(path, skip=base)
            return self._archives[name]
        finally:
            path.unlink(missing_ok=True)

    def has(self, image: str) -> bool:
        """Return whether an image is there, loading it from the course's cache if that holds it."""
        import docker

        if image in self._loading:
            self._loading.pop(image).result()
        try:
            self.api.images.get(self.name(image))
        except docker.errors.ImageNotFound:
            return image_cache(image).exists() and self._load(image)
        return True

    def load_ahead(self, *images: str) -> None:
        """Begin to load images from the course's cache in the background; :meth:`has` waits for its image."""
        pool = ThreadPoolExecutor(1)  # one after the other: they share the machine with what goes on meanwhile
        for image in images:
            if image_cache(image).exists() and not self.api.images.list(name=self.name(image)):
                self._loading[image] = pool.submit(self._load, image)
        pool.shutdown(wait=False)

    def name(self, tag: str) -> str:
        """Return the full name of an image: Podman's API looks short ones up under Docker Hub's name only."""
        return f"docker.io/library/{tag}" if self.mode == "podman" and "/" not in tag else tag

    def pull(self, image: str) -> bool:
        """Return whether an image is there, asking its registry for it as the last resort."""
        return self.has(image) or self._run([*self.client, "pull", image], timeout=600).returncode == 0

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the engine's own command line."""
        return self._run([*self.client, *arguments])

    def close(self) -> None:
        """Remove everything the session made, and stop the engine if the session started it."""
        atexit.unregister(self.close)
        for loading in self._loading.values():
            if not loading.cancel():
                loading.result()
        self._loading.clear()
        if self._index is not None:
            self._index.close()
            self._index = None
        if self._api is not None:
            self._api.close()
            self._api = None
        if self._janitor.stdin and not self._janitor.stdin.closed:
            self._janitor.stdin.close()
        self._janitor.wait(timeout=120)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load(self, image: str) -> bool:
        """Load an image from the course's cache, unpacked first: Podman reads no compressed archive."""
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".tar") as plain:
            with gzip.open(image_cache(image)) as packed:
                shutil.copyfileobj(packed, plain)
            plain.flush()
            loaded = self._run([*self.client, "load", "--input", plain.name]).returncode == 0
        if loaded and self.name(image) != image:
            self._run([*self.client, "tag", f"localhost/{image}", self.name(image)])
        return loaded

    def _reaches_our_loopback(self) -> bool:
        """Return whether ``--network=host`` does: not from Docker Desktop's virtual machine, nor rootless Docker's."""
        if sys.platform != "linux" or self.mode == "podman":
            return sys.platform == "linux"
        info = self.api.info()
        rootless = "name=rootless" in (info.get("SecurityOptions") or ())
        return not rootless and "Desktop" not in str(info.get("OperatingSystem", ""))

    def _run(self, command: Sequence[str], *, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=env)


_LIMITS = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=4096:4096")  # the default ones need CAP_SYS_RESOURCE


def _steps(log: str) -> tuple[Step, ...]:
    """Read BuildKit's plain progress: one block of lines per step."""
    texts: dict[str, str] = {}
    ends: dict[str, tuple[bool, float]] = {}
    for line in log.splitlines():
        if found := _STEP.match(line):
            texts.setdefault(found[1], found[2])
        elif found := _DONE.match(line):
            ends[found[1]] = (found[2] == "CACHED", float(found[3] or 0))
    known = [(text, *ends[number]) for number, text in texts.items() if number in ends]
    return tuple(Step(text, cached, seconds) for text, cached, seconds in known if not text.startswith("FROM"))


def _podman_steps(log: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    for line in log.splitlines():
        if found := _PODMAN_STEP.match(line):
            steps.append(Step(found[1], cached=False))
        elif line.startswith("--> Using cache") and steps:
            steps[-1] = Step(steps[-1].text, cached=True)
    return tuple(step for step in steps if not step.text.startswith(("FROM", "LABEL")))


def _layers(history: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, int], ...]:
    """Return text and size of the layers that hold files, base first."""
    rows = [(re.sub(r"\s+", " ", row.get("CreatedBy") or "base image"), int(row["Size"])) for row in reversed(history)]
    clean = [
        (re.sub(r"^(RUN )?/bin/sh -c (#\(nop\) )?", "RUN ", text).removesuffix("# buildkit"), n) for text, n in rows
    ]
    return tuple((text.strip() or "base image", size) for text, size in clean if size)


def docker_client() -> list[str] | None:
    """Return a Docker command line that can use BuildKit; clients from 23 on need the buildx plugin for it."""
    for folder in [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin"]:
        program = shutil.which("docker", path=folder)
        if program is None:
            continue
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            told = subprocess.run(
                [program, "--version"], capture_output=True, text=True, timeout=10, check=False
            ).stdout
            version = re.search(r"(\d+)\.\d+", told)
            if version and int(version[1]) < 23:
                return [program]
            if (
                subprocess.run([program, "buildx", "version"], capture_output=True, timeout=10, check=False).returncode
                == 0
            ):
                return [program]
    return None
