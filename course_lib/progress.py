"""A learner's progress: what the checks said, one line a check, in a small file that survives every restart.

The file lies beside the notebooks because it shares their fate: whoever copies, saves or deletes the folder means both,
and two copies of the course have two progresses. Where that folder cannot be written, the user's data folder serves.

JupyterLab's extension of the course sets ``$COURSE_PROGRESS``; every kernel that it starts inherits it and keeps the
file. Papermill, continuous integration and the grader don't set it, and nothing is written there.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
import os
import re
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["FILE", "VARIABLE", "Outcome", "Status", "file_for", "read", "record", "spent", "watch"]

VARIABLE = "COURSE_PROGRESS"
FILE = ".course-progress.jsonl"
Status = Literal["passed", "failed", "open"]

_MARK_EVERY = 60.0  # seconds between two lines that say "somebody works here"
_PAUSE = 15 * 60.0  # seconds: a longer gap between two cells was no work on the notebook

_EXERCISE = re.compile(r"\d+\.\d+")
_CHECK = re.compile(r"""^checks\.passed\((["'])(?P<exercise>\d+\.\d+)[^"']*\1, (?P<points>\d+(\.\d+)?)\)""", re.M)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the visible check of one exercise said, and when.

    Attributes
    ----------
    exercise
        Such as ``"1.2"``.
    status
        ``passed``; ``failed``; or ``open`` while the line that raises ``NotImplementedError`` is still there.
    points
        What the check earned.
    at
        Seconds since 1970, UTC.
    """

    exercise: str
    status: Status
    points: float
    at: float


def file_for(notebooks: Path) -> Path | None:
    """Return the file that keeps the progress of the notebooks in a folder; ``None`` where nothing can be written.

    Parameters
    ----------
    notebooks
        The folder with the learner's notebooks.
    """
    from platformdirs import user_data_path

    beside = notebooks.resolve() / FILE
    name = hashlib.sha256(str(beside.parent).encode()).hexdigest()[:12]
    places = (beside, user_data_path("mlops-course") / f"progress-{name}.jsonl")
    return next((place for place in places if _writable(place)), None)


def record(outcome: Outcome, file: Path) -> bool:
    """Append an outcome; return whether it is on disk. A check must not fail because its result cannot be kept.

    The line is written by one call to a file opened for appending, so the lines of two kernels don't mix. It begins
    with a line break: after a line that was cut short (a full disk, a killed kernel) it still stands alone.
    """
    return _append(asdict(outcome), file)


def spent(file: Path) -> dict[int, float]:
    """Return the seconds spent on each notebook: between cells that were run, pauses of over 15 minutes left out.

    Reading before the first cell and after the last one is not seen, so it is rather too little.
    """
    times: dict[int, list[float]] = {}
    for line in _lines(file):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            found = json.loads(line)
            number = int(str(found["exercise"]).partition(".")[0] if "exercise" in found else found["notebook"])
            at = float(found["at"])
            if 0 <= at < math.inf:
                times.setdefault(number, []).append(at)
    return {number: _worked(sorted(ats)) for number, ats in times.items()}


def _worked(times: list[float]) -> float:
    gaps = (later - earlier for earlier, later in itertools.pairwise(times))
    return sum(gap for gap in gaps if gap <= _PAUSE)


def _append(values: dict[str, Any], file: Path) -> bool:
    line = b"\n" + json.dumps(values).encode()
    try:
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            return os.write(handle, line) == len(line)
        finally:
            os.close(handle)
    except OSError:
        return False


def read(file: Path) -> dict[str, Outcome]:
    """Return the last outcome of each exercise; lines that cannot be read are left where they are, and passed over."""
    outcomes = (_parse(line) for line in _lines(file))
    return {outcome.exercise: outcome for outcome in outcomes if outcome is not None}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return []


def watch() -> None:
    """In a kernel that was told to by ``$COURSE_PROGRESS``: keep the outcome of each check, and the time.

    The variable goes then: what a notebook starts (another notebook, in 07) is not the learner's own work.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None and (file := os.environ.pop(VARIABLE, "")):
        shell.events.register("post_run_cell", lambda result: _after_cell(result, Path(file)))
        notebook = re.match(r"(\d\d)_", Path(os.environ.get("JPY_SESSION_NAME", "")).name)  # set by Jupyter's server
        if notebook:
            shell.events.register("post_run_cell", _Clock(int(notebook[1]), Path(file)))


class _Clock:
    """Says once a minute, after a cell was run, that somebody works on a notebook."""

    def __init__(self, notebook: int, file: Path) -> None:
        self.notebook, self.file, self.said = notebook, file, -math.inf

    def __call__(self, _: Any) -> None:
        now = time.time()
        if not 0 <= now - self.said < _MARK_EVERY:
            self.said = now
            _append({"notebook": self.notebook, "at": now}, self.file)


def _after_cell(result: Any, file: Path) -> None:
    check = _CHECK.search(result.info.raw_cell or "") if result.info else None
    if check is not None and not result.error_before_exec and (status := _status(result.error_in_exec)):
        points = float(check["points"]) if status == "passed" else 0.0
        record(Outcome(exercise=check["exercise"], status=status, points=points, at=time.time()), file)


def _status(error: BaseException | None) -> Status | None:
    """Return what a check cell said; ``None`` where it could not judge the answer."""
    if error is None:
        return "passed"
    if isinstance(error, NotImplementedError):
        return "open"
    if isinstance(error, NameError) and _in_the_cell_itself(error.__traceback__):
        return None  # the cells above were not run yet, as after a restart of the kernel
    return "failed" if isinstance(error, Exception) else None  # the learner pressed "interrupt"


def _in_the_cell_itself(traceback: TracebackType | None) -> bool:
    frames = (frame for frame, _ in walk_tb(traceback) if frame.f_globals.get("__name__") == "__main__")
    return len({frame.f_code.co_filename for frame in frames}) <= 1


def _parse(line: str) -> Outcome | None:
    try:
        found = json.loads(line)
        one = Outcome(
            exercise=str(found["exercise"]),
            status=found["status"],
            points=float(found["points"]),
            at=float(found["at"]),
        )
    except (ValueError, TypeError, KeyError):
        return None
    known = one.status in get_args(Status) and _EXERCISE.fullmatch(one.exercise)
    return one if known and 0 <= one.points < math.inf and 0 <= one.at < math.inf else None


def _writable(file: Path) -> bool:
    """Whether the file can be written, without making it: looking at the page leaves no trace."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.access(file if file.exists() else file.parent, os.W_OK)
    return False
