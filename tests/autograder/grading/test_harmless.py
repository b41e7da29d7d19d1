"""What a learner wrote is text in the instructor's browser, whatever it says it is."""

# ruff: noqa: E501 - attacks read best on a line of their own
from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import nbformat
import pytest
from nbconvert.filters import markdown2html
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from autograder.grading.harmless import harmless, plain_markdown

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\x00" * 20).decode()
PLAIN = {
    "p", "pre", "code", "em", "strong", "ul", "ol", "li", "br", "hr", "h1", "h2", "h3", "h4", "blockquote", "table", "thead",
    "tbody", "tr", "td", "th", "div", "span", "a", "del",
}  # fmt: skip


class Page(HTMLParser):
    """What a browser would make of a fragment: elements, and attributes that run or fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.alive: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in PLAIN:
            self.alive.append(tag)
        for name, value in attributes:
            runs = name.startswith("on") or name in ("style", "src", "srcset", "action", "formaction", "background")
            leads = name == "href" and not re.match(r"https?://|#", (value or "").strip())
            if runs or leads:
                self.alive.append(f"{tag} {name}={value}")

    handle_startendtag = handle_starttag


ATTACKS = [
    "<script>fetch('/api/contents/x', {method: 'PUT'})</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>", "<iframe srcdoc='<script>alert(1)</script>'>", "<a href='javascript:alert(1)'>x</a>",
    "<body onload=alert(1)>", "<details open ontoggle=alert(1)>", "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<!--><script>alert(1)</script>-->", "`</code><script>alert(1)</script>`", "```html\n</code></pre><script>alert(1)</script>\n```",
    "<scr<script>ipt>alert(1)</scr</script>ipt>", "<SCRIPT SRC=//x></SCRIPT>", "<<script>alert(1)//<</script>", "<style>@import 'http://x'</style>",
    "<form action=http://x><input type=submit></form>", "<base href=http://x>", "<meta http-equiv=refresh content='0;url=http://x'>", "<object data=x></object>",
    "[x]: <javascript:alert(1)>\n[x]", "> <script>alert(1)</script>", "- a\n\n  <script>alert(1)</script>", "$<script>alert(1)</script>$", "a\u2028<script>alert(1)</script>",
    "<x onclick\n=alert(1)>", "\\<script>alert(1)</script>", "&lt;ok&gt; <script>alert(1)</script>", "<div style='background:url(http://x)'>", "<link rel=stylesheet href=http://x>",
]  # fmt: skip


def shown(cell: nbformat.NotebookNode, release: nbformat.NotebookNode | None = None) -> nbformat.NotebookNode:
    return harmless(new_notebook(cells=[cell]), release or new_notebook()).cells[0]


@pytest.mark.parametrize("attack", ATTACKS)
def test_markdown_of_a_learner_is_text_when_the_formgrader_renders_it(attack):
    page = markdown2html(shown(new_markdown_cell(f"My answer.\n\n{attack}\n")).source)
    assert "My answer." in page
    assert not Page(page).alive, page


@pytest.mark.parametrize("attack", ["[x](javascript:alert(1))", "[x](&#106;avascript:alert(1))", "[x]( javascript:alert(1))", "[x](\\tjavascript:alert(1))", "[x][y]\n\n[y]: javascript:alert(1)", "[x](vbscript:x)", "[x](/api/shutdown)", "[[x](http://a)](javascript:alert(1))", "[x](JaVaScRiPt:alert(1))", "<javascript:alert(1)>", "[x](data:text/html;base64,AAAA)"])  # fmt: skip
def test_links_lead_nowhere_that_runs(attack):
    page = markdown2html(shown(new_markdown_cell(attack)).source)
    assert not Page(page).alive, page


@pytest.mark.parametrize("image", ["![x](http://tracker/x.png)", "![x][ref]\n\n[ref]: http://tracker/x.png", "![](//x)", "![a ![b](http://x)](http://y)"])  # fmt: skip
def test_no_picture_is_fetched_from_elsewhere(image):
    assert "<img" not in markdown2html(shown(new_markdown_cell(image)).source)


def test_prose_comparisons_and_own_pictures_survive():
    cell = new_markdown_cell("**p < 0.05** and `x`\n\n![plot](attachment:plot.png)")
    cell.attachments = {"plot.png": {"image/png": PNG}, "bad.svg": {"image/svg+xml": "<svg onload=alert(1)>"}}
    kept = shown(cell)
    page = markdown2html(kept.source.replace("attachment:", "http://"))
    assert "<strong>p &lt; 0.05</strong>" in page
    assert "attachment:plot.png" in kept.source
    assert dict(kept.attachments) == {"plot.png": {"image/png": PNG}}


@pytest.mark.parametrize(
    "command",
    [r"\\href{javascript:alert(1)}{x}", r"\\style{background:url(http://x)}{x}", r"\\require{html}", r"\\class{btn}{x}", r"\\cssId{a}{x}", r"\\url{x}", r"\\includegraphics{http://x}", r"\\htmlData{a=b}{x}"],
)  # fmt: skip
def test_formulas_make_no_links_and_no_styles(command):
    entities = command.replace("\\", "&#92;").replace("{", "&#123;")
    cell = new_markdown_cell(f"${command}$ and &#36;{entities}&#36; and &dollar;{entities}&dollar;")
    html = f"<p>${command}$ &#36;{entities}&#36; &dollar;&bsol;{command[1:]}</p>"
    output = new_output("display_data", {"text/html": html})
    for page in (
        markdown2html(shown(cell).source),
        shown(new_code_cell("x", outputs=[output])).outputs[0].data["text/html"],
    ):
        text = Text(page).text
        assert command not in text, page
        assert "\u200b" in text


class Text(HTMLParser):
    """The text that MathJax would look at."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    ("source", "text"),
    [("**p** < 0.05, a<b and `x<y`", "p < 0.05, a<b and x<y"), ("`x[0](1)` and `d[k]: int`", "x[0](1) and d[k]: int"),
     ("AT&T, `a&b`, R&D &amp; x", "AT&T, a&b, R&D &amp; x"), ("$a<b$, $\\left[0\\right](x)$", "$a<b$, $\\left[0\\right](x)$"),
     ("| a | b |\n|---|---|\n| 1<x | 2 |", "a\nb\n1<x\n2"), ("- a[0]\n- b!", "a[0]\nb!"), ("```python\nif a<b: x[0](1)\n```", "if a<b: x[0](1)"),
     ("[site](https://example.org/a?b=1&c=2)", "site"), ("<script>alert(1)</script>", "<script>alert(1)</script>")],
)  # fmt: skip
def test_an_answer_looks_as_it_was_written(source, text):
    page = Text(markdown2html(shown(new_markdown_cell(source)).source)).text.replace("\u200b", "")
    assert [line.strip() for line in page.splitlines() if line.strip()] == text.splitlines()


@pytest.mark.parametrize(
    "text", ["\\begin{a}" * 30_000, "x" * 3_000_000, "# a\n" * 200_000, "[" * 300_000, "*a " * 300_000, ">" * 300_000]
)
@pytest.mark.timeout(120)
def test_a_long_answer_makes_a_page_all_the_same_and_says_that_there_is_more(text):
    cell = shown(new_markdown_cell(text))
    assert re.search(r"… \([\d,]+ more characters\)$", cell.source)
    assert len(markdown2html(cell.source)) > 0
    assert "more characters" in shown(new_code_cell(f"x = {text!r}")).source


HTML_BOMBS = {
    "bold": "<b>" * 100_000, "bold in paragraphs": "<b><p>" * 50_000, "bold in italics": "<i><b>" * 50_000 + "</i>" * 50_000, "tables": "<table><tr><td>" * 30_000,
    "divs": "<div>" * 180_000, "closing": "</div>" * 150_000, "less than": "<" * 900_000, "ampersands": "&" * 900_000, "entities": "&#x41;" * 150_000,
    "attributes": "<b " + "a=1 " * 200_000 + ">", "comments": "<!--" * 200_000, "scripts": "<script>" * 100_000, "half scripts": "<script></script" * 50_000, "rows": "<table>" + "<tr><td>1</td></tr>" * 45_000,
    "spaces": "<td" + " " * 900_000, "colspans": "<td colspan" + " " * 9 + "=" * 900_000, "backslashes": "\\href" * 200_000,
}  # fmt: skip


@pytest.mark.parametrize("html", HTML_BOMBS.values(), ids=HTML_BOMBS)
@pytest.mark.timeout(60)
def test_html_of_any_shape_is_closed_shortened_and_costs_little(html):
    page = (
        shown(new_code_cell("x", outputs=[new_output("display_data", {"text/html": html})]))
        .outputs[0]
        .data["text/html"]
    )
    opened = re.findall(r"<([a-z]+)", page.replace("<br>", "").replace("<col>", ""))
    closed = re.findall(r"</([a-z]+)", page)
    assert sorted(opened) == sorted(closed)
    assert not re.search(r"<(?!/?(?:b|br|i|p|div|table|tr|td)\b)", page)
    assert len(page) < 2_000_000


def test_a_table_of_pandas_keeps_its_cells_and_its_spans():
    html = (
        '<div><style scoped>x</style><table border="1" class="dataframe"><thead><tr style="text-align: right;"><th colspan="2" scope="col">a &amp; b</th></tr>'
        "</thead><tbody><tr><th>0</th><td rowspan=3 onclick=alert(1)>1 &lt; 2</td></tr></tbody></table><p>1 rows × 2 columns</p></div>"
    )
    page = (
        shown(new_code_cell("x", outputs=[new_output("display_data", {"text/html": html})]))
        .outputs[0]
        .data["text/html"]
    )
    assert page == (
        '<div><table><thead><tr><th colspan="2" scope="col">a &amp; b</th></tr></thead><tbody><tr><th>0</th><td rowspan="3">1 &lt; 2</td></tr></tbody></table>'
        "<p>1 rows × 2 columns</p></div>"
    )


@pytest.mark.parametrize(
    "html", ["</div></div><h1>out</h1>", "<td>x", "<table><tr>", "</table>x", "<b><i></b></i>", "<b/>x", "<br/>x"]
)
def test_an_output_cannot_break_out_of_its_place(html):
    page = (
        shown(new_code_cell("x", outputs=[new_output("display_data", {"text/html": html})]))
        .outputs[0]
        .data["text/html"]
    )
    depth = 0
    for slash, name in re.findall(r"<(/?)([a-z]+)", page):
        depth += 0 if name == "br" else -1 if slash else 1
        assert depth >= 0
    assert depth == 0


@pytest.mark.parametrize("name", ["dataframe", "mermaid", "modal fade in", "jp-Mermaid", "tex2jax_process"])
def test_no_class_wakes_a_script_of_the_page(name):
    output = new_output("display_data", {"text/html": f"<pre class='{name}' id='x' data-toggle='modal'>x</pre>"})
    assert shown(new_code_cell("x", outputs=[output])).outputs[0].data["text/html"] == "<pre>x</pre>"


@pytest.mark.parametrize(
    "attack", [*ATTACKS, "[x](javascript:alert(1))", "![x](http://t/x)", "**b** _i_ `c` # h | $x$ ~~s~~ &lt;"]
)
def test_the_reason_of_a_rejection_is_text_word_for_word(attack):
    page = markdown2html(
        harmless(new_notebook(cells=[new_markdown_cell("**Rejected.** " + plain_markdown(attack))]), new_notebook())
        .cells[0]
        .source
    )
    assert not Page(page).alive, page
    assert Text(page).text.replace("\u200b", "").split()[1:] == attack.split()


def test_cells_as_they_were_released_are_left_alone_and_edited_ones_are_not():
    text = "<details><summary>Hint</summary>x</details>"
    release = new_notebook(cells=[new_markdown_cell(text)])
    assert shown(new_markdown_cell(text), release).source == text
    assert "<details>" not in shown(new_markdown_cell(text + "<script>"), release).source


@pytest.mark.parametrize("attack", ATTACKS)
def test_html_outputs_keep_their_tables_and_lose_what_runs(attack):
    html = f"<table><tr><th scope='row'>a</th><td>1</td></tr></table>{attack}"
    data = shown(new_code_cell("x", outputs=[new_output("display_data", {"text/html": html})])).outputs[0].data
    assert "<td>1</td>" in data["text/html"]
    assert not Page(data["text/html"]).alive, data["text/html"]


@pytest.mark.parametrize("kind", ["application/javascript", "image/svg+xml", "text/markdown", "text/latex", "text/vnd.mermaid", "application/vnd.jupyter.widget-view+json", "application/json", "video/mp4"])  # fmt: skip
def test_outputs_of_other_types_are_named_and_left_out(kind):
    data = (
        shown(new_code_cell("x", outputs=[new_output("display_data", {kind: "<script>alert(1)</script>"})]))
        .outputs[0]
        .data
    )
    assert list(data) == ["text/plain"]
    assert kind in data["text/plain"]


@pytest.mark.parametrize(
    "content",
    [
        '"><script>alert(1)</script>',
        PNG + '"><script>',
        base64.b64encode(b"<svg onload=alert(1)>").decode(),
        "",
        "AAAA",
    ],
)
def test_a_picture_is_one_by_its_bytes(content):
    data = (
        shown(new_code_cell("x", outputs=[new_output("display_data", {"image/png": content, "text/plain": "p"})]))
        .outputs[0]
        .data
    )
    assert re.fullmatch(r"[A-Za-z0-9+/=]*", data.get("image/png", ""))


def test_metadata_of_a_learner_is_dropped_and_nbgraders_is_kept():
    cell = new_code_cell("x", metadata={"nbgrader": {"grade_id": "a"}, "name": "<script>", "tags": ["<script>"]})
    assert dict(shown(cell).metadata) == {"nbgrader": {"grade_id": "a"}}


def test_the_submission_itself_is_not_changed():
    cell = new_markdown_cell("<script>")
    shown(cell)
    assert cell.source == "<script>"
