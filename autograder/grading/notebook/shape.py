r"""Bounded JSON parser for notebooks: outputs are skipped unparsed, and depth and number of values have a limit.

A file's size says little about what parsing it costs: ``[[],[],[],…`` takes thirty times its size in memory, and a
hundred kilobytes of ``[[[[…`` are too deep for every recursive reader. Text inside JSON's strings has its quotes
escaped, so a search for ``"outputs":`` finds keys only.
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["Misshapen", "parse", "skim"]

_MAX_BESIDES = 64 << 20  # bytes of a notebook without its outputs
_MAX_MARKS = 4_000_000  # commas and opening brackets in them: what takes memory when it is parsed
_MAX_DEPTH = 50  # of a list or object in others; a notebook of Jupyter's has about ten
_MAX_STEPS = 1_000_000  # brackets looked at one by one
_LARGE = 32 << 20  # bytes of outputs that are worth a word
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_COLON = re.compile(rb"[ \t\r\n]*+:[ \t\r\n]*+(?=[\[{])")


def _skipping(levels: int) -> bytes:
    """Return the pattern of everything up to a bracket, with the lists and objects that have at most ``levels``."""
    inner = rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+"
    for _ in range(levels):
        inner = rb'(?:[^"\[\]{}]++|' + _STRING + rb"|[\[{]" + inner + rb"[\]}])*+"
    return inner


_SHALLOW = re.compile(_skipping(5), re.DOTALL)
_FLAT = re.compile(_skipping(0), re.DOTALL)


class Misshapen(Exception):
    """The file is larger or deeper than a notebook has reason to; the text says how."""


def skim(raw: bytes, notes: list[str]) -> bytes:
    """Return the JSON in ``raw`` (ASCII or any code that extends it) with an empty list for all outputs and widgets.

    Where that is still too much, attachments go too, and then metadata: cells are recognised without them. ``notes``
    says what was left out.

    Raises
    ------
    Misshapen
        What is left would take too much time or memory to parse.
    """
    size = len(raw)
    raw = _without(_without(raw, b"outputs"), b"widgets")
    if size - len(raw) > _LARGE:
        notes.append(f"The file has {size >> 20} MB, nearly all of it outputs; these were left out.")
    for key in (b"attachments", b"metadata"):
        if excess := _excess(raw):
            raw = _without(raw, key)
            notes.append(f"The file had {excess} besides its outputs; its {key.decode()} were left out.")
    if excess := _excess(raw):
        raise Misshapen(f"The file has {excess} besides its outputs; that is more than can be read.")
    return raw


def _excess(raw: bytes) -> str:
    """Return what is too much in ``raw``; nothing if it may be parsed."""
    if len(raw) > _MAX_BESIDES:
        return f"{len(raw) >> 20} MB"
    return f"{marks:,} values" if (marks := sum(raw.count(mark) for mark in (b"[", b"{", b","))) > _MAX_MARKS else ""


def parse(text: str, notes: list[str]) -> Any:
    """Return the JSON in ``text``.

    What is nested too deep becomes null, a number of hundreds of digits or none at all becomes text; ``notes`` says so.

    Raises
    ------
    ValueError
        It is no JSON.
    Misshapen
        It would take too much time.
    """
    try:
        return _loaded(text, notes)
    except RecursionError:
        shallow = _without_depths(text.encode("utf-8", errors="replace")).decode("utf-8", errors="replace")
        notes.append(f"What was nested more than {_MAX_DEPTH} levels deep was left out.")
        return _loaded(shallow, notes)


def _loaded(text: str, notes: list[str]) -> Any:
    def whole(digits: str) -> int | str:
        if len(digits) <= 300:
            return int(digits)
        notes.append("A number of more than 300 digits was read as text.")
        return digits

    def no_number(name: str) -> str:
        notes.append(f"The notebook held {name}, which is no number; it was read as text.")
        return name

    loaded = json.loads(text, strict=False, parse_int=whole, parse_constant=no_number)
    if isinstance(loaded, str) and not text.lstrip().startswith('"'):
        raise ValueError("it is a number")
    return loaded


def _without(raw: bytes, key: bytes) -> bytes:
    """Return ``raw`` with an empty list for each list or object under ``key``; as it is where brackets don't match."""
    kept, done, at, quoted = [], 0, 0, b'"' + key + b'"'
    while (at := raw.find(quoted, at)) >= 0:
        found = _COLON.match(raw, at + len(quoted)) if raw[at - 1 : at] != b"\\" else None
        at += len(quoted)
        if found:
            end = _end_of(raw, found.end())
            if end < 0:
                break
            kept += [raw[done : found.end()], b"[]"]
            at = done = end
    return b"".join([*kept, raw[done:]]) if kept else raw


def _end_of(raw: bytes, start: int) -> int:
    """Return where the list or object that begins at ``start`` ends; -1 if it doesn't."""
    at, depth, steps = start, 0, 0
    while True:
        if raw[at : at + 1] in (b"[", b"{"):
            depth += 1
        elif raw[at : at + 1] in (b"]", b"}"):
            depth -= 1
        else:
            return -1
        at, steps = at + 1, steps + 1
        if depth == 0:
            return at
        if steps > _MAX_STEPS:
            raise Misshapen(f"It holds lists in lists, more than {_MAX_STEPS // 1_000_000} million of them.")
        matched = _SHALLOW.match(raw, at)
        at = matched.end() if matched else at


def _without_depths(raw: bytes) -> bytes:
    """Return ``raw`` with null for everything that is nested too deep."""
    kept, done, at, depth, steps = [], 0, 0, 0, 0
    while at < len(raw):
        matched = _FLAT.match(raw, at)
        at = matched.end() if matched else at
        mark = raw[at : at + 1]
        if mark in (b"[", b"{"):
            depth += 1
            if depth > _MAX_DEPTH:
                end = _end_of(raw, at)
                if end < 0:
                    raise Misshapen("The file is nested too deeply to be read.")
                kept += [raw[done:at], b"null"]
                at = done = end
                depth -= 1
                continue
        elif mark in (b"]", b"}"):
            depth -= 1
        elif mark:
            break
        at, steps = at + 1, steps + 1
        if steps > _MAX_STEPS:
            raise Misshapen("The file is nested too deeply to be read.")
    return b"".join([*kept, raw[done:]])
