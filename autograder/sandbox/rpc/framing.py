"""Framing on a socket: a JSON head and binary parts, with limits on both, so that a hostile sender can't exhaust us.

A frame is ``8 bytes: sizes of head and body (big endian)``, the head (UTF-8 JSON), the body. The head's key ``"b"``
lists the sizes of the binary parts that follow each other in the body.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
from collections.abc import Sequence
from typing import Any

from autograder.sandbox.messages import M, Malformed, Message, dumps, loads

__all__ = ["Closed", "Wire", "peer_pid", "recv_message", "send_message"]

MAX_HEAD = 24 << 20
MAX_BODY = 256 << 20
_SIZES = struct.Struct("!II")
_UCRED = struct.Struct("3i")
_MAX_MESSAGE = 1 << 16
_MAX_DESCRIPTORS = 16


class Closed(ConnectionError):
    """The other end is gone."""


class Wire:
    """One end of a stream of frames; sending is safe from several threads."""

    def __init__(self, sock: socket.socket, *, max_head: int = MAX_HEAD, max_body: int = MAX_BODY) -> None:
        self.sock = sock
        self._limits = max_head, max_body
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """Return the file descriptor, for ``select``."""
        return self.sock.fileno()

    def send(self, head: dict[str, Any], blobs: Sequence[bytes | memoryview] = ()) -> None:
        """Send one frame; raise `Closed` if nobody can receive it, `Malformed` if it is over the limits."""
        if blobs:
            head = {**head, "b": [len(blob) for blob in blobs]}
        text = json.dumps(head, separators=(",", ":")).encode("ascii")
        body = b"".join(blobs)
        if len(text) > self._limits[0] or len(body) > self._limits[1]:
            raise Malformed(f"a message of {(len(text) + len(body)) >> 20} MB is too large")
        with self._lock:
            try:
                self.sock.sendall(_SIZES.pack(len(text), len(body)) + text)
                if body:
                    self.sock.sendall(body)
            except OSError as error:
                raise Closed(str(error)) from error

    def recv(self) -> tuple[dict[str, Any], list[bytes]]:
        """Return the next frame's head and binary parts."""
        head_size, body_size = _SIZES.unpack(self._exactly(_SIZES.size))
        if head_size > self._limits[0] or body_size > self._limits[1]:
            raise Malformed(f"a message of {(head_size + body_size) >> 20} MB is too large")
        text, body = self._exactly(head_size), self._exactly(body_size)
        try:
            head = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"a message is no JSON: {type(error).__name__}") from error
        if not isinstance(head, dict):
            raise Malformed("a message is no object")
        return head, _split(body, head.pop("b", []))

    def _exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            try:
                chunk = self.sock.recv(min(size - len(parts), 1 << 20))
            except OSError as error:
                raise Closed(str(error)) from error
            if not chunk:
                raise Closed("end of stream")
            parts += chunk
        return bytes(parts)

    def close(self) -> None:
        """Close the socket, also for a thread that is reading from it."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def _split(body: bytes, sizes: object) -> list[bytes]:
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise Malformed("sizes of binary parts are no numbers")
    if sum(sizes) != len(body):
        raise Malformed("binary parts don't add up")
    parts, start = [], 0
    for size in sizes:
        parts.append(body[start : start + size])
        start += size
    return parts


def send_message(sock: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Send one small message with file descriptors over a ``SOCK_SEQPACKET`` socket."""
    try:
        socket.send_fds(sock, [dumps(message).encode()], fds)
    except OSError as error:
        raise Closed(str(error)) from error


def recv_message(sock: socket.socket, *accepted: type[M]) -> tuple[M, list[int]]:
    """Receive what `send_message` sent, if it is one of the messages that are ``accepted``, and its descriptors."""
    try:
        data, fds, _, _ = socket.recv_fds(sock, _MAX_MESSAGE, _MAX_DESCRIPTORS)
    except OSError as error:
        raise Closed(str(error)) from error
    try:
        if not data:
            raise Closed("end of stream")
        return loads(data, *accepted), fds
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise


def peer_pid(sock: socket.socket) -> int:
    """Receive one byte on a stream socket with ``SO_PASSCRED`` and return who sent it, as the kernel says."""
    data, ancillary, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(_UCRED.size))
    if not data:
        raise Closed("end of stream")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            return int(_UCRED.unpack(payload[: _UCRED.size])[0])
    return 0
