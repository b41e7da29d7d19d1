"""axe-core on what the course draws: the welcome page, light and dark, and the Markdown of every notebook.

JupyterLab's own widgets (menus, toolbars, the editor of a cell) are not ours to mend, so a notebook is looked at within
its rendered Markdown cells alone. What axe finds there, `autograder.readable` finds in the source, at `make check`.
"""

from __future__ import annotations

import pytest

from tests.browser.conftest import NOTEBOOKS, open_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

MARKDOWN = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-MarkdownCell .jp-MarkdownOutput"
UNFOLD = f"() => document.querySelectorAll('{MARKDOWN} details').forEach(hint => {{ hint.open = true; }})"


def violations(page, within=None):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context={"include": [[within]]} if within else None).response["violations"]
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("scheme", ["page", "dark_page"])
def test_everybody_can_use_the_welcome_page(request, lab, scheme):
    page = request.getfixturevalue(scheme)
    page.goto(f"{lab.url}/course/")
    page.locator("#notebooks > li").nth(8).wait_for()
    page.locator("#engines-all summary").click()
    page.locator("#engines > tr").first.wait_for()

    assert violations(page) == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_everybody_can_read_the_notebook(page, lab, name):
    open_notebook(page, lab, name)
    page.wait_for_selector(".jp-RenderedMermaid img, .jp-RenderedMermaid svg")
    page.evaluate(UNFOLD)

    assert violations(page, MARKDOWN) == []
