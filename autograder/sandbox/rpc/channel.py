"""Request channel between two processes: several calls at once, in both directions, nested as deep as they come.

A request runs in the thread that waits for the call it belongs to (so a callback runs where the call was made), else in
the main thread if that is idle, else in a thread of its own. Replies find their waiter by number.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from autograder.sandbox.messages import Malformed
from autograder.sandbox.rpc.framing import Closed, Wire

__all__ = ["Channel", "Handler", "PeerGone"]

Message = tuple[dict[str, Any], list[bytes]]
Handler = Callable[[dict[str, Any], list[bytes]], tuple[dict[str, Any], Sequence[bytes]]]
_MAX_WORKERS = 64
_MAX_QUEUED = 256


class PeerGone(RuntimeError):
    """The process at the other end has ended."""


class _AsyncInbox:
    """Where a coroutine waits for its reply; calls back that come meanwhile run elsewhere."""

    def __init__(self, hand_out: Callable[[Message], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Message | None] = self._loop.create_future()
        self._hand_out = hand_out

    def put(self, message: Message | None) -> None:
        if message is not None and "re" not in message[0]:
            self._hand_out(message)
            return
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._resolve, message)

    def qsize(self) -> int:
        return 0

    def _resolve(self, message: Message | None) -> None:
        if not self.future.done():
            self.future.set_result(message)


class Channel:
    """One end of a conversation.

    Parameters
    ----------
    wire
        The socket.
    handler
        Answers a request: gets head and binary parts, returns those of the reply. It doesn't raise.
    """

    def __init__(self, wire: Wire, handler: Handler) -> None:
        self._wire = wire
        self._handler = handler
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[Message | None] | _AsyncInbox] = {}
        self._current: ContextVar[int | None] = ContextVar("during", default=None)
        self._main: queue.SimpleQueue[Message | None] | None = None
        self._main_busy = False
        self._workers = 0
        self._lock = threading.Lock()
        self.gone = False
        os.register_at_fork(after_in_child=self._hang_up)

    def start(self) -> None:
        """Start reading in a thread."""
        threading.Thread(target=self._read, name="course-channel", daemon=True).start()

    def _hang_up(self) -> None:
        """In a fork nobody reads what comes: a call of an object of the other process fails at once."""
        self.gone, self._lock = True, threading.Lock()

    def request(self, head: dict[str, Any], blobs: Sequence[bytes] = ()) -> Message:
        """Send a request, answer what comes back meanwhile, and return the reply."""
        number = next(self._numbers)
        inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        with self._lock:
            if self.gone:
                raise PeerGone("the process has ended")
            self._waiting[number] = inbox
        try:
            self._send({**head, "id": number, "during": self._current.get()}, blobs)
            while True:
                message = inbox.get()
                if message is None:
                    raise PeerGone("the process ended before it answered")
                if "re" in message[0]:
                    return message
                self._answer(message)
        finally:
            self._waiting.pop(number, None)

    async def request_async(self, head: dict[str, Any], blobs: Sequence[bytes] = ()) -> Message:
        """Send a request and wait for its reply without holding up the event loop."""
        number = next(self._numbers)
        inbox = _AsyncInbox(self._hand_out)
        with self._lock:
            if self.gone:
                raise PeerGone("the process has ended")
            self._waiting[number] = inbox
        try:
            self._send({**head, "id": number, "during": self._current.get()}, blobs)
            message = await inbox.future
        finally:
            self._waiting.pop(number, None)
        if message is None:
            raise PeerGone("the process ended before it answered")
        return message

    def serve_main(self) -> queue.SimpleQueue[Message | None]:
        """Let the main thread take requests: it reads this queue and calls `answer_in_main`."""
        self._main = queue.SimpleQueue()
        return self._main

    @contextlib.contextmanager
    def main_busy(self) -> Iterator[None]:
        """Have requests that come meanwhile answered in other threads."""
        self._main_busy = True
        try:
            yield
        finally:
            self._main_busy = False

    def answer_in_main(self, message: Message) -> None:
        """Answer a request taken from the queue of `serve_main`."""
        try:
            self._answer(message, in_main=True)
        except BaseException:
            self._main_busy = False
            raise

    def reply(self, number: int, head: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
        """Send the reply to request ``number``, which the handler may have withheld by returning an empty head."""
        with contextlib.suppress(Closed):
            try:
                self._wire.send({**head, "re": number}, blobs)
            except Malformed as error:
                self._wire.send({"re": number, "err": {"mro": ["builtins:ValueError"], "text": f"the result: {error}"}})

    def _send(self, head: dict[str, Any], blobs: Sequence[bytes]) -> None:
        try:
            self._wire.send(head, blobs)
        except Closed as error:
            raise PeerGone("the process has ended") from error

    def _read(self) -> None:
        try:
            while True:
                self._dispatch(self._wire.recv())
        except (Closed, Malformed, RecursionError, MemoryError):
            pass
        finally:
            with self._lock:
                self.gone = True
                waiting = list(self._waiting.values())
            for inbox in waiting:
                inbox.put(None)
            if self._main is not None:
                self._main.put(None)
            self._wire.close()

    def _dispatch(self, message: Message) -> None:
        head = message[0]
        answered, during = head.get("re"), head.get("during")
        if answered is not None:
            inbox = self._waiting.get(answered) if type(answered) is int else None
        else:
            if type(head.get("id")) is not int:
                raise Malformed("a request has no number")
            inbox = self._waiting.get(during) if type(during) is int else None
        if inbox is not None:
            if inbox.qsize() > _MAX_QUEUED:
                raise Malformed("too many messages at once")
            inbox.put(message)
        elif answered is None:
            self._hand_out(message)

    def _hand_out(self, message: Message) -> None:
        if self._main is not None and not self._main_busy:
            self._main_busy = True
            self._main.put(message)
            return
        with self._lock:
            if self._workers >= _MAX_WORKERS:
                raise Malformed("too many requests at once")
            self._workers += 1
        try:
            threading.Thread(target=self._work, args=(message,), name="course-worker", daemon=True).start()
        except RuntimeError:  # no more threads are allowed: it has to wait for the main one
            with self._lock:
                self._workers -= 1
            if self._main is None:
                raise Malformed("no thread is left to answer in") from None
            self._main.put(message)

    def _work(self, message: Message) -> None:
        try:
            self._answer(message)
        finally:
            with self._lock:
                self._workers -= 1

    def _answer(self, message: Message, *, in_main: bool = False) -> None:
        head, blobs = message
        outer = self._current.set(head["id"])
        try:
            reply, parts = self._handler(head, blobs)
        finally:
            self._current.reset(outer)
        if in_main:
            self._main_busy = False  # before the reply, for the next request can come right after it
        if reply:
            self.reply(head["id"], reply, parts)
