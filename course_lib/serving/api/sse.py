"""Server-sent events: one HTTP response that grows, event by event (WHATWG HTML, section 9.2).

Text generation uses it to show words as they come. Here a list of flights is scored one after the other, and the caller
sees the first answer before the last one is computed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Event", "decode", "encode"]


@dataclass(frozen=True)
class Event:
    """One event of a stream.

    Attributes
    ----------
    name
        Kind of event, ``message`` if the stream does not say.
    data
        The decoded JSON.
    """

    name: str
    data: Any


def encode(name: str, data: Any) -> bytes:
    r"""Return one event as bytes of a stream.

    Examples
    --------
    >>> encode("prediction", {"index": 0})
    b'event: prediction\ndata: {"index":0}\n\n'
    """
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'), allow_nan=False)}\n\n".encode()


def decode(lines: Iterable[str]) -> Iterator[Event]:
    r"""Yield the events of a stream, each as soon as the empty line after it arrives.

    Examples
    --------
    >>> list(decode(["event: prediction", 'data: {"index":0}', ""]))
    [Event(name='prediction', data={'index': 0})]
    """
    name = "message"
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield Event(name, json.loads("\n".join(data)))
            name, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
