"""Each sentence of the pages for instructors is held by a test that looks at content, or says why it needs none."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.docs.promises import ADVICE, MEASURED, PAGES, WORDS
from tests.docs.sentences import sentences

ROOT = Path(__file__).parents[2]


@cache
def names_by_file() -> dict[str, set[str]]:
    """Return the names of the tests of each file; two files of one name count together."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        names = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        found.setdefault(path.stem, set()).update(names)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_sentence_of_the_page_has_a_test_or_a_reason(page):
    found = list(sentences((ROOT / "docs" / f"{page}.md").read_text()))
    assert len(found) > 80
    held = {beginning: [s for s in found if s.startswith(beginning)] for beginning in PAGES[page]}
    without = [s for s in found if not any(s.startswith(beginning) for beginning in PAGES[page])]
    assert without == [], "write its test and name it in tests/docs/promises.py"
    assert {beginning: own for beginning, own in held.items() if len(own) != 1} == {}, "not exactly one sentence"


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_is_there(page):
    named = [one for held in PAGES[page].values() for one in ([held] if isinstance(held, str) else held)]
    missing = [one for one in named if one not in (WORDS, ADVICE, MEASURED) and not is_there(one)]
    assert missing == []


def is_there(name: str) -> bool:
    file, _, test = name.partition("::")
    return test in names_by_file().get(file, ())


def test_a_sentence_is_found_in_prose_lists_and_tables():
    page = "# Title\n\nOne. *Two* is\nhere: 3 words.\n\n"
    page += "| a | b |\n|---|---|\n| `c` | d. E |\n\n- **Four** is. `five`.\n\n```sh\nno\n```\nSix"
    assert list(sentences(page)) == [
        "One.",
        "*Two* is here:",
        "3 words.",
        "`c` | d. E",
        "**Four** is.",
        "`five`.",
        "Six",
    ]
