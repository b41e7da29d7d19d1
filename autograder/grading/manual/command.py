"""Command ``manual``: serve the grading page until Ctrl-C."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from autograder.grading.book.database import GradebookError
from autograder.grading.store import read_rows
from autograder.reports.files import require_writable
from course_lib.errors import EngineError

__all__ = ["serve"]


def serve(folder: Path, *, port: int = 0, say: Callable[[str], None] = print) -> None:
    """Serve the grading page of the course folder ``folder`` on this machine, until it is interrupted.

    Raises
    ------
    CourseError
        Nothing was graded into the folder, it cannot be written, or the port is taken.
    """
    import uvicorn

    from autograder.grading.manual.server import grading_app

    read_rows(folder)
    if not (folder / "gradebook.db").is_file():
        raise GradebookError(
            f"There is no gradebook in {folder}.",
            expected="the folder that was given to grade as --out",
            next_step="grade the class again: what is known is taken from the cache",
        )
    require_writable(folder)
    token = secrets.token_urlsafe(24)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise EngineError(
                f"Port {port} cannot be used: {error}.",
                expected="a free port",
                next_step="leave --port out: a free one is then chosen",
            ) from error
        say(f"Open http://127.0.0.1:{listening.getsockname()[1]}/?token={token}")
        say("Ctrl-C ends the page. What was saved is in the gradebook; `python -m autograder feedback` hands it out.")
        config = uvicorn.Config(grading_app(folder, token), log_level="warning", access_log=False, server_header=False)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
