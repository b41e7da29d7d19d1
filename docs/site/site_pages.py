"""Pages that are made from notebooks and from the glossary."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from course_lib.errors import CourseError

__all__ = ["glossary_page", "glossary_terms", "notebook_link", "notebook_text"]

TERM = re.compile(r"- \*\*(?P<term>.+?)\*\* \((?P<notebooks>\d+(?:, \d+)*)\): (?P<meaning>\S.*)")


def notebook_text(path: Path) -> str:
    """Return a notebook for the site: each exercise gets an address, such as ``ex-6-2``, and nothing else changes."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] != "markdown":
            continue
        text = "".join(cell["source"])
        text = re.sub(r"^### Exercise (\d+)\.(\d+)", r"(ex-\1-\2)=\n\g<0>", text, flags=re.MULTILINE)
        cell["source"] = re.sub(
            r"^## Interview question", rf"(interview-{int(path.name[:2])})=\n\g<0>", text, flags=re.MULTILINE
        )
    return json.dumps(notebook, ensure_ascii=False, indent=1)


def glossary_terms(text: str) -> list[tuple[str, tuple[str, ...], str]]:
    """Return (term, notebooks, meaning) of each line of the glossary, in order.

    Raises
    ------
    CourseError
        A line does not read ``- **term** (6): meaning``.
    """
    found = []
    for line in text.splitlines():
        if not line.startswith("- "):
            continue
        if (entry := TERM.fullmatch(line)) is None:
            raise CourseError(
                f"The glossary has a line that cannot be read: {line[:60]}", expected="- **term** (6): meaning"
            )
        numbers = tuple(number.zfill(2) for number in entry["notebooks"].split(", "))
        found.append((entry["term"], numbers, entry["meaning"]))
    return found


def glossary_page(text: str, notebooks: Sequence[str]) -> str:
    """Return the glossary with an address for each term and links to the notebooks that teach it."""
    lines = ["# Glossary", "", text.split("\n\n")[1].replace("number in parentheses", "link"), "", "::::{glossary}"]
    for term, numbers, meaning in glossary_terms(text):
        taught = ", ".join(notebook_link(number, notebooks) for number in numbers)
        lines += [term, f"  {meaning} *Notebook {taught}.*", ""]
    return "\n".join([*lines, "::::", ""]).replace("::::", "````")


def notebook_link(number: str, notebooks: Sequence[str]) -> str:
    """Return a link to a notebook that exists, or its number alone."""
    names = [name for name in notebooks if name.startswith(number)]
    return f"[{int(number)}](notebooks/{names[0]}.ipynb)" if names else str(int(number))
