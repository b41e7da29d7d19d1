r"""Text sanitisation: what strangers wrote, as text and JSON that every file, table, page and terminal can hold.

Cells, outputs, exceptions, file names, names and metadata of a submission pass here once, at the door:
:mod:`autograder.grading.notebook.read` for what was handed in, :mod:`autograder.sandbox.outcomes` for what came out
of a run, :class:`autograder.model.Refusal` for names of files. What is not printable becomes a visible escape (a half
of a surrogate pair the six characters ``\ud800``), what is too long is cut with a note, and JSON that is nested or
numbered beyond measure is refused by name.
"""

from __future__ import annotations

import math
import re
from typing import Any

__all__ = ["LEFT_OUT", "Unbounded", "bounded_json", "plain_output", "runnable", "shortened", "table_cell", "visible"]

LEFT_OUT = "Outputs were left out: "  # how a note about them begins

# Marks that change the order in which text is read (Unicode Technical Report 36; CVE-2021-42574), and the invisible
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_BREAKS = "\u0085\u2028\u2029"  # lines end here for some readers and not for others
_HIDDEN = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDI}{_BREAKS}\ufeff\ufff9-\uffff\ud800-\udfff]")
_NOT_SOURCE = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\))")
_MAX_DIGITS = 300  # of a whole number: a float holds no more
_FORMULA = re.compile(r"(^|[;|])(\s*)(?=[=+\-@＝＋－＠])")  # some locales part cells at a semicolon
_NUMBER = re.compile(r"[+-]?\d{1,300}(?:[.,]\d{1,300})?(?:[eE][+-]?\d{1,3})?%?", re.ASCII)


class Unbounded(ValueError):
    """JSON is larger, deeper or stranger than any notebook has reason to; the text says how."""


def visible(text: str, limit: int = 10_000) -> str:
    r"""Return ``text`` with a visible escape for each character that cannot be seen or stored; lines and tabs stay.

    >>> print(visible("bad \ud800 half\x00, \u202egnp.exe"))
    bad \ud800 half\x00, \u202egnp.exe
    >>> visible("abcdef", limit=3)
    'abc … (3 more characters)'
    """
    rest = len(text) - limit
    shown = _HIDDEN.sub(_escape, text[:limit].replace("\r\n", "\n"))
    return shown + _more(rest)


def shortened(text: str, limit: int) -> str:
    """Return the beginning of ``text``, with a note of how much is missing."""
    return text[:limit] + _more(len(text) - limit)


def _more(rest: int) -> str:
    return f" … ({rest:,} more characters)" if rest > 0 else ""


def runnable(source: str) -> str:
    r"""Return the source of a cell as it may be stored and run: what is no character is an escape, spaces are kept.

    In a string an escape means what it stands for, so an answer does not change by it.
    """
    return _NOT_SOURCE.sub(_escape, source)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def plain_output(text: str, limit: int = 1 << 20) -> str:
    """Return what a program printed as a terminal would leave it: without colours, each line after its last return."""
    text = _ANSI.sub("", text[: limit + 1] if len(text) > limit else text).replace("\r\n", "\n")
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return visible(text, limit)


def bounded_json(value: Any, *, depth: int = 32, items: int = 20_000, characters: int = 1 << 20) -> Any:
    """Return a copy of ``value`` in which every text is visible and every number can be written.

    Raises
    ------
    Unbounded
        It is nested deeper than ``depth``, has more than ``items`` values or ``characters``, or is no JSON.
    """
    left = [items, characters]

    def text(value: str) -> str:
        left[1] -= len(value)
        if left[1] < 0:
            raise Unbounded(f"more than {characters:,} characters")
        return visible(value, characters)

    def copy(value: Any, level: int) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise Unbounded(f"more than {items:,} values")
        if level > depth:
            raise Unbounded(f"nested more than {depth} levels deep")
        if isinstance(value, dict):
            return {text(str(key)): copy(inner, level + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [copy(inner, level + 1) for inner in value]
        return text(value) if isinstance(value, str) else _scalar(value)

    return copy(value, 0)


def _scalar(value: Any) -> Any:
    """Return a number, truth value or nothing, as JSON has them."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value.bit_length() > _MAX_DIGITS * 3:
            raise Unbounded(f"a number of more than {_MAX_DIGITS} digits")
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    raise Unbounded(f"a value of type {type(value).__name__:.40}")


def table_cell(field: str) -> str:
    """Return ``field`` for a spreadsheet, on one line: text that it would compute gets an apostrophe, numbers stay.

    >>> table_cell("=1+1"), table_cell(" @SUM(A1)"), table_cell("-0.5"), table_cell("1;=2")
    ("'=1+1", "' @SUM(A1)", '-0.5', "1;'=2")
    """
    field = visible(field)
    field = " ".join(field.split()) if "\n" in field or "\t" in field else field
    return field if _NUMBER.fullmatch(field) else _FORMULA.sub(r"\1'\2", field)
