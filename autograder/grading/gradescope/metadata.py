"""Gradescope's ``submission_metadata.json``: when something was handed in, and until when it was due.

Gradescope's page describes the due date of the assignment; the file also has one for each user, which knows of an
extension. Of a group the latest counts: whoever has more time may hand in for all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

__all__ = ["FILE", "Lateness", "lateness_of"]

FILE = "submission_metadata.json"


@dataclass(frozen=True)
class Lateness:
    """By how much work is late, and a sentence about it; ``unknown`` says why that can't be told."""

    seconds: float = 0.0
    text: str = ""
    unknown: str = ""


def lateness_of(folder: Path) -> Lateness:
    """Read when the submission below ``folder`` was handed in."""
    try:
        data = json.loads((folder / FILE).read_text(encoding="utf-8"))
        moment = _moment(data["created_at"])
        due = [when for text in _due_dates(data) if (when := _moment(text))]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        return Lateness(unknown=f"{FILE} cannot be read: {type(error).__name__}: {error!s:.200}")
    if moment is None:
        return Lateness(unknown=f"{FILE} has no time of submission.")
    if not due or moment <= max(due):
        return Lateness()
    late = moment - max(due)
    return Lateness(late.total_seconds(), f"This was handed in {_spoken(late)} after the due date.")


def _due_dates(data: dict[str, Any]) -> Iterator[Any]:
    """Yield the due date of each user who has one, else that of the assignment."""
    own = [(user.get("assignment") or {}).get("due_date") for user in data.get("users") or []]
    yield from [text for text in own if text] or [(data.get("assignment") or {}).get("due_date")]


def _moment(text: Any) -> datetime | None:
    """Return a time with its zone; None for none."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} names no time zone")
    return moment


def _spoken(late: timedelta) -> str:
    minutes = max(1, round(late.total_seconds() / 60))
    days, rest = divmod(minutes, 24 * 60)
    parts = ((days, "d"), (rest // 60, "h"), (rest % 60, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
