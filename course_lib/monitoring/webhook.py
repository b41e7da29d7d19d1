"""A durable webhook receiver: what arrives is on disk before it is answered, and kept until it is dealt with."""

from __future__ import annotations

import json
import os
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from course_lib.errors import MonitoringError

__all__ = ["Inbox", "Notice", "post"]

_LIMIT = 1_000_000  # bytes of one delivery


@dataclass(frozen=True)
class Notice:
    """One alert that was delivered.

    Attributes
    ----------
    key
        The same for every delivery of the same alert in the same state: deliveries are repeated when in doubt.
    name
        Name of the alert.
    status
        ``firing`` or ``resolved``.
    starts_at
        When it began, as the sender wrote it.
    summary
        What the rule says of it.
    labels
        Its labels.
    """

    key: str
    name: str
    status: str
    starts_at: str
    summary: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


class Inbox:
    """Receives Alertmanager's webhook calls on loopback.

    Parameters
    ----------
    journal
        File that keeps what arrived and what was dealt with; an existing one is read, so that a restart loses nothing.
    port
        Port to listen on; by default a free one.
    """

    def __init__(self, journal: Path, *, port: int = 0) -> None:
        self._journal = journal
        self._lock = threading.Condition()
        self._notices: dict[str, Notice] = {}
        self._done: set[str] = set()
        self._read()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._http.daemon_threads = True
        self.port = int(self._http.server_address[1])
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="inbox", daemon=True)
        self._started = False

    @property
    def url(self) -> str:
        """Where alerts are posted."""
        return f"http://127.0.0.1:{self.port}/alerts"

    def start(self) -> Self:
        """Listen."""
        self._started = True
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening; the journal stays."""
        if self._started:
            self._http.shutdown()
            self._thread.join(5)
        self._http.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def waiting(self) -> tuple[Notice, ...]:
        """Alerts that nobody has dealt with yet, in the order of their arrival."""
        with self._lock:
            return tuple(notice for key, notice in self._notices.items() if key not in self._done)

    @property
    def received(self) -> tuple[Notice, ...]:
        """Every alert that ever arrived, in order."""
        with self._lock:
            return tuple(self._notices.values())

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until an alert is waiting; return whether one is."""
        with self._lock:
            return bool(self._lock.wait_for(lambda: self._notices.keys() - self._done, timeout))

    def done(self, notice: Notice) -> None:
        """Note that an alert has been dealt with."""
        with self._lock:
            self._append({"done": notice.key})
            self._done.add(notice.key)

    def accept(self, payload: Any) -> int:
        """Keep the alerts of one webhook call and return how many were new.

        Raises
        ------
        MonitoringError
            The payload is not in the format of Alertmanager's webhook.
        """
        notices = _notices(payload)
        with self._lock:
            new = [notice for notice in notices if notice.key not in self._notices]
            for notice in new:
                self._append({"notice": asdict(notice)})
                self._notices[notice.key] = notice
            self._lock.notify_all()
        return len(new)

    def _append(self, entry: dict[str, Any]) -> None:
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        with self._journal.open("a") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self) -> None:
        if not self._journal.exists():
            return
        text = self._journal.read_text()
        if text and not text.endswith("\n"):
            with self._journal.open("a") as file:  # the last line was cut off: what follows must not be glued to it
                file.write("\n")
        for line in text.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the machine stopped while this line was written, so its delivery was never answered
            if "notice" in entry:
                self._notices[entry["notice"]["key"]] = Notice(**entry["notice"])
            else:
                self._done.add(entry["done"])


def post(url: str, notice: Mapping[str, Any]) -> None:
    """Deliver one alert as Alertmanager would: for machines without it.

    Parameters
    ----------
    url
        The webhook.
    notice
        ``name``, ``status``, ``starts_at`` and, if wanted, ``summary`` and ``labels``.

    Raises
    ------
    MonitoringError
        The webhook is down or refused it; the sender still has the alert and must try again.
    """
    labels = {"alertname": notice["name"], **notice.get("labels", {})}
    alert = {
        "status": notice["status"],
        "labels": labels,
        "annotations": {"summary": notice.get("summary", "")},
        "startsAt": notice["starts_at"],
        "fingerprint": notice["name"],
    }
    body = json.dumps({"version": "4", "alerts": [alert]}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=5):  # noqa: S310
            return
    except OSError as error:
        raise MonitoringError(
            f"The webhook {url} did not take the alert {notice['name']}: {error}",
            expected="status 200",
            next_step="keep the alert and deliver it again when the webhook is back",
        ) from error


def _notices(payload: Any) -> list[Notice]:
    try:
        return [
            Notice(
                key=f"{one.get('fingerprint', one['labels']['alertname'])} {one['startsAt']} {one['status']}",
                name=str(one["labels"]["alertname"]),
                status=str(one["status"]),
                starts_at=str(one["startsAt"]),
                summary=str(one.get("annotations", {}).get("summary", "")),
                labels={str(key): str(text) for key, text in one["labels"].items()},
            )
            for one in payload["alerts"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise MonitoringError(
            f"The call is no webhook of Alertmanager: {type(error).__name__} {error}",
            expected="an object with `alerts`, each with `status`, `labels` and `startsAt`",
            next_step="look at `webhook_configs` in Alertmanager's documentation",
        ) from error


def _handler(inbox: Inbox) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            try:
                if not 0 < length <= _LIMIT:
                    raise MonitoringError(f"A body of {length} bytes is refused.")
                inbox.accept(json.loads(self.rfile.read(length)))
            except (ValueError, MonitoringError) as error:
                self._answer(400, str(error).splitlines()[0])
            except OSError as error:  # the disk is full: the sender must keep the alert and try again
                self._answer(503, str(error))
            else:
                self._answer(200, "kept")

        def _answer(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
            """Say nothing: the journal is the log."""

    return Handler
