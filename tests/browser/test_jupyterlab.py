"""A learner's day in a real browser: open, run, stop at the first exercise, get it wrong, get it right, validate."""

from __future__ import annotations

import re

import nbformat
import pytest

from autograder.authoring.markdown_rules import markdown_faults
from tests.browser.conftest import MARKDOWN, NOTEBOOKS, ROOT, SCREENSHOTS, open_notebook, violations

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

# The first, the longest and one between: all the others are the nightly run's.
NIGHTLY = [name for name in NOTEBOOKS if not name.startswith(("01", "05", "09"))]
EACH = [pytest.param(name, marks=pytest.mark.nightly if name in NIGHTLY else ()) for name in NOTEBOOKS]

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
UNFOLD = f"() => document.querySelectorAll('{MARKDOWN} details').forEach(hint => {{ hint.open = true; }})"
RUN_ALL = "() => window.jupyterapp.commands.execute('notebook:run-all-cells')"
FIRST = "01_mlops_overview"


def run_all(page):
    page.wait_for_function(IDLE)
    page.evaluate(RUN_ALL)  # resolves when the last cell has run, or the first one has failed
    page.wait_for_function(IDLE)


def progress(page, lab):
    """Return what the welcome page is told of the first notebook."""
    return page.request.get(f"{lab.url}/course/api/progress").json()["notebooks"][0]


def validate(page):
    """Press nbgrader's button: it saves and runs the notebook. Return the dialog with its verdict."""
    page.get_by_role("button", name="Validate").click()
    dialog = page.locator(".jp-Dialog:visible")
    dialog.get_by_text(re.compile("success|failed|error", re.IGNORECASE)).first.wait_for()
    return dialog


@pytest.mark.parametrize("name", EACH)
def test_a_notebook_renders_and_axe_finds_nothing_in_its_text(page, lab, name):
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

    page.evaluate(UNFOLD)
    assert violations(page, MARKDOWN) == []


def test_what_axe_finds_in_a_notebook_was_found_in_its_source(page, lab, home):
    cells = {
        "# Good and bad text": "",
        "| | b |\n|---|---|\n| 1 | 2 |": "empty-table-header",
        "| a | b |\n|---|---|\n| 1 | 2 |": "",
        f"| a | b |\n|---|---|\n| `{'x' * 46}` | {'y' * 46} |": "",
        f"| a | b |\n|---|---|\n| `{'x' * 60}` | {'y' * 60} |": "scrollable-region-focusable",
        f"Text `{'x' * 90}` text": "",
        f"Text `{'x' * 110}` text": "scrollable-region-focusable",
        "```\n" + "x = 1 + " * 40 + "\n```": "",
    }
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text) for text in cells])
    nbformat.write(notebook, home / "course" / "notebooks" / "text.ipynb")
    open_notebook(page, lab, "text")
    page.locator(MARKDOWN).nth(len(cells) - 1).wait_for()

    for number, (text, rule) in enumerate(cells.items(), start=1):
        found = violations(page, f".jp-Notebook-cell:nth-of-type({number}) .jp-MarkdownOutput")
        assert [one.partition(":")[0] for one in found] == ([rule] if rule else []), text
        assert len(list(markdown_faults(text))) == len(found), text


def test_a_learner_solves_the_first_notebook(page, lab):
    open_notebook(page, lab, FIRST)
    run_all(page)
    page.wait_for_selector(ERROR, state="attached")
    stop = page.locator(ERROR).inner_text()
    assert re.search(r"Exercise 1\.1: replace this line with your code", stop)
    page.locator(ERROR).scroll_into_view_if_needed()
    page.screenshot(path=SCREENSHOTS / "01-stops-at-exercise.png")
    assert progress(page, lab)["passed"] == 0

    wrong, message = first_answer("1.1", "wrong")
    page.evaluate(SET_SOURCE, ["ex-1-1", wrong])
    run_all(page)
    assert message in page.evaluate(OUTPUT, "check-1-1")
    page.evaluate(SHOW, "check-1-1")
    page.screenshot(path=SCREENSHOTS / "01-wrong-answer.png")
    assert [one["status"] for one in progress(page, lab)["exercises"]] == ["failed", *["open"] * 5]

    page.evaluate(SET_SOURCE, ["ex-1-1", first_answer("1.1", "right")[0]])
    run_all(page)
    assert "2 points" in page.evaluate(OUTPUT, "check-1-1")
    page.evaluate(SHOW, "check-1-1")
    page.screenshot(path=SCREENSHOTS / "01-right-answer.png")
    assert (progress(page, lab)["passed"], progress(page, lab)["earned"]) == (1, 2)

    dialog = validate(page)
    assert "replace this line with your code" in dialog.inner_text()
    page.screenshot(path=SCREENSHOTS / "01-validate-unfinished.png")
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")

    for number in ("1.2", "1.3", "1.4", "1.5", "1.6"):
        page.evaluate(SET_SOURCE, [f"ex-{number.replace('.', '-')}", first_answer(number, "right")[0]])
    page.evaluate(SET_SOURCE, ["interview-1", "A test score says how the model did on rows like those of the past."])
    dialog = validate(page)
    assert "Success! Your notebook passes all the tests." in dialog.inner_text()
    page.screenshot(path=SCREENSHOTS / "01-validate-success.png")

    page.goto(f"{lab.url}/course/")  # "validate" ran the checks in a kernel of this server: they count as any other
    page.locator("#notebooks > li").first.get_by_text("6 of 6 exercises").wait_for()
    page.screenshot(path=SCREENSHOTS / "welcome-after-01.png")
    assert "notebook 2" in page.locator("#next").inner_text()


def first_answer(exercise, kind):
    """Return the first ``wrong`` answer of an exercise with its message, or the first ``right`` one."""
    import jupytext

    notebook, number = exercise.split(".")
    (path,) = (ROOT / "solutions" / "answers").glob(f"{notebook:>02}_*/ex_{notebook}_{number}.py")
    cells = [cell for cell in jupytext.read(path).cells if "answer" in cell.metadata]
    cell = next(cell for cell in cells if cell.metadata["answer"] == kind)
    return cell.source, cell.metadata.get("expect")
