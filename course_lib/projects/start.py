"""Write the starting repository of a practice project: a brief, a rubric, an empty frame, and the first commit."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from course_lib.errors import CourseError

__all__ = ["KINDS", "StartError", "start"]

_TEMPLATES = Path(__file__).parent / "templates"
KINDS = ("model-api", "llm-serving", "monitoring")
_MESSAGE = "Start from the course's template"


class StartError(CourseError):
    """A starting repository could not be written."""


def start(kind: str, folder: Path) -> Path:
    """Write the starting repository of ``kind`` into ``folder``, make the first commit, and return the folder.

    Parameters
    ----------
    kind
        ``model-api``, ``llm-serving`` or ``monitoring``.
    folder
        Where; it must be empty or not exist yet.

    Raises
    ------
    StartError
        There is no such project, the folder has something in it, or Git failed.
    """
    if kind not in KINDS:
        raise StartError(f"There is no practice project called {kind!r}.", expected=f"one of {', '.join(KINDS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StartError(
            f"{folder} is not empty: nothing was written.",
            expected="a folder that is empty or does not exist yet",
            next_step="name another folder",
        )
    git = shutil.which("git")
    if git is None:
        raise StartError("Git was not found.", expected="the program git", next_step="install git and try again")
    _write(_TEMPLATES / kind, folder)
    _commit(git, folder)
    return folder


def _write(template: Path, folder: Path) -> None:
    """Copy a template; in the package hidden files carry ``dot-`` instead of their dot."""
    for source in sorted(template.rglob("*")):
        if source.is_file() and "__pycache__" not in source.parts:
            parts = [
                part.replace("dot-", ".", 1) if part.startswith("dot-") else part for part in _below(source, template)
            ]
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _below(path: Path, top: Path) -> tuple[str, ...]:
    return path.relative_to(top).parts


def _commit(git: str, folder: Path) -> None:
    # An outer repository's variables must not reach in; a name is lent where the reader has told Git none.
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    run = [git, "-C", str(folder)]
    named = subprocess.run([*run, "config", "user.email"], env=env, capture_output=True, check=False).returncode == 0
    who = [] if named else ["-c", "user.name=A learner", "-c", "user.email=learner@example.org"]
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        ["commit", "--quiet", f"--message={_MESSAGE}"],
    ):
        done = subprocess.run([*run, *who, *command], env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StartError(
                f"git {command[0]} failed: {done.stderr.strip()}",
                next_step=f"the files are in {folder}; commit them by hand",
            )
