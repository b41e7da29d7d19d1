"""Settings of a Gradescope autograder: chosen when the zip is made, read in the container."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from course_lib.errors import CourseError

__all__ = ["FILE", "GradescopeError", "GradescopeSettings", "HiddenUntil"]

FILE = "gradescope.json"
HiddenUntil = Literal["hidden", "after_due_date", "after_published"]


class GradescopeError(CourseError):
    """The autograder's zip cannot be made, or what Gradescope laid out cannot be read."""


@dataclass(frozen=True)
class GradescopeSettings:
    """What an instructor chose; the container has no other options."""

    notebook: str
    sandbox: str = "auto"  # "none": submissions run beside the tests, as root, and can do what they like
    hidden: HiddenUntil = "after_published"  # when learners see what the hidden tests say
    late: Literal["none", "zero"] = "none"
    seed: str = ""  # the secret that tests draw from: the same for the whole class
    time_limit: float = 300.0
    cell_limit: float = 60.0

    def dumps(self) -> str:
        """Return the settings as the text of their file."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def read(cls, folder: Path) -> GradescopeSettings:
        """Return the settings in ``folder``.

        Raises
        ------
        GradescopeError
            They are missing or damaged.
        """
        try:
            return cls(**json.loads((folder / FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise GradescopeError(
                f"The autograder's settings cannot be read: {error}",
                expected=f"{folder / FILE}, as `python -m autograder gradescope` wrote it",
                next_step="make the zip again, upload it as it is, and rebuild the autograder",
            ) from error
