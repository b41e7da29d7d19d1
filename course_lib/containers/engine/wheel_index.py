"""A package index on the loopback address, so that an image build needs no network.

The few wheels that the service needs are downloaded once, by ``make engines``, for the Python and the processor of the
container. During a build a small server offers them by the simple API that pip speaks (PEP 503).
"""

from __future__ import annotations

import hashlib
import html
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from course_lib import data
from course_lib.errors import EngineError

__all__ = ["PYTHON", "WheelIndex", "download_wheels", "wheel_folder"]

PYTHON = "3.11"  # the Python of the course's base image
_GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")


def wheel_folder(requirements: Sequence[str]) -> Path:
    """Return where the wheels for ``requirements`` are kept; the folder exists once they were downloaded."""
    key = hashlib.sha256("\n".join([PYTHON, _machine(), *sorted(requirements)]).encode()).hexdigest()[:16]
    return data.cache_dir() / "wheels" / key


def download_wheels(requirements: Sequence[str]) -> Path:
    """Download the wheels of ``requirements`` and all they need, once, and return their folder.

    Parameters
    ----------
    requirements
        Pinned requirements, such as ``numpy==2.4.6``.

    Raises
    ------
    EngineError
        pip failed: there is no network, or a package has no wheel for the container.
    """
    folder = wheel_folder(requirements)
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".loading-") as scratch:
        platforms = [part for tag in _GLIBC for part in ("--platform", f"{tag}_{_machine()}")]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--dest", scratch]
        done = subprocess.run(
            [*command, "--python-version", PYTHON, "--implementation", "cp", *platforms, *requirements],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise EngineError(
                f"The wheels for the image could not be downloaded: {done.stderr.strip()[-600:]}",
                expected="a connection to the package index, once, when the course is set up",
                next_step="connect and run `make engines` again",
            )
        if not folder.exists():
            shutil.copytree(scratch, folder)
    return folder


class WheelIndex:
    """A package index over a folder of wheels, on the loopback address, in a thread of this process.

    Parameters
    ----------
    folder
        The wheels.

    Examples
    --------
    >>> with WheelIndex(folder) as index:  # doctest: +SKIP
    ...     subprocess.run(["pip", "install", "--index-url", index.url, "numpy"])
    """

    def __init__(self, folder: Path) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(folder))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="wheel-index", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Value for pip's ``--index-url``."""
        return f"http://127.0.0.1:{self._server.server_port}/simple"

    def close(self) -> None:
        """Stop the server and free its port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _machine() -> str:
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine())


def _handler(folder: Path) -> type[BaseHTTPRequestHandler]:
    wheels = {path.name: path for path in folder.glob("*.whl")}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            project = re.fullmatch(r"/simple/([^/]+)/", self.path)
            wheel = wheels.get(self.path.rsplit("/", 1)[-1])
            if project:
                self._reply(_page(project[1], list(wheels)), "text/html")
            elif wheel:
                self._reply(wheel.read_bytes(), "application/octet-stream")
            else:
                self.send_error(404)

        def _reply(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class named it
            """Say nothing: a build makes forty requests."""

    return Handler


def _page(project: str, names: list[str]) -> bytes:
    mine = [name for name in names if re.sub(r"[-_.]+", "-", name.split("-")[0]).lower() == project.lower()]
    return "".join(f'<a href="/wheels/{html.escape(name)}">{html.escape(name)}</a>\n' for name in mine).encode()
