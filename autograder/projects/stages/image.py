"""Image build of a project: built and run by a real engine, where the person who grades asks for it.

A build runs a stranger's commands as root inside the engine's containers, with the network that builds have there. It
is never done unasked; what runs afterwards has no capabilities, no way to new rights, and limits.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib.errors import CourseError

if TYPE_CHECKING:
    from course_lib.containers import Engine, PlanEngine

__all__ = ["build_and_ask"]

_HEALTHY_SECONDS = 90.0
_LIMITS = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "pids_limit": 128, "mem_limit": "1g"}


def build_and_ask(files: Mapping[str, bytes], dockerfile: str, port: int, example: Any) -> tuple[bool, str]:
    """Build the image, run it, and ask it; return whether all was well, and what was seen.

    Parameters
    ----------
    files
        The build context, by path.
    dockerfile
        Its Dockerfile.
    port
        The port that the service listens on inside.
    example
        A request for ``/predict``.
    """
    from course_lib import containers

    with tempfile.TemporaryDirectory(prefix="course-image-") as scratch, containers.open_engine() as engine:
        if not engine.real:
            return False, f"no engine could be used: {engine.reason}"
        for path, data in files.items():
            (Path(scratch) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(scratch) / path).write_bytes(data)
        try:
            return _run_and_ask(engine, Path(scratch), _with_index(dockerfile, engine.index_url), port, example)
        except CourseError as error:
            return False, f"{engine.mode}: {error.happened}"


def _with_index(dockerfile: str, url: str) -> str:
    """Name the local package index to every stage's RUN steps: an ARG is no part of the image."""
    return re.sub(r"(?im)^(FROM .*)$", rf"\1\nARG PIP_INDEX_URL={url}", dockerfile) if url else dockerfile


def _run_and_ask(
    engine: Engine | PlanEngine, folder: Path, dockerfile: str, port: int, example: Any
) -> tuple[bool, str]:
    engine.build(folder, "course-project:graded", dockerfile=dockerfile)
    with engine.run("course-project:graded", port=port, **_LIMITS) as running:
        running.wait_ready("/ready")
        status = _post(running.url + "/predict", example)
        user = running.execute("id", "-u")[1].strip()
        end = time.monotonic() + _HEALTHY_SECONDS
        while (health := running.health()) != "healthy" and time.monotonic() < end:
            time.sleep(0.5)
    evidence = f"built and run by {engine.mode}: /ready 200, /predict {status}, user {user}, {health}"
    return status == 200 and user != "0" and health == "healthy", evidence


def _post(url: str, body: Any) -> int:
    import httpx

    try:
        return httpx.post(url, json=body, timeout=20).status_code
    except httpx.HTTPError:
        return 0
