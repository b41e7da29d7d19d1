"""The rule which programs the judge may start: the course's own servers and tools, never what a learner wrote.

A check that starts a learner's text as a child of the judge would let it see the judge's tests and processes. Such a
program belongs into a box (:func:`course_lib.programs.start`). The judge's code is the course's, so this is a guard
against its authors' mistakes: whoever forgets the box gets a refusal that says so, not a hole.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograder.sandbox.inside.import_guard import is_writable

__all__ = ["UnsafeProgram", "guard_programs", "refusal"]

# They run no commands that they find in their input or in the folder where they start.
_TOOLS = frozenset(
    {"actionlint", "alertmanager", "check-jsonschema", "hadolint", "haproxy", "prometheus", "prometheus-alertmanager",
     "promtool", "redis-server", "zizmor"}
)  # fmt: skip
_INTERPRETERS = ("python", "node")
_TAKE_A_VALUE = frozenset({"-W", "-X"})


class UnsafeProgram(AssertionError):
    """A check wanted to start a program beside the judge that a learner may have written."""


def refusal(executable: str, arguments: Sequence[str], *, folder: str) -> str:
    """Return why the judge may not start this program, nothing if it may.

    Parameters
    ----------
    executable, arguments
        As ``subprocess.Popen`` takes them: ``arguments`` begins with the program's name.
    folder
        Where it would start.
    """
    found = shutil.which(executable, path=None if os.sep not in executable else os.path.dirname(executable))  # noqa: PTH120
    program = Path(folder, found or executable)
    name = Path(executable).name
    if is_writable(program):
        return f"{name} lies where a learner can write"
    if name in _TOOLS or (name == "git" and list(arguments[1:]) in (["version"], ["--version"])):
        return ""
    if name == "git":
        return "" if not is_writable(folder) else "git runs what the configuration of a learner's folder tells it to"
    if not name.startswith(_INTERPRETERS):
        return f"{name} is none of the tools that the judge may start"
    words = iter(arguments[1:])
    for word in words:
        if word in _TAKE_A_VALUE:
            next(words, None)
        elif word == "-m" and name.startswith("python"):  # the judge's import path has no folder of a learner's
            return ""
        elif not word.startswith("-"):
            return f"{word} lies where a learner can write" if is_writable(Path(folder, word)) else ""
        elif word.startswith(("-c", "-e", "-p", "-r", "--eval", "--print", "--require", "--import")):
            return f"{name} {word} runs a text"
    return f"{name} would read its program from its input"


def guard_programs() -> None:
    """Refuse such programs in this process from here on (audit hooks stay)."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            command = [os.fsdecode(part) for part in args[1]]
            why = refusal(os.fsdecode(args[0]), command, folder=os.fsdecode(args[2] or Path.cwd()))
        elif event in ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn"):
            command, why = [event], f"{event} starts whatever it is given"
        else:
            return
        if why:
            raise UnsafeProgram(
                f"the judge does not start {' '.join(command)[:200]!r}, because {why}: "
                "a check runs a learner's program by course_lib.programs.start"
            )

    sys.addaudithook(hook)
