"""A small reverse proxy for machines without HAProxy: HTTP/1.1, two weighted slots, the same runtime commands.

It does what the course needs and no more: no TLS, no retries, no caching. Run it as
``python -m course_lib.rollout.fallback_proxy --port 8000 --socket api.sock``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

__all__ = ["Slot", "choose", "main"]

_COLUMNS = ("pxname", "svname", "scur", "stot", "status", "weight", *(f"hrsp_{n}xx" for n in range(1, 6)))
_STATES = {"ready": "UP", "drain": "DRAIN", "maint": "MAINT"}
_NOBODY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
_BROKEN = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"
_ALIVE = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Slot:
    """One server behind the proxy."""

    name: str
    port: int = 9
    status: str = "MAINT"
    weight: int = 100
    credit: int = 0
    in_flight: int = 0
    total: int = 0
    answers: dict[int, int] = field(default_factory=dict)

    def row(self) -> str:
        """Return the slot as a line of ``show stat``."""
        hundreds = (self.answers.get(n, 0) for n in range(1, 6))
        values = ("desk", self.name, self.in_flight, self.total, self.status, self.weight, *hundreds)
        return ",".join(str(value) for value in values)


def choose(slots: dict[str, Slot]) -> Slot | None:
    """Return the slot for the next request: smooth weighted round robin (as in nginx), no randomness."""
    ready = [slot for slot in slots.values() if slot.status == "UP" and slot.weight > 0]
    if not ready:
        return None
    for slot in ready:
        slot.credit += slot.weight
    best = max(ready, key=lambda slot: slot.credit)
    best.credit -= sum(slot.weight for slot in ready)
    return best


class _Proxy:
    def __init__(self) -> None:
        self.slots = {name: Slot(name) for name in ("blue", "green")}

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one client connection, one after the other."""
        upstream: dict[int, Stream] = {}
        try:
            while head := await _head(reader):
                request = head + await _body(reader, head)
                if head.split(b" ", 2)[1:2] == [b"/proxy-alive"]:
                    writer.write(_ALIVE)
                else:
                    await self._forward(request, writer, upstream)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # the client left, or does not speak HTTP
        finally:
            for _, connection in [(None, writer), *upstream.values()]:
                connection.close()

    async def _forward(self, request: bytes, writer: asyncio.StreamWriter, upstream: dict[int, Stream]) -> None:
        slot = choose(self.slots)
        if slot is None:
            writer.write(_NOBODY)
            return
        slot.total += 1
        slot.in_flight += 1
        started = False
        try:
            reader, server = await _connection(slot.port, upstream)
            server.write(request)
            head = await _head(reader)
            if not head:
                raise ConnectionError("closed without an answer")
            writer.write(head)
            started = True
            await _relay(reader, writer, head)
            hundred = int(head.split(b" ", 2)[1]) // 100
            slot.answers[hundred] = slot.answers.get(hundred, 0) + 1
        except (OSError, asyncio.IncompleteReadError, ValueError):
            slot.answers[5] = slot.answers.get(5, 0) + 1
            _forget(slot.port, upstream)
            if started:
                raise  # half an answer is out: only closing the connection tells the client
            writer.write(_BROKEN)
        finally:
            slot.in_flight -= 1

    async def api(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one command."""
        words = (await reader.readline()).decode().split()
        try:
            writer.write(self._obey(words).encode() + b"\n")
        except (ValueError, KeyError, IndexError):
            writer.write(b"Unknown command.\n")
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    def _obey(self, words: list[str]) -> str:
        if words[:2] == ["show", "stat"]:
            return "\n".join(["# " + ",".join(_COLUMNS), *(slot.row() for slot in self.slots.values())])
        if words[:2] != ["set", "server"]:
            raise ValueError("unknown")
        slot = self.slots[words[2].removeprefix("desk/")]
        if words[3] == "state":
            slot.status = _STATES[words[4]]
        elif words[3] == "weight":
            slot.weight = int(words[4])
        elif words[3] == "addr":
            slot.port = int(words[6])
        else:
            raise ValueError("unknown")
        return ""


async def _connection(port: int, upstream: dict[int, Stream]) -> Stream:
    """Return this client's connection to a server: the one it has if it is still open, else a new one."""
    if port in upstream and (upstream[port][0].at_eof() or upstream[port][1].is_closing()):
        _forget(port, upstream)
    if port not in upstream:
        upstream[port] = await asyncio.open_connection("127.0.0.1", port)
    return upstream[port]


def _forget(port: int, upstream: dict[int, Stream]) -> None:
    if port in upstream:
        upstream.pop(port)[1].close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Return start line and headers; nothing if the connection was closed between two messages."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return b""


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if (_header(head, b"transfer-encoding") or b"").lower() == b"chunked":
        return b"".join([chunk async for chunk in _chunks(reader)])
    return await reader.readexactly(int(_header(head, b"content-length") or 0))


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the chunks of a message with their framing, up to and including the last."""
    while True:
        size = await reader.readuntil(b"\r\n")
        length = int(size.split(b";")[0], 16)
        yield size + await reader.readexactly(length + 2)
        if length == 0:
            return


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
    """Pass the body of an answer on as it comes, so that a stream stays a stream."""
    if (_header(head, b"transfer-encoding") or b"").lower() == b"chunked":
        async for chunk in _chunks(reader):
            writer.write(chunk)
            await writer.drain()
        return
    left = int(_header(head, b"content-length") or 0)
    while left > 0:
        part = await reader.read(min(left, 65536))
        if not part:
            raise ConnectionError("closed in the middle of an answer")
        writer.write(part)
        await writer.drain()
        left -= len(part)


async def _serve(port: int, path: str) -> None:
    proxy = _Proxy()
    api = await asyncio.start_unix_server(proxy.api, path)
    entrance = await asyncio.start_server(proxy.client, "127.0.0.1", port)
    async with api, entrance:
        await asyncio.gather(api.serve_forever(), entrance.serve_forever())


def main() -> None:
    """Run the proxy until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--socket", required=True)
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(given.port, given.socket))


if __name__ == "__main__":
    main()
