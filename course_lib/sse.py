r"""Server-sent events: one HTTP response that grows, event by event (WHATWG HTML, section 9.2).

A model's server sends one event a token; the desk sends one a flight, and the caller sees the first answer before the
last one is computed. On the way the network cuts the bytes where it likes: in the middle of an event, of a line ending,
of a letter. `Decoder` takes them as they come.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from course_lib.errors import CourseError

__all__ = ["DONE", "Decoder", "Event", "StreamError", "decode", "encode", "encode_text", "payloads"]

DONE = "[DONE]"  # how OpenAI-compatible servers end a stream; no JSON

_LINE_END = re.compile("\r\n|\r|\n")
_MILLISECONDS = re.compile("[0-9]{1,18}")  # what is longer is no time


class StreamError(CourseError):
    """A stream of events broke off, or held something else than was agreed on."""


@dataclass(frozen=True)
class Event:
    """One event of a stream.

    Attributes
    ----------
    name
        Kind of event, ``message`` if the stream does not say.
    text
        What it carries: the lines of its ``data`` fields.
    id
        The stream's last ``id`` so far, from which a client that reconnects may ask to go on.
    """

    name: str
    text: str
    id: str = ""

    @property
    def data(self) -> Any:
        """The text, read as JSON.

        Raises
        ------
        StreamError
            It is no JSON.
        """
        try:
            return json.loads(self.text)
        except ValueError as error:
            raise StreamError(
                f"The server sent {self.text[:80]!r}, which is no JSON.", expected="one object an event"
            ) from error


def encode(name: str, data: Any) -> bytes:
    r"""Return one event that carries JSON, as bytes of a stream.

    Examples
    --------
    >>> encode("prediction", {"index": 0})
    b'event: prediction\ndata: {"index":0}\n\n'
    """
    return encode_text(name, json.dumps(data, separators=(",", ":"), allow_nan=False))


def encode_text(name: str, text: str) -> bytes:
    r"""Return one event that carries text, a ``data`` field for each of its lines.

    Raises
    ------
    StreamError
        The name has a line break in it.

    Examples
    --------
    >>> encode_text("message", "one\ntwo")
    b'data: one\ndata: two\n\n'
    """
    if _LINE_END.search(name):
        raise StreamError(f"{name!r} cannot be the name of an event.", expected="a name on one line")
    lines = [] if name == "message" else [f"event: {name}"]
    lines += [f"data: {line}" for line in _LINE_END.split(text)]
    return ("\n".join(lines) + "\n\n").encode()


class Decoder:
    r"""An incremental decoder: pieces of bytes in, complete events out.

    An event without a ``data`` field is none, and one that has no empty line after it never becomes one.

    Attributes
    ----------
    retry_ms
        Milliseconds after which the server wants to be asked again if the stream breaks; ``None`` if it never said.

    Examples
    --------
    >>> decoder = Decoder()
    >>> decoder.feed(b'data: {"n"'), decoder.feed(b": 1}\n"), decoder.feed(b"\n")
    ([], [], [Event(name='message', text='{"n": 1}', id='')])
    """

    def __init__(self) -> None:
        self.retry_ms: int | None = None
        # A letter may be cut in two. A byte order mark at the beginning (-sig) is dropped, bad bytes become U+FFFD.
        self._text = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._rest = ""  # of a line that has no end yet
        self._after_return = False  # the last character was a carriage return: a line feed now belongs to it
        self._name, self._data, self._id = "", list[str](), ""

    def feed(self, piece: bytes) -> list[Event]:
        """Take the next bytes, and return every event that is complete now."""
        text = self._text.decode(piece)
        if not text:
            return []
        fresh = text.removeprefix("\n") if self._after_return else text
        self._after_return = text.endswith("\r")
        *lines, self._rest = _LINE_END.split(self._rest + fresh)
        return [event for line in lines if (event := self._line(line))]

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")  # a line that begins with a colon is a comment: its field is empty
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        elif field == "id" and "\0" not in value:
            self._id = value
        elif field == "retry" and _MILLISECONDS.fullmatch(value):
            self.retry_ms = int(value)
        return None

    def _dispatch(self) -> Event | None:
        """End the event at an empty line. Its id stays in force, name and data begin anew."""
        event = Event(self._name or "message", "\n".join(self._data), self._id) if self._data else None
        self._name, self._data = "", []
        return event


def decode(pieces: Iterable[bytes]) -> Iterator[Event]:
    r"""Yield the events of a stream, each as soon as the empty line after it has come.

    Examples
    --------
    >>> [event.data for event in decode([b'data: {"n": 1}\n\nda', b"ta: [2]\n\n"])]
    [{'n': 1}, [2]]
    """
    decoder = Decoder()
    for piece in pieces:
        yield from decoder.feed(piece)


def payloads(pieces: Iterable[bytes]) -> Iterator[Any]:
    r"""Yield the JSON of every event until ``[DONE]``, as OpenAI's protocol has it.

    Examples
    --------
    >>> list(payloads([b'data: {"n": 1}\n\nda', b"ta: [DONE]\n\n"]))
    [{'n': 1}]

    Raises
    ------
    StreamError
        The stream ended without ``[DONE]``: the answer is not complete. Or an event is no JSON.
    """
    for event in decode(pieces):
        if event.text.strip() == DONE:
            return
        yield event.data
    raise StreamError(
        "The stream broke off before [DONE].",
        expected="data: [DONE] as the last event",
        next_step="treat the answer as incomplete; ask again, or read the server's log",
    )
