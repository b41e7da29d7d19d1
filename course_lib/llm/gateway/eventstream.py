"""AWS event-stream framing: the binary messages in which Bedrock streams its answers.

::

    4 bytes   length of the whole message        ┐
    4 bytes   length of the headers              ├ the prelude
    4 bytes   CRC-32 of the eight bytes before   ┘
    n bytes   headers: name length (1), name, type (1; 7 is text), value length (2), value
    m bytes   payload, here JSON
    4 bytes   CRC-32 of everything before

Numbers are big-endian. Source: Smithy 2.0, "Amazon Event Stream Specification".
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

__all__ = ["MEDIA_TYPE", "encode", "event", "exception"]

MEDIA_TYPE = "application/vnd.amazon.eventstream"
_TEXT = 7  # the type of a header's value; the only one Bedrock uses


def encode(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return one message."""
    packed = b"".join(_header(name, value) for name, value in headers.items())
    sizes = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    message = sizes + struct.pack(">I", zlib.crc32(sizes)) + packed + payload
    return message + struct.pack(">I", zlib.crc32(message))


def event(kind: str, data: Mapping[str, Any]) -> bytes:
    """Return an event as a message, such as ``contentBlockDelta``."""
    return _message("event", ":event-type", kind, data)


def exception(kind: str, message: str) -> bytes:
    """Return an error that comes after the stream began, when the status is long sent."""
    return _message("exception", ":exception-type", kind, {"message": message})


def _message(sort: str, key: str, kind: str, data: Mapping[str, Any]) -> bytes:
    headers = {key: kind, ":content-type": "application/json", ":message-type": sort}
    return encode(headers, json.dumps(data, separators=(",", ":")).encode())


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return struct.pack(">B", len(key)) + key + struct.pack(">BH", _TEXT, len(text)) + text
