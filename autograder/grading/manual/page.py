"""Answers as HTML: Markdown in which HTML is text, pictures are those that were attached, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from autograder.text import shortened

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from markupsafe import Markup
    from nbformat import NotebookNode

__all__ = ["cells_html", "inline_html", "markdown_html"]

_MAX_OUTPUT = 20_000  # characters of one output
_PICTURES = ("image/png", "image/jpeg", "image/gif")


def markdown_html(text: str, attachments: dict[str, dict[str, str]] | None = None) -> Markup:
    """Return Markdown as HTML; HTML in it is shown as text, and headings are paragraphs, for they head nothing here.

    Parameters
    ----------
    text
        Whoever wrote it.
    attachments
        Pictures by name, and by type encoded in Base64.
    """
    from markupsafe import Markup

    tokens = _reader().parse(text)
    for token in _all(tokens):
        if token.type in ("heading_open", "heading_close"):
            token.tag = "p"
            if token.nesting == 1:
                token.attrSet("class", "heading")
        elif token.type == "link_open":
            token.attrs |= {"rel": "noopener noreferrer nofollow", "target": "_blank"}
        elif token.type == "image":
            token.attrs["src"] = _attached(str(token.attrs["src"]), attachments or {})
    return Markup(_reader().renderer.render(tokens, _reader().options, {}))  # noqa: S704 — it was made from escaped text


def inline_html(text: str) -> Markup:
    """Return one line of Markdown as HTML."""
    from markupsafe import Markup

    return Markup(_reader().renderInline(text))  # noqa: S704 — as above


def cells_html(cells: Iterable[NotebookNode]) -> Markup:
    """Return cells that a learner wrote, with what they gave."""
    from markupsafe import Markup

    parts: list[Markup] = []
    for cell in cells:
        if cell.cell_type == "markdown":
            parts.append(markdown_html(cell.source, cell.get("attachments")))
        else:
            parts.append(Markup("<pre class='source'>{}</pre>").format(cell.source))
        parts += [_output(output) for output in cell.get("outputs", ())]
    return Markup("\n").join(parts)


def _output(output: NotebookNode) -> Markup:
    from markupsafe import Markup

    data = output.get("data", {})
    for kind in _PICTURES:
        if kind in data:
            return Markup("<img alt='a picture that the cell drew' src='data:{};base64,{}'>").format(kind, data[kind])
    text = output.get("text") or data.get("text/plain") or f"{output.get('ename', '')}: {output.get('evalue', '')}"
    return Markup("<pre>{}</pre>").format(shortened(str(text), _MAX_OUTPUT))


def _attached(source: str, attachments: dict[str, dict[str, str]]) -> str:
    bundle = attachments.get(source.removeprefix("attachment:"), {})
    return next((f"data:{kind};base64,{bundle[kind]}" for kind in _PICTURES if kind in bundle), "")


def _all(tokens: Iterable[Token]) -> Iterable[Token]:
    for token in tokens:
        yield token
        yield from _all(token.children or ())


@cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
