"""Whether a notebook's Markdown can be read by everybody: what axe would find in the browser, found in the source.

Two faults of a rendered page are decided by its text: a table header without a word (a screen reader then names its
column by nothing), and content too wide for its cell, which makes the cell a scrolling region that no keyboard reaches.
The widths were measured in JupyterLab 4.6 in a window of 1280 pixels with the file browser open, which leaves 821.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["WIDTH", "Fault", "markdown_faults"]

WIDTH = 821  # pixels of a cell's content
_TABLE_CHARACTER = 7.8  # pixels: DejaVu Sans and DejaVu Sans Mono at 13 px, in which tables are set
_TEXT_CHARACTER = 8.4  # at 14 px, as paragraphs, lists and code blocks are set
_PADDING = 13  # of a table's cell, left and right together
_CODE_PADDING = 10  # of `code`

_FENCE = re.compile(r"^(?P<mark>```+|~~~+)(?P<kind>[^\n]*)\n(?P<body>.*?)^(?P=mark)\s*$", re.M | re.S)
_RULE = re.compile(r"^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$")
_BAR = re.compile(r"(?<!\\)\|")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_BREAKS = re.compile(r"\s+|(?<=[-–—?|}])|(?<=[,:;.!])(?![\w/])|<br ?/?>")  # where a browser may begin a new line


@dataclass(frozen=True)
class Fault:
    """What is wrong with a piece of Markdown, and how to fix it."""

    problem: str
    fix: str


def markdown_faults(text: str) -> Iterator[Fault]:
    """Yield what keeps some readers from reading a Markdown cell.

    >>> [fault.problem for fault in markdown_faults("z" * 120)]
    ["'zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz'… is 120 characters without a place to wrap; 97 fit"]
    """
    for fence in _FENCE.finditer(text):
        if fence["kind"].strip() != "mermaid":  # drawn, and scaled to the width there is
            yield from _too_long(fence["body"])
    text = _FENCE.sub("", text)
    for header, rows in _tables(text):
        yield from _table(header, rows)
    yield from _too_long("\n".join(line for line in text.splitlines() if not line.lstrip().startswith("|")))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Fault]:
    if any(not _plain(cell) for cell in header):
        yield Fault("a table has a column without a header", "give every column a word, in the first row too")
    width = sum(max(map(_least, column)) for column in zip(header, *rows, strict=True))
    if width > WIDTH:
        longest = max((run for row in [header, *rows] for cell in row for run in _runs(_plain(cell))), key=len)
        problem = f"a table needs {width:.0f} pixels and gets {WIDTH}: it cannot wrap {longest[:40]!r}"
        yield Fault(problem, "shorten the longest words, or take a column out")


def _too_long(text: str) -> Iterator[Fault]:
    limit = int(WIDTH / _TEXT_CHARACTER)
    for line in text.splitlines():
        for run in _runs(_plain(line)):
            if len(run) > limit:
                problem = f"{run[:40]!r}… is {len(run)} characters without a place to wrap; {limit} fit"
                yield Fault(problem, "break it, or write a link as [words](address)")


def _tables(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    lines = text.splitlines()
    for index in range(1, len(lines)):
        if "|" not in lines[index - 1] or not _RULE.fullmatch(lines[index]) or "|" not in lines[index]:
            continue
        header, rows = _cells(lines[index - 1]), []
        for line in lines[index + 1 :]:
            if "|" not in line:
                break
            cells = _cells(line)
            rows.append((cells + [""] * len(header))[: len(header)])
        yield header, rows


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in _BAR.split(line.strip().removeprefix("|").removesuffix("|"))]


def _least(cell: str) -> float:
    """Return how narrow a table's cell can be, in pixels."""
    code = _CODE_PADDING if "`" in cell else 0
    return _PADDING + code + _TABLE_CHARACTER * max(map(len, _runs(_plain(cell))), default=0)


def _plain(text: str) -> str:
    """Return the text as it is shown: links by their words, without marks."""
    return re.sub(r"</?[a-z][^>]*>|\*\*|`", "", _LINK.sub(r"\1", text.replace("<br>", " "))).strip()


def _runs(text: str) -> list[str]:
    """Return the pieces that a browser cannot wrap."""
    return [run for run in _BREAKS.split(text) if run]
