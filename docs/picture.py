"""Make the README's picture: ``python docs/picture.py``. A real JupyterLab, a real run of notebook 6, a wrong answer.

The first wrong answer on file for exercise 6.2 stands in its cell, and the notebook is run up to the check below it.
The cells between the figure and the exercise are left out, so that both fit.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat

from course_lib import processes

ROOT = Path(__file__).resolve().parents[1]
NAME = "06_monitoring"
PICTURE = ROOT / "docs" / "notebook.png"
WIDTH, HEIGHT, LIMIT_KB = 1280, 1220, 200


def wrong_answer() -> str:
    """Return the first wrong answer to exercise 6.2 that the repository holds."""
    text = (ROOT / "solutions" / "answers" / NAME / "ex_6_2.py").read_text(encoding="utf-8")
    return text.split("# %%")[1].partition("\n")[2].strip()


def run_notebook(folder: Path) -> None:
    """Run the notebook up to the check of exercise 6.2, and keep the cells that the picture shows."""
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "notebooks" / f"{NAME}.ipynb", as_version=4)
    ids = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells]
    exercise, check = ids.index("ex-6-2"), ids.index("check-6-2")
    notebook.cells[exercise].source = wrong_answer()
    skipped = {"ex-6-1", "check-6-1", "hidden-6-1"}
    notebook.cells = [cell for cell, name in zip(notebook.cells[: check + 1], ids, strict=False) if name not in skipped]
    NotebookClient(notebook, allow_errors=True, resources={"metadata": {"path": str(folder)}}).execute()
    figure = next(k for k, cell in enumerate(notebook.cells) if "detector_figure" in cell.source)
    notebook.cells = [notebook.cells[figure], *notebook.cells[-3:]]
    nbformat.write(notebook, folder / f"{NAME}.ipynb")


def photograph(folder: Path) -> bytes:
    """Return what JupyterLab shows of it, as PNG."""
    from playwright.sync_api import sync_playwright

    port = processes.free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--IdentityProvider.token=", "--ServerApp.port_retries=0"]
    environment = {
        "JUPYTER_CONFIG_PATH": str(ROOT / "autograder" / "jupyter_ext" / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    server = processes.Server(
        "JupyterLab", command, port=port, ready_path="/api/status", env=environment, cwd=folder, timeout=240
    )
    with server, sync_playwright() as playwright:
        server.wait_ready()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(180_000)
        page.goto(f"{server.url}/doc/tree/{NAME}.ipynb")
        page.locator(".jp-Notebook h3", has_text="Exercise 6.2").wait_for()
        page.locator(".jp-OutputArea img").first.wait_for()
        page.locator(".jp-OutputArea", has_text="cries wolf").last.wait_for()
        page.locator(".lm-MenuBar-itemLabel", has_text="Kernel").wait_for()
        page.get_by_text("| Idle").first.wait_for()
        picture = page.screenshot()
        browser.close()
    return picture


def main() -> None:
    """Write the picture with few colours, so that it is small."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as name:
        run_notebook(Path(name))
        picture = Image.open(io.BytesIO(photograph(Path(name))))
    picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(PICTURE, optimize=True)
    size = PICTURE.stat().st_size / 1000
    print(f"{PICTURE.relative_to(ROOT)}: {size:.0f} kB")
    if size > LIMIT_KB:
        sys.exit(f"The picture may have {LIMIT_KB} kB: take fewer colours or a smaller window.")


if __name__ == "__main__":
    main()
