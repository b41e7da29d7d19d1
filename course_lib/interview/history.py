"""The history of practice: one line of JSON an answer, in a file of your own."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from course_lib.interview.bank import InterviewError

__all__ = ["Attempt", "History"]


@dataclass(frozen=True)
class Attempt:
    """One answer to one question, as its author judged it.

    Attributes
    ----------
    question
        The question's id.
    at
        When, as text in UTC: ``"2026-11-28T04:15:00+00:00"``.
    earned, total
        Points.
    answer
        What was written.
    """

    question: str
    at: str
    earned: int
    total: int
    answer: str = ""

    @property
    def share(self) -> float:
        """The share of the points that was earned (0 to 1)."""
        return self.earned / self.total


class History:
    """The answers of one person, oldest first.

    Parameters
    ----------
    path
        The file. By default ``interview.jsonl`` in the folder where this system keeps a user's data, or in the folder
        that the variable ``COURSE_PRACTICE`` names.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or _folder() / "interview.jsonl"

    def attempts(self) -> list[Attempt]:
        """Return what was practised. A line that was cut off or edited away is left out; the rest stays."""
        if not self.path.is_file():
            return []
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        return [attempt for line in lines if (attempt := _parse(line)) is not None]

    def add(self, attempt: Attempt) -> None:
        """Write one answer down.

        Raises
        ------
        InterviewError
            The file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(attempt), ensure_ascii=False) + "\n")
        except OSError as error:
            raise InterviewError(
                f"The practice could not be written to {self.path}: {error.strerror}.",
                expected="a file that you may write to",
                next_step="name another with --history FILE",
            ) from error

    def last(self) -> dict[str, Attempt]:
        """Return the newest answer to each question that was practised."""
        return {attempt.question: attempt for attempt in sorted(self.attempts(), key=lambda one: one.at)}


def _folder() -> Path:
    if folder := os.environ.get("COURSE_PRACTICE"):
        return Path(folder)
    from platformdirs import user_data_path

    return user_data_path("mlops-course")


def _parse(line: str) -> Attempt | None:
    try:
        attempt = Attempt(**json.loads(line))
        named = isinstance(attempt.question, str) and isinstance(attempt.at, str)
        sound = named and 0 <= attempt.earned <= attempt.total
    except (ValueError, TypeError):
        return None
    return attempt if sound and attempt.total > 0 else None
