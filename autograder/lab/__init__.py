"""The course in JupyterLab: a welcome page at `/course` with the learner's progress, and where kernels keep it.

`make lab` points ``JUPYTER_CONFIG_PATH`` at the folder `config/` beside this file. It switches the extension on, opens
its page, and hides those parts of nbgrader that are for instructors. Without it JupyterLab is as it always was.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

__all__ = ["CONFIG", "notebooks_below"]

CONFIG = Path(__file__).parent / "config"


def notebooks_below(root: Path) -> Path | None:
    """Return the folder with the course's notebooks in the folder that JupyterLab shows; ``None`` if there is none."""
    return next((folder for folder in (root / "notebooks", root) if any(folder.glob("[0-9][0-9]_*.ipynb"))), None)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "autograder.lab"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    """Serve the page, and tell every kernel that this server will start where the progress is kept."""
    from autograder.lab.handlers import handlers
    from course_lib import progress

    root = Path(server.root_dir)
    notebooks = notebooks_below(root)
    file = progress.file_for(notebooks) if notebooks else None
    if file is not None:
        os.environ[progress.VARIABLE] = str(file)
    server.web_app.add_handlers(".*$", handlers(server.web_app.settings["base_url"], root, file))  # type: ignore[no-untyped-call]
    server.log.info("The course's welcome page is at %scourse/", server.web_app.settings["base_url"])
