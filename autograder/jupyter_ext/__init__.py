"""The course in JupyterLab: a welcome page at `/course` with the learner's progress, and where kernels keep it.

May import: ``grading``, ``authoring``, ``model``.
No hostile bytes: it reads a learner's own notebooks, on the learner's machine.

`make lab` points ``JUPYTER_CONFIG_PATH`` at the folder `config/` beside this file. It switches the extension on, opens
its page, and hides those parts of nbgrader that are for instructors. Without it JupyterLab is as it always was.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

__all__ = ["CONFIG"]

CONFIG = Path(__file__).parent / "config"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "autograder.jupyter_ext"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    """Serve the page, and tell every kernel that this server will start where the progress is kept."""
    from autograder.jupyter_ext.handlers import handlers
    from autograder.jupyter_ext.overview import notebooks_below
    from course_lib import progress

    root = Path(server.root_dir)
    notebooks = notebooks_below(root)
    file = progress.file_for(notebooks) if notebooks else None
    if file is not None:
        os.environ[progress.VARIABLE] = str(file)
    base_url = server.web_app.settings["base_url"]
    _link_help_below(base_url)
    server.web_app.add_handlers(".*$", handlers(base_url, root, file))  # type: ignore[no-untyped-call]
    server.log.info("The course's welcome page is at %scourse/", base_url)


def _link_help_below(base_url: str) -> None:
    """Let the entry in the Help menu lead to the page where the server is not at the root of its host, as on Binder.

    The entry is a setting with an absolute address, and JupyterLab reads settings from files: this writes the one file
    anew, with the right address, to a folder that goes with the server.
    """
    if base_url == "/":
        return
    folder = Path(tempfile.mkdtemp(prefix="course-lab-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    name = Path("labconfig") / "default_setting_overrides.json"
    (folder / name).parent.mkdir()
    text = (CONFIG / name).read_text(encoding="utf-8")
    (folder / name).write_text(text.replace('"/course/"', json.dumps(f"{base_url}course/")), encoding="utf-8")
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join([str(folder), os.environ.get("JUPYTER_CONFIG_PATH", "")])
