"""The loop as a service: it waits for alerts, decides, trains, and notes what and why; a restart loses nothing."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from course_lib.errors import CourseError
from course_lib.monitoring.webhook import Inbox, Notice
from course_lib.retraining.trigger import Trigger

if TYPE_CHECKING:
    from course_lib.retraining.loop import Outcome

__all__ = ["Entry", "RetrainingService"]


@dataclass(frozen=True)
class Entry:
    """One line of the service's ledger.

    Attributes
    ----------
    at
        When it was decided, ISO 8601.
    alert, status
        What had arrived.
    retrained
        Whether a training was started.
    reason
        Why, or why not.
    promoted
        Whether its model went into service; ``None`` without a training.
    detail
        What the gate said, or the error.
    """

    at: str
    alert: str
    status: str
    retrained: bool
    reason: str
    promoted: bool | None = None
    detail: str = ""


class RetrainingService:
    """Takes alerts through a webhook and turns the wheel.

    Parameters
    ----------
    folder
        Holds the journal of alerts and the ledger of decisions.
    train
        Trains a challenger and lets the gate judge it; returns the outcome.
    trigger
        Decides which alert starts a training.
    clock
        Returns the present; a replayed year has its own.
    port
        Port of the webhook; by default a free one.
    """

    def __init__(
        self,
        folder: Path,
        train: Callable[[], Outcome],
        *,
        trigger: Trigger | None = None,
        clock: Callable[[], datetime] | None = None,
        port: int = 0,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.inbox = Inbox(folder / "alerts.jsonl", port=port)
        self._ledger = folder / "ledger.jsonl"
        self._train = train
        self._trigger = trigger or Trigger()
        self._clock = clock or (lambda: datetime.now(UTC))
        self._entries = _read(self._ledger)
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._worker = threading.Thread(target=self._work, name="retraining", daemon=True)

    @property
    def url(self) -> str:
        """Where alerts are posted."""
        return self.inbox.url

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Everything that was decided, oldest first."""
        return tuple(self._entries)

    def start(self) -> Self:
        """Listen and work; alerts that an earlier run left behind come first."""
        self.inbox.start()
        self._worker.start()
        return self

    def stop(self) -> None:
        """Finish what is being done, then stop."""
        self._stopping.set()
        self.inbox.stop()
        if self._worker.is_alive():
            self._worker.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait(self, condition: Callable[[tuple[Entry, ...]], bool], *, timeout: float = 30.0) -> bool:
        """Wait until the ledger fulfils a condition; return whether it does."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self.entries), timeout)

    def _work(self) -> None:
        while not self._stopping.is_set():
            if not self.inbox.wait(0.1):
                continue
            for notice in self.inbox.waiting:
                if self._stopping.is_set():
                    return
                self._note(self._handle(notice))
                self.inbox.done(notice)

    def _handle(self, notice: Notice) -> Entry:
        now = self._clock()
        history = [datetime.fromisoformat(entry.at) for entry in self._entries if entry.retrained]
        seen: dict[str, Any] = {"at": now.isoformat(), "alert": notice.name, "status": notice.status}
        try:
            decision = self._trigger.decide(notice.name, notice.status, now=now, history=history)
            if not decision.retrain:
                return Entry(**seen, retrained=False, reason=decision.reason)
        except CourseError as error:
            return Entry(**seen, retrained=False, reason=error.happened)
        try:
            outcome = self._train()
        except Exception as error:  # whatever goes wrong with one training, the service lives, and says it
            text = error.happened if isinstance(error, CourseError) else f"{type(error).__name__}: {error}"
            return Entry(**seen, retrained=True, reason=decision.reason, promoted=False, detail=f"failed: {text}")
        text = "; ".join(outcome.reasons)
        return Entry(**seen, retrained=True, reason=decision.reason, promoted=outcome.promoted, detail=text)

    def _note(self, entry: Entry) -> None:
        with self._changed:
            with self._ledger.open("a") as file:
                file.write(json.dumps(asdict(entry)) + "\n")
                file.flush()
                os.fsync(file.fileno())
            self._entries.append(entry)
            self._changed.notify_all()


def _read(ledger: Path) -> list[Entry]:
    if not ledger.exists():
        return []
    entries = []
    text = ledger.read_text()
    if text and not text.endswith("\n"):
        with ledger.open("a") as file:
            file.write("\n")
    for line in text.splitlines():
        try:
            entries.append(Entry(**json.loads(line)))
        except (ValueError, TypeError):
            continue  # cut off when the machine stopped; its alert is still in the inbox
    return entries
