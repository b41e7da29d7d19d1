"""Snapshots: processes that have run a notebook's leading cells, from which submissions are forked.

A snapshot is only used up to the last cell after which it has one thread, no child process and no open file that can be
written to or talked through: everything else would be shared by the submissions, or be lost in the fork.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Sequence

from autograder.sandbox.errors import ExecutionError
from autograder.sandbox.forkserver import ForkServer
from autograder.sandbox.messages import PrefixRan, RunPrefix
from autograder.sandbox.model import Limits
from autograder.sandbox.rpc.framing import Closed
from autograder.sandbox.session import Session

__all__ = ["Snapshot", "SnapshotCache"]

_CACHED = 4


class Snapshot:
    """A slot for one snapshot: empty, or with a process that has run the first ``count`` cells."""

    def __init__(self, *, kept: bool = False) -> None:
        self.kept = kept  # for as long as the forkserver lives
        self.session: Session | None = None
        self.count = 0
        self._made = False
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return self.session is not None and self.count > 0

    def make(self, forkserver: ForkServer, cells: Sequence[tuple[int, str]], helpers: str, limits: Limits) -> None:
        """Run ``cells``, or as many of them as can be shared; do nothing if that was done before."""
        with self._lock:
            if self._made:
                return
            self._made = True
            wanted = list(cells)
            while wanted:
                done = self._try(forkserver, wanted, helpers, limits)
                if done and done.safe:
                    self.count = len(wanted)
                    return
                self._hang_up()
                wanted = wanted[: done.ran - 1] if done else []

    def _try(
        self, forkserver: ForkServer, cells: Sequence[tuple[int, str]], helpers: str, limits: Limits
    ) -> PrefixRan | None:
        try:
            self.session = Session(forkserver, disk_mb=limits.disk_mb, helpers=helpers)
            self.session.wait_until_ready()
            self.session.send_data(RunPrefix(), json.dumps(list(cells)).encode())
            answer = self.session.receive(time.monotonic() + limits.wall_seconds)
        except (Closed, ExecutionError):
            return None
        return answer if isinstance(answer, PrefixRan) else None

    def _hang_up(self) -> None:
        if self.session is not None:
            self.session.close(wait=False)
            self.session = None

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

    def find(self, cells: Sequence[tuple[int, str]], helpers: str, limits: Limits, *, keep: bool = False) -> Snapshot:
        """Return a process that has run the leading ``cells`` of a notebook; make it if there is none.

        Beside it lie the course's own files ``helpers``, and none of a learner's.
        Of the snapshots that are not to be kept for good the last few used ones remain.
        """
        key = hashlib.sha256(json.dumps([list(cells), helpers]).encode()).hexdigest()
        with self._lock:
            slot = self._slots.pop(key, None)
            if not slot:  # none yet, or one that was retired
                slot = Snapshot(kept=keep)
            self._slots[key] = slot  # at the end: the last one used
            passing = [name for name, one in self._slots.items() if not one.kept]
            for name in passing[:-_CACHED]:
                self._slots.pop(name).retire()
        slot.make(self._forkserver, cells, helpers, limits)
        return slot

    def close(self) -> None:
        """End all snapshots, and the submissions that were forked from them."""
        with self._lock:
            for slot in self._slots.values():
                slot.retire()
            self._slots.clear()
