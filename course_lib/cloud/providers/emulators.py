"""Emulators of the three clouds on this machine, each started at first use and stopped with the notebook.

AWS is answered by moto's server, Google Cloud Storage by gcp-storage-emulator, Azure Blob Storage by Microsoft's own
Azurite. Azurite needs Node.js; where it is missing, a small stand-in of the course speaks the part of the protocol that
the course uses (:mod:`course_lib.cloud.providers.fake_blob`).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from course_lib.cloud.errors import CloudError
from course_lib.processes import Server, free_port

if TYPE_CHECKING:
    from course_lib.cloud.providers.credentials import Provider

__all__ = ["PAGE", "Emulators", "azurite_program", "azurite_version"]

PAGE = 20  # objects in one page of S3's list; the real one gives 1,000, and nobody's notebook would notice


class Emulators:
    """The three emulators; a ``with`` block or :meth:`close` stops those that were started.

    Parameters
    ----------
    azurite
        Use Azurite if it is here; ``False`` always uses the stand-in.
    seed
        Decides which calls of an endpoint go to which variant.

    Examples
    --------
    >>> with Emulators() as here:  # doctest: +SKIP
    ...     aws.client("s3", here.aws).list_buckets()
    """

    def __init__(self, *, azurite: bool = True, seed: int = 0) -> None:
        self._azurite = azurite and azurite_program() is not None
        self._seed = seed
        self._router: Server | None = None
        self._servers: dict[Provider, Server] = {}

    @property
    def aws(self) -> str:
        """URL of AWS's emulator."""
        return self._url("aws")

    @property
    def azure(self) -> str:
        """URL of Azure's emulator."""
        return self._url("azure")

    @property
    def gcp(self) -> str:
        """URL of Google Cloud Storage's emulator."""
        return self._url("gcp")

    @property
    def runtime(self) -> str:
        """URL of SageMaker Runtime: the router to real servers, see :mod:`course_lib.cloud.sagemaker.endpoints`."""
        if self._router is None or not self._router.running:
            from course_lib.cloud.sagemaker import endpoints

            self._router = endpoints.start(self.aws, seed=self._seed)
        return self._router.wait_ready().url

    @property
    def urls(self) -> dict[str, str]:
        """The three URLs by the scheme of a storage address: ``s3``, ``az``, ``gs``."""
        return {"s3": self.aws, "az": self.azure, "gs": self.gcp}

    @property
    def azure_engine(self) -> str:
        """Who answers for Azure here."""
        return f"Azurite {azurite_version()}" if self._azurite else "the course's stand-in (no Azurite here)"

    @property
    def running(self) -> tuple[str, ...]:
        """Providers whose emulator runs now."""
        return tuple(provider for provider, server in self._servers.items() if server.running)

    @contextmanager
    def enforcing(self) -> Iterator[None]:
        """Let AWS's emulator check signatures and policies inside the block: then dummy keys are refused."""
        self._enforce("0")
        try:
            yield
        finally:
            self._enforce("inf")

    def _enforce(self, after: str) -> None:
        kind = {"Content-Type": "text/plain"}  # moto takes a form's fields out of the body
        request = urllib.request.Request(f"{self.aws}/moto-api/reset-auth", after.encode(), kind)  # noqa: S310
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as reply:
            reply.read()

    def start(self) -> Self:
        """Start all three side by side, without waiting; the first use of each waits until it answers."""
        for provider in ("aws", "azure", "gcp"):
            self._started(provider)
        return self

    def close(self) -> None:
        """Stop what runs; what was stored is gone."""
        for server in [*([self._router] if self._router else []), *self._servers.values()]:
            server.stop()
        self._servers.clear()
        self._router = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _url(self, provider: Provider) -> str:
        server = self._started(provider)
        if not server.running:
            raise CloudError(
                f"{server.name} has stopped.",
                expected="a running emulator",
                next_step=f"make new `Emulators()`; the end of its log:\n{server.log()}",
            )
        return server.wait_ready().url

    def _started(self, provider: Provider) -> Server:
        if provider not in self._servers:
            self._servers[provider] = _server(provider, azurite=self._azurite).start()
        return self._servers[provider]


def _server(provider: Provider, *, azurite: bool) -> Server:
    port = free_port()
    here = ["127.0.0.1", str(port)]
    if provider == "aws":
        command = [sys.executable, "-m", "moto.server", "-H", here[0], "-p", here[1]]
        env = {"MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE), "MOTO_PORT": here[1]}
        return Server("moto", command, port=port, ready_path=None, env=env, timeout=90)
    if provider == "gcp":
        command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--in-memory", "--host", here[0]]
        return Server("the GCS emulator", [*command, "--port", here[1]], port=port, ready_path=None, timeout=90)
    program = azurite_program() if azurite else None
    if program is None:
        command = [sys.executable, "-m", "course_lib.cloud.providers.fake_blob", here[1]]
        return Server("the stand-in for Azure Blob", command, port=port, ready_path=None, timeout=90)
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    command = [*program, "--blobHost", here[0], "--blobPort", here[1], *options]
    return Server("Azurite", command, port=port, ready_path=None, timeout=90)


def azurite_program() -> list[str] | None:
    """Return the command of Azurite's blob server: of ``$COURSE_AZURITE``, or where `make engines` puts it."""
    node = shutil.which("node")
    program = _azurite_folder() / "dist" / "src" / "blob" / "main.js"
    return [node, str(program)] if node and program.is_file() else None


def azurite_version() -> str | None:
    """Return Azurite's version; ``None`` where it or Node.js is missing."""
    if azurite_program() is None:
        return None
    return str(json.loads((_azurite_folder() / "package.json").read_text())["version"])


def _azurite_folder() -> Path:
    return Path(os.environ.get("COURSE_AZURITE", "/opt/mlops-course/node_modules/azurite"))
