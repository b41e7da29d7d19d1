"""A learner's day in a real browser: open, run, stop at the first exercise, get it wrong, get it right."""

from __future__ import annotations

import re

import nbformat
import pytest

from tests.browser.conftest import NOTEBOOKS, ROOT, SCREENSHOTS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

OPEN = "() => document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-MarkdownOutput h1')"
IDLE = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const kernel = panel?.sessionContext?.session?.kernel;
    return kernel && kernel.connectionStatus === 'connected' && kernel.status === 'idle';
}"""
SET_SOURCE = """([gradeId, source]) => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    const cell = notebook.widgets.find(c => c.model.getMetadata('nbgrader')?.grade_id === gradeId);
    cell.model.sharedModel.setSource(source);
    notebook.activeCellIndex = notebook.widgets.indexOf(cell);
}"""
OUTPUT = """gradeId => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    const cell = notebook.widgets.find(c => c.model.getMetadata('nbgrader')?.grade_id === gradeId);
    return cell.model.outputs.toJSON().map(o => o.text ?? o.evalue ?? '').flat().join('');
}"""
SHOW = """gradeId => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    const cell = notebook.widgets.find(c => c.model.getMetadata('nbgrader')?.grade_id === gradeId);
    cell.node.scrollIntoView({block: 'end'});
}"""
ERROR = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"
RUN_ALL = "() => window.jupyterapp.commands.execute('notebook:run-all-cells')"


def open_notebook(page, lab, name):
    page.goto(f"{lab.url}/lab/tree/notebooks/{name}.ipynb?reset")
    page.wait_for_function(OPEN)


def run_all(page):
    page.wait_for_function(IDLE)
    page.evaluate(RUN_ALL)  # resolves when the last cell has run, or the first one has failed


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_renders(page, lab, name):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_notebook(page, lab, name)
    page.wait_for_selector(".jp-RenderedMermaid img, .jp-RenderedMermaid svg")
    source = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in source.cells if cell.cell_type == "markdown")
    page.screenshot(path=SCREENSHOTS / f"{name}.png")

    assert page.locator(".jp-MarkdownOutput details").count() == text.count("<details>")
    assert page.locator(".jp-MarkdownOutput details[open]").count() == 0  # hints stay folded
    assert page.locator(".jp-MarkdownOutput table").count() >= 1
    assert "```" not in page.locator(".jp-Notebook").inner_text()
    assert not errors


@pytest.mark.skipif("01_mlops_overview" not in NOTEBOOKS, reason="notebook 01 is not written")
def test_a_learner_solves_the_first_exercise(page, lab):
    open_notebook(page, lab, "01_mlops_overview")
    run_all(page)
    page.wait_for_selector(ERROR, state="attached")
    stop = page.locator(ERROR).inner_text()
    assert re.search(r"Exercise 1\.1: replace this line with your code", stop)
    page.locator(ERROR).scroll_into_view_if_needed()
    page.screenshot(path=SCREENSHOTS / "01-stops-at-exercise.png")

    for answer, expected in answers("1", "1"):
        page.evaluate(SET_SOURCE, ["ex-1-1", answer])
        run_all(page)
        page.wait_for_function(IDLE)
        output = page.evaluate(OUTPUT, "check-1-1")
        assert expected in output
        page.evaluate(SHOW, "check-1-1")
        page.screenshot(path=SCREENSHOTS / f"01-{'right' if 'points' in expected else 'wrong'}-answer.png")


def answers(notebook, exercise):
    """Yield the first wrong answer with its message, then the first right one with the sign that it passed."""
    import jupytext

    (path,) = (ROOT / "solutions" / "answers").glob(f"0{notebook}_*/ex_{notebook}_{exercise}.py")
    cells = [cell for cell in jupytext.read(path).cells if "answer" in cell.metadata]
    wrong = next(cell for cell in cells if cell.metadata["answer"] == "wrong")
    right = next(cell for cell in cells if cell.metadata["answer"] == "right")
    yield wrong.source, wrong.metadata["expect"]
    yield right.source, "points"
