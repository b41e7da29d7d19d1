"""Processes that have run a notebook's leading cells once; submissions that left them alone are forked from here.

A snapshot is only used up to the last cell after which it has one thread, no child process and no open file that can be
written to or talked through: everything else would be shared by the submissions, or be lost in the fork.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from autograder.sandbox.forkserver import ForkServer, as_archive, as_memory_file
from autograder.sandbox.model import Limits
from autograder.sandbox.rpc.framing import Closed, recv_message, send_message

__all__ = ["Snapshot", "SnapshotCache"]

_CACHED = 4


class Snapshot:
    """A slot for one snapshot: empty, or with a process that has run the first ``count`` cells."""

    def __init__(self, *, kept: bool = False) -> None:
        self.kept = kept  # for as long as the forkserver lives
        self.control: socket.socket | None = None
        self.count = 0
        self._made = False
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return self.control is not None and self.count > 0

    def make(
        self, forkserver: ForkServer, cells: Sequence[tuple[int, str]], files: Mapping[str, bytes], limits: Limits
    ) -> None:
        """Run ``cells``, or as many of them as can be shared; do nothing if that was done before."""
        with self._lock:
            if self._made:
                return
            self._made = True
            wanted = list(cells)
            while wanted:
                told = self._try(forkserver, wanted, files, limits)
                if told and told["safe"]:
                    self.count = len(wanted)
                    return
                self._hang_up()
                wanted = wanted[: told["ran"] - 1] if told else []

    def _try(
        self, forkserver: ForkServer, cells: Sequence[tuple[int, str]], files: Mapping[str, bytes], limits: Limits
    ) -> dict[str, Any] | None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        lifeline, end = os.pipe()
        os.close(lifeline)
        try:
            forkserver.fork({"op": "session", "disk_mb": limits.disk_mb}, [theirs.fileno(), end])
            theirs.close()
            if files:
                self._send("files", as_memory_file(as_archive(files)))
            self._send("prefix", as_memory_file(json.dumps(list(cells)).encode()))
            return self._wait(time.monotonic() + limits.wall_seconds)
        except Closed:
            return None
        finally:
            theirs.close()
            os.close(end)

    def _send(self, op: str, fd: int) -> None:
        assert self.control is not None
        try:
            send_message(self.control, {"op": op}, [fd])
        finally:
            os.close(fd)

    def _wait(self, deadline: float) -> dict[str, Any] | None:
        assert self.control is not None
        while select.select([self.control], [], [], max(deadline - time.monotonic(), 0))[0]:
            message, _, _ = recv_message(self.control)
            if message["op"] == "prefix":
                return message
            if message["op"] == "failed":
                return None
        return None

    def _hang_up(self) -> None:
        if self.control is not None:
            self.control.close()
            self.control = None

    def retire(self) -> None:
        """End the process; submissions that were forked from it end as well."""
        with self._lock:
            self._hang_up()


class SnapshotCache:
    """The snapshots of one forkserver: each is made at most once for the same cells."""

    def __init__(self, forkserver: ForkServer) -> None:
        self._forkserver = forkserver
        self._lock = threading.Lock()
        self._slots: dict[str, Snapshot] = {}

    def find(
        self, cells: Sequence[tuple[int, str]], files: Mapping[str, bytes], limits: Limits, *, keep: bool = False
    ) -> Snapshot:
        """Return a process that has run the leading ``cells`` of a notebook; make it if there is none.

        Of the snapshots that are not to be kept for good the last few used ones remain.
        """
        key = hashlib.sha256(
            json.dumps([list(cells), {n: hashlib.sha256(d).hexdigest() for n, d in files.items()}]).encode()
        ).hexdigest()
        with self._lock:
            slot = self._slots.pop(key, None)
            if not slot:  # none yet, or one that was retired
                slot = Snapshot(kept=keep)
            self._slots[key] = slot  # at the end: the last one used
            passing = [name for name, one in self._slots.items() if not one.kept]
            for name in passing[:-_CACHED]:
                self._slots.pop(name).retire()
        slot.make(self._forkserver, cells, files, limits)
        return slot

    def close(self) -> None:
        """End all snapshots, and the submissions that were forked from them."""
        with self._lock:
            for slot in self._slots.values():
                slot.retire()
            self._slots.clear()
