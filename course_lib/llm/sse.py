r"""Server-sent events as they come off the wire: bytes in pieces of any size (WHATWG HTML, section 9.2).

`course_lib.serving.api.sse` writes events and reads them line by line. A model's server sends one event a token, and
the network cuts the bytes where it likes: in the middle of an event, of a line ending, of a letter. `Decoder` takes
them as they come.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import Any

from course_lib.llm.errors import LLMError

__all__ = ["DONE", "Decoder", "payloads"]

DONE = "[DONE]"  # how OpenAI-compatible servers end a stream; no JSON


class Decoder:
    r"""Turns pieces of bytes into the data of complete events.

    Examples
    --------
    >>> decoder = Decoder()
    >>> decoder.feed(b'data: {"n"'), decoder.feed(b": 1}\n"), decoder.feed(b"\n")
    ([], [], ['{"n": 1}'])
    """

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8")(errors="replace")  # a letter may be cut in two
        self._buffer = ""
        self._after_return = False  # the last byte was a carriage return: a line feed now belongs to it
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[str]:
        """Take the next bytes, and return the data of every event that is complete now."""
        text = self._text.decode(piece)
        if not text:
            return []
        fresh = text.removeprefix("\n") if self._after_return else text
        self._after_return = text.endswith("\r")
        *lines, self._buffer = (self._buffer + fresh).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return [data for line in lines if (data := self._line(line)) is not None]

    def _line(self, line: str) -> str | None:
        if not line:  # an empty line ends an event
            data, self._data = self._data, []
            return "\n".join(data) if data else None
        field, _, value = line.partition(":")
        if field == "data":  # a line that begins with a colon is a comment: field is empty
            self._data.append(value.removeprefix(" "))
        return None


def payloads(pieces: Iterable[bytes]) -> Iterator[Any]:
    r"""Yield the JSON of every event until ``[DONE]``.

    Examples
    --------
    >>> list(payloads([b'data: {"n": 1}\n\nda', b"ta: [DONE]\n\n"]))
    [{'n': 1}]

    Raises
    ------
    LLMError
        The stream ended without ``[DONE]``: the answer is not complete. Or an event is no JSON.
    """
    decoder = Decoder()
    for piece in pieces:
        for data in decoder.feed(piece):
            if data.strip() == DONE:
                return
            try:
                yield json.loads(data)
            except ValueError as error:
                raise LLMError(
                    f"The server sent {data[:80]!r}, which is no JSON.", expected="one object an event"
                ) from error
    raise LLMError(
        "The stream broke off before [DONE].",
        expected="data: [DONE] as the last event",
        next_step="treat the answer as incomplete; ask again, or read the server's log",
    )
