"""A real JupyterLab on copies of the learner's notebooks, and a real Chromium to look at it."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import pytest

from autograder.jupyter_ext import CONFIG
from course_lib import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Request, Route

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
# Cells outside the window are not in the page by default; a test that reads the whole notebook needs them all.
SETTINGS = {"notebook-extension/tracker": {"windowingMode": "none"}}
IN_FRONT = """path => {
    const panel = window.jupyterapp?.shell?.currentWidget;
    const shown = [...(panel?.node.querySelectorAll('.jp-MarkdownOutput h1') ?? [])].some(title => title.offsetParent);
    return panel?.context?.path === path && panel.context.isReady && shown;
}"""
# JupyterLab's own widgets (menus, toolbars, editors) are not ours to mend: a notebook is judged by its Markdown cells.
MARKDOWN = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-MarkdownCell .jp-MarkdownOutput"
_COUNT = itertools.count(1)


# For a module, not for the session: while Playwright is open an event loop runs, and no test could start its own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed: sudo make engines")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    quiet += ["--disable-component-update", "--disable-sync", "--no-sandbox"]  # Chromium's own sandbox refuses root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=quiet)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page that may talk to this machine only."""
    yield from _page(browser, "light")


@pytest.fixture
def dark_page(browser: Browser) -> Iterator[Page]:
    """The same for somebody whose system is dark."""
    yield from _page(browser, "dark")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one JupyterLab: `course/` is what it shows."""
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(home: Path) -> Iterator[processes.Server]:
    """JupyterLab, configured as ``make lab`` does it, on copies of the notebooks in a folder of their own."""
    (home / "course" / "notebooks").mkdir(parents=True)
    for name in NOTEBOOKS:
        shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", home / "course" / "notebooks")
    for name, values in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    port = processes.free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True", "--ServerApp.port_retries=0"]
    env = {
        "JUPYTER_CONFIG_PATH": str(CONFIG),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    server = processes.Server(
        "JupyterLab", command, port=port, ready_path="/api/status", env=env, cwd=home / "course", timeout=240
    )
    with server:
        server.wait_ready()
        yield server


@contextmanager
def formgrader_in(folder: Path, home: Path) -> Iterator[processes.Server]:
    """The Jupyter server that docs/instructor.md starts in the graded folder."""
    port = processes.free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=", "--LabApp.news_url=None"]
    env = {name: str(home) for name in ("HOME", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    server = processes.Server(
        "formgrader", command, port=port, ready_path="/api/status", env=env, cwd=folder, timeout=120
    )
    with server:
        server.wait_ready()
        yield server


def watched(page: Page) -> list[str]:
    """Collect the requests of a page that would change something."""
    found: list[str] = []

    def look(request: Request) -> None:
        if request.method != "GET":
            found.append(f"{request.method} {request.url}")

    page.on("request", look)
    page.on("dialog", lambda dialog: (found.append(dialog.message), dialog.dismiss()))
    return found


def open_notebook(page: Page, lab: processes.Server, name: str) -> None:
    """Open a notebook in a workspace that nobody used before, and wait until it is drawn."""
    workspace = f"test-{next(_COUNT)}"  # else JupyterLab brings back what another test had open
    page.goto(f"{lab.url}/lab/workspaces/{workspace}/tree/notebooks/{name}.ipynb?reset")
    wait_for_notebook(page, name)


def wait_for_notebook(page: Page, name: str) -> None:
    """Wait until a notebook is the one in front, with its title on the screen."""
    page.wait_for_function(IN_FRONT, arg=f"notebooks/{name}.ipynb")


def violations(page: Page, within: str | None = None) -> list[str]:
    """Return what axe-core finds on the page, or within what a CSS selector matches."""
    from axe_playwright_python.sync_playwright import Axe

    context = {"include": [[within]]} if within else None
    found = Axe().run(page, context=context).response["violations"]
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]


def _page(browser: Browser, scheme: Literal["light", "dark"]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, color_scheme=scheme)

    def refuse_other_hosts(route: Route) -> None:
        if urlsplit(route.request.url).hostname in {"127.0.0.1", "localhost", None}:
            route.continue_()
        else:
            route.abort()

    context.route("**/*", refuse_other_hosts)
    page = context.new_page()
    page.set_default_timeout(180_000)  # a condition is waited for; only a hung page meets this
    yield page
    context.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test of this folder a second try: on a busy machine a page is now and then drawn too late for a click.

    What is really broken fails twice; and each first failure stands in the summary as a rerun.
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))
