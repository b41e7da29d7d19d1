"""The sentences of a page: prose, items of lists and rows of tables, each on one line and without its mark-up."""

from __future__ import annotations

import re
from collections.abc import Iterator

_END = re.compile(r"(?<=[.:?!])(?:\*\*|\))?\s+(?=[A-Z`*(\"]|\d)")


def sentences(page: str) -> Iterator[str]:
    """Yield the sentences of a page in Markdown; headings, commands and the lines above a table say nothing."""
    text = re.sub(r"```.*?```", "\n\n", page, flags=re.S)
    for block in re.split(r"\n\s*\n|\n(?=- )", text):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        rows = [line for line in lines if line.startswith("|")]
        if rows:
            yield from (" ".join(row.strip("| ").split()) for row in rows[2:])
        elif words := " ".join(" ".join(lines).split()):
            yield from (part for part in _END.split(words.removeprefix("- ")) if part)
