"""Sanitised notebooks: a graded copy that shows what a learner wrote and runs nothing of it in a browser.

nbgrader's formgrader puts Markdown cells and outputs into a page of the instructor's own Jupyter server, as HTML. A
script in there would act with the instructor's rights. So the copies in ``autograded/`` hold a learner's Markdown
without HTML, with links to the web alone and no picture from elsewhere, and of outputs plain text, tables, and pictures
that are pictures. A space of no width parts what would be a tag, a link or an entity: it looks as it was written, in
prose, code and formulas. Cells that are as they were released are left alone. What was handed in lies unchanged in
``submitted/``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autograder.text import shortened

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["harmless", "parted", "plain_markdown"]

_PICTURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff", "image/gif": b"GIF8"}
_TAGS = frozenset(
    ("b", "br", "caption", "code", "col", "colgroup", "div", "em", "i", "p", "pre", "small", "span", "strong", "sub",
     "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr")
)  # fmt: skip
_EMPTY = frozenset(("br", "col"))
_ATTRIBUTE = re.compile(
    r"""\b(colspan|rowspan)\s{0,9}=\s{0,9}["']?(\d{1,3})\b|\b(scope)=["']?(row|col)\b""", re.IGNORECASE
)
_NO_TEXT = re.compile(r"<(script|style)\b.*?(</\1\s{0,9}>|\Z)|<!--.*?(-->|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]{0,20})\b([^<>]{0,2000})>|<[!?/A-Za-z][^<>]{0,2000}>")
_MAX_HTML = 300_000  # characters of one output
_MAX_OPEN = 50  # elements in each other
_MAX_SHOWN = {"code": 200_000, "markdown": 50_000, "raw": 50_000}  # characters of a cell: a page is made of all
_MAX_FORMULAS = 100  # environments of LaTeX in a cell
_GAP = "\u200b"
# what MathJax makes links and styles of
_COMMAND = r"(?<=\\)(?=(?:href|url|require|style|class|cssId|data|html\w*|mmlToken|includegraphics)(?![A-Za-z]))"
_PARTED = re.compile(
    r"(?<=<)(?=[A-Za-z/!?])"  # a tag
    r"|(?<=&)(?=[#A-Za-z])"  # an entity
    r"|(?<=\])(?=\((?!https?://|attachment:)|:)"  # the target of a link, or the definition of one
    r"|(?<=!)(?=\[(?![^\[\]]{0,200}\]\(attachment:[\w.%-]{1,200}\)))"  # a picture from elsewhere
    r"|" + _COMMAND
)
_MATH = re.compile(_COMMAND)
_MARKED = re.compile(r"[\\`*_\[\]<>#|$!&~]")
_ENTITY = re.compile(r"&(?!(?:lt|gt|amp|quot|nbsp);)")
_LEFT_OUT = "(an output of type {} is not shown here; it is in the submitted notebook)"


def harmless(notebook: NotebookNode, release: NotebookNode) -> NotebookNode:
    """Return a copy of ``notebook`` that can be shown in a page with rights of its own.

    Parameters
    ----------
    notebook
        A repaired and executed submission.
    release
        What was handed out: a Markdown cell of the same text is kept as it is.
    """
    from nbformat import from_dict

    copy: NotebookNode = from_dict(notebook)
    released = {cell.source for cell in release.cells}
    copy.metadata = {key: value for key, value in copy.metadata.items() if key in ("kernelspec", "language_info")}
    for cell in copy.cells:
        cell.source = cell.source if cell.source in released else shortened(cell.source, _MAX_SHOWN[cell.cell_type])
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "nbgrader"}
        if cell.cell_type != "code":
            if cell.source not in released:
                cell.source = parted(cell.source)
            if "attachments" in cell:
                cell.attachments = {
                    name: shown for name, bundle in dict(cell.attachments).items() if (shown := _pictures(bundle))
                }
        else:
            cell.outputs = [_output(output) for output in cell.outputs]
    return copy


def parted(markdown: str) -> str:
    """Return Markdown that makes no tag, no entity, no picture, and links to the web alone; it looks as it did."""
    if markdown.count("\\begin{") > _MAX_FORMULAS:  # for each the reader looks through the rest of the text
        markdown = markdown.replace("\\begin{", f"\\{_GAP}begin{{")
    return _PARTED.sub(_GAP, markdown)


def plain_markdown(text: str) -> str:
    """Return ``text`` as Markdown that shows it as it is, on one line."""
    one_line = " ".join(text.split()).replace("://", f":{_GAP}//")  # an address by itself is a link as well
    return _MARKED.sub(r"\\\g<0>", one_line)


def _output(output: NotebookNode) -> NotebookNode:
    from nbformat import from_dict

    if output.output_type not in ("display_data", "execute_result"):
        return output  # streams and errors: shown as text
    data = dict(output.get("data", {}))
    shown: dict[str, Any] = {"text/plain": str(data["text/plain"])} if "text/plain" in data else {}
    if "text/html" in data:
        shown["text/html"] = _table(str(data["text/html"]))
    shown |= _pictures(data)
    if not shown:
        shown["text/plain"] = _LEFT_OUT.format(", ".join(sorted(data)) or "unknown")
    result: NotebookNode = from_dict({**output, "data": shown, "metadata": {}})
    return result


def _table(html: str) -> str:
    """Return HTML with tags that lay out text; of all others only the text, of ``script`` and ``style`` nothing.

    Every ``<`` of the result is one that is written here, and every element is closed: what stands around it on the
    page stays as it is. The time is linear in the length of ``html``, which a parser of tag soup cannot promise.
    """
    html = _NO_TEXT.sub("", shortened(html, _MAX_HTML))
    pieces: list[str] = []
    opened: list[str] = []
    at = 0
    for tag in _TAG.finditer(html):
        pieces.append(_as_text(html[at : tag.start()]))
        at, name = tag.end(), (tag[2] or "").lower()
        if name not in _TAGS:
            continue
        if name in _EMPTY:
            pieces.append(f"<{name}>")
        elif not tag[1] and len(opened) < _MAX_OPEN:
            opened.append(name)
            pieces.append(f"<{name}{_attributes(tag[3])}>")
        elif tag[1] and name in opened:
            while (last := opened.pop()) != name:
                pieces.append(f"</{last}>")
            pieces.append(f"</{name}>")
    closing = "".join(f"</{name}>" for name in reversed(opened))
    return "".join([*pieces, _as_text(html[at:]), closing])


def _attributes(text: str) -> str:
    found = {(a[1] or a[3]).lower(): (a[2] or a[4]).lower() for a in _ATTRIBUTE.finditer(text)}
    return "".join(f' {name}="{value}"' for name, value in found.items())


def _as_text(html: str) -> str:
    return _MATH.sub(_GAP, _ENTITY.sub("&amp;", html).replace("<", "&lt;").replace(">", "&gt;"))


def _pictures(data: Mapping[str, Any]) -> dict[str, str]:
    """Return what is a picture by its first bytes, encoded again."""
    found = {}
    for kind, first in _PICTURES.items():
        try:
            content = base64.b64decode(str(data.get(kind, "")), validate=False)
        except (binascii.Error, ValueError):
            continue
        if content.startswith(first):
            found[kind] = base64.b64encode(content).decode()
    return found
