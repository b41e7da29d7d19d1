"""What axe finds in the browser is found in the source first. Widths: see tests/browser/test_accessibility.py."""

from __future__ import annotations

import doctest

import pytest

from autograder.authoring import markdown_rules
from autograder.authoring.markdown_rules import markdown_faults


def problems(text):
    return [fault.problem for fault in markdown_faults(text)]


def table(header, *rows):
    return "\n".join(["|" + header + "|", "|" + "---|" * (header.count("|") + 1), *(f"|{row}|" for row in rows)])


def test_the_examples_in_the_documentation_are_true():
    assert doctest.testmod(markdown_rules).failed == 0


@pytest.mark.parametrize("header", [" | b ", " a | ", "`a`| ** ** ", " a | [](x)"])
def test_a_column_without_a_header_is_refused(header):
    assert problems("Text.\n\n" + table(header, "1 | 2") + "\n\nMore.") == ["a table has a column without a header"]


@pytest.mark.parametrize("header", ["a | b", "`x` | $y$", "**a** | [b](x)", r"a \| b | c"])
def test_a_table_with_a_word_above_every_column_is_fine(header):
    assert problems(table(header, "1 | 2")) == []


def test_prose_code_and_lists_with_bars_are_no_tables():
    assert problems("a | b\n\n```python\nx = a | b\n|---|---|\n```\n- `a | b`\n\n---\n") == []


# What JupyterLab needed for each, measured in Chromium: 806 pixels of 821, and 884; 782 and 936; 608 and 961.
@pytest.mark.parametrize(
    ("fits", "does_not"),
    [
        (table("h", "`" + "x" * 100 + "`"), table("h", "`" + "x" * 110 + "`")),
        (table("h", "x" * 100), table("h", "x" * 120)),
        (
            table("|".join("abcdef"), "|".join(["`xxxxxxxxxx`"] * 6)),
            table("|".join("abcdef"), "|".join(["x" * 20] * 6)),
        ),
    ],
)
def test_a_table_that_cannot_wrap_into_the_window_is_refused(fits, does_not):
    assert problems(fits) == []
    (problem,) = problems(does_not)
    assert "it cannot wrap 'xxxx" in problem


@pytest.mark.parametrize(
    "text",
    [
        table("h", "word " * 60 + "|" + "`" + "x" * 70 + "`"),
        table("h", "`" + "abc-def-" * 30 + "`"),
        "`" + "x = 1 + " * 40 + "`",
        "```python\n" + "x = 1 + " * 40 + "\n```",
        "```mermaid\nflowchart\n" + "A" * 200 + "\n```",
        f"[a word](https://example.com/{'a' * 200})",
        f"![what it shows](attachment:{'a' * 200}.png)",
    ],
)
def test_what_wraps_is_fine(text):
    assert problems(text) == []


@pytest.mark.parametrize(
    "text", ["x" * 120, "- `" + "x" * 120 + "`", "```\n" + "x" * 120 + "\n```", "https://example.com/" + "a/" * 60]
)
def test_text_and_code_without_a_place_to_wrap_are_refused(text):
    assert len(problems(text)) == 1


def test_a_source_with_such_a_table_is_no_release(tiny_course):
    from autograder.authoring.release import read_sources
    from autograder.authoring.sources import SourceError

    (path,) = (tiny_course / "solutions").glob("[0-9]*.py")
    path.write_text(path.read_text() + "\n# %% [markdown]\n# | | b |\n# |---|---|\n# | 1 | 2 |\n")
    with pytest.raises(SourceError, match="a table has a column without a header"):
        read_sources(tiny_course)
