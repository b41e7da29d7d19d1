"""The addresses of the course in Jupyter's server: one page, its two files, and its data as JSON."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_escape, url_path_join
from tornado import web

from autograder.jupyter_ext.overview import next_step, notebook_states, notebooks_below
from course_lib import engines, progress

__all__ = ["handlers"]

_STATIC = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_SHOWN = ("name", "used_for", "without")  # of an engine
_ENGINES_FOR = 300.0  # seconds: an engine that was just installed is seen after five minutes, or with a new server


def handlers(base_url: str, root: Path, file: Path | None) -> list[tuple[Any, ...]]:
    """Return what to add to the server.

    Parameters
    ----------
    base_url
        Under which the server answers.
    root
        The folder that JupyterLab shows.
    file
        Where the progress is kept, if it can be.
    """
    here = url_path_join(base_url, "course")
    return [
        (here, web.RedirectHandler, {"url": here + "/"}),
        (url_path_join(here, r"api/progress"), Progress, {"root": root, "file": file}),
        (url_path_join(here, r"api/engines"), Engines),
        (url_path_join(here, r"(welcome\.css|welcome\.js|icon\.svg|)"), Page),
    ]


class Page(JupyterHandler):
    """The welcome page and its files."""

    @web.authenticated
    def get(self, name: str) -> None:
        """Send one of them."""
        path = _STATIC / (name or "welcome.html")
        self.set_header("Content-Type", f"{_TYPES[path.suffix]}; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        _ = self.xsrf_token  # to ask for it sets the cookie that the page sends back
        self.finish(path.read_bytes())


class Progress(JupyterHandler):
    """How far the learner is. Read anew each time: the files are small."""

    def initialize(self, root: Path, file: Path | None) -> None:
        """Take the folder that JupyterLab shows, and where the progress is kept."""
        self.root, self.file = root, file

    @web.authenticated
    def get(self) -> None:
        """Send the notebooks with the learner's progress, and the next step."""
        folder = notebooks_below(self.root)
        outcomes, spent = (progress.read(self.file), progress.spent(self.file)) if self.file else ({}, {})
        states = notebook_states(folder or self.root, outcomes, spent)
        prefix = folder.relative_to(self.root).as_posix() if folder else "."
        answer = {
            "notebooks": [asdict(state) | {"url": self._url(prefix, state.path)} for state in states],
            "next": asdict(step := next_step(states)) | {"url": self._url(prefix, step.path)},
            "kept_in": self.file.name if self.file else None,
        }
        _send(self, answer)

    def _url(self, prefix: str, path: str) -> str | None:
        if not path:
            return None
        words = [word for word in (prefix, path) if word != "."]
        return str(url_path_join(self.base_url, "lab/tree", *(url_escape(word) for word in words)))


class Engines(JupyterHandler):
    """Which real engines this machine has. Some are asked by starting them, so the answer is kept for a while."""

    answer: tuple[float, list[dict[str, str | None]]] = (float("-inf"), [])

    @web.authenticated
    async def get(self) -> None:
        """Send every engine with its version, or what happens without it."""
        made, rows = Engines.answer
        if time.monotonic() - made > _ENGINES_FOR:
            found = await asyncio.get_running_loop().run_in_executor(None, engines.found)
            rows = [{key: getattr(one.engine, key) for key in _SHOWN} | {"version": one.version} for one in found]
            Engines.answer = (time.monotonic(), rows)
        _send(self, {"engines": rows})


def _send(handler: JupyterHandler, answer: dict[str, Any]) -> None:
    handler.set_header("Content-Type", "application/json; charset=utf-8")
    handler.set_header("Cache-Control", "no-store")
    handler.finish(json.dumps(answer, allow_nan=False))
