"""Seed of a grading: the secret that the tests draw their cases and orders from.

It is drawn once for a class and kept beside the gradebook, so that a second run of ``grade`` goes on where the first
one stopped, to the same draws. Only the instructor's files name it: ``report.json``, ``report.html`` and the results.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from autograder.grading.options import GradingError
from autograder.reports.files import write_atomically

__all__ = ["keep_seed", "seed_for"]

_FILE = "seed.txt"


def seed_for(out: Path, given: str = "") -> str:
    """Return the seed ``given`` for a class, or else the one it was graded with before, or else a new one.

    Raises
    ------
    GradingError
        The file with the earlier seed cannot be read.
    """
    if given:
        return given
    try:
        return (out / _FILE).read_text(encoding="utf-8").strip() or secrets.token_hex(16)
    except (FileNotFoundError, NotADirectoryError):
        return secrets.token_hex(16)
    except (OSError, UnicodeDecodeError) as error:
        raise GradingError(
            f"The seed of the last grading cannot be read: {error}",
            expected=f"a line of text in {out / _FILE}",
            next_step="give the seed again with --seed (report.html names it), or delete that file",
        ) from error


def keep_seed(out: Path, seed: str) -> None:
    """Keep ``seed`` for the next run into ``out``."""
    write_atomically(out / _FILE, seed + "\n")
    (out / _FILE).chmod(0o600)
