"""Non-blocking readers of answers and printed output from a process that may send too much, or nonsense."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Sequence
from typing import Any

from autograder.sandbox.messages import Answer, Command, Malformed, dumps, loads
from autograder.sandbox.model import Limits

__all__ = ["Frames", "Output"]

_SIZES = struct.Struct("!II")
_MAX_HEAD = 8 << 20


class Frames:
    """Puts the frames of :mod:`autograder.sandbox.rpc.framing` together from what has arrived so far (heads only)."""

    def __init__(self, *accepted: type[Answer]) -> None:
        self._accepted = accepted
        self._data = bytearray()

    @staticmethod
    def frame(message: Command) -> bytes:
        """Return one frame."""
        text = dumps(message).encode("ascii")
        return _SIZES.pack(len(text), 0) + text

    def feed(self, data: bytes) -> list[Answer]:
        """Take ``data`` and return the answers that are complete now; raise `Malformed` for any not accepted."""
        self._data += data
        found = []
        while len(self._data) >= _SIZES.size:
            head, body = _SIZES.unpack_from(self._data)
            if head > _MAX_HEAD or body:
                raise Malformed("a message is too large")
            if len(self._data) < _SIZES.size + head:
                break
            text = bytes(self._data[_SIZES.size : _SIZES.size + head])
            del self._data[: _SIZES.size + head]
            found.append(loads(text, *self._accepted))
        return found


class Output:
    """What a process prints: the beginning of each cell's is kept, all of it is counted and taken off the pipe."""

    def __init__(self, limits: Limits) -> None:
        self._keep = limits.output_kb << 10
        self._flood = limits.flood_mb << 20
        self._pipes: dict[int, int] = {}  # descriptor -> 0 for standard output, 1 for standard error
        self._kept = [bytearray(), bytearray()]
        self._seen = [0, 0]
        self._total = 0

    @property
    def flooded(self) -> bool:
        """Whether more was printed than any notebook has reason to."""
        return self._total > self._flood

    def open(self) -> tuple[int, int]:
        """Make new pipes and return the ends to write to: standard output and standard error."""
        self.close()
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        for fd in (out, err):
            os.set_blocking(fd, False)
        self._pipes = {out: 0, err: 1}
        self._total = 0
        return out_end, err_end

    def fds(self) -> list[int]:
        """Return the descriptors to wait for."""
        return list(self._pipes)

    def read(self, ready: Sequence[Any]) -> None:
        """Read from those pipes that are ready; a pipe whose writers are all gone is closed."""
        for fd, stream in [(fd, stream) for fd, stream in self._pipes.items() if fd in ready]:
            try:
                data = os.read(fd, 1 << 16)
            except BlockingIOError:
                continue
            if not data:
                os.close(fd)
                del self._pipes[fd]
            self._total += len(data)
            self._seen[stream] += len(data)
            self._kept[stream] += data[: max(self._keep - len(self._kept[stream]), 0)]

    def drain(self) -> None:
        """Read what is in the pipes now, up to a limit."""
        for _ in range(64):
            before = self._total
            self.read(list(self._pipes))
            if self._total == before:
                return

    def take(self) -> tuple[str, str]:
        """Return what was kept since the last call, with a note where something was left out."""
        texts = []
        for stream, kept in enumerate(self._kept):
            text = kept.decode("utf-8", errors="backslashreplace")
            left_out = self._seen[stream] - len(kept)
            texts.append(text + (f"\n… {left_out:,} more bytes" if left_out > 0 else ""))
        self._kept, self._seen = [bytearray(), bytearray()], [0, 0]
        return texts[0], texts[1]

    def close(self) -> None:
        """Close the pipes."""
        for fd in self._pipes:
            with contextlib.suppress(OSError):
                os.close(fd)
        self._pipes = {}
