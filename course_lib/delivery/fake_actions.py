"""Fakes of GitHub's actions, offline: same inputs, no download, and a log line that says what they are.

A stand-in is a small composite action in a folder of ``actions``; ``act`` is told to take it instead of the repository
on GitHub. ``actions/checkout`` is act's own: it copies the repository on disk into the job's empty workspace.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from course_lib.delivery.errors import WorkflowError
from course_lib.delivery.workflow import Workflow

__all__ = ["STAND_INS", "local_repositories", "require_known"]

STAND_INS: dict[str, str] = {
    "actions/checkout": "act copies the repository on disk into the job's empty workspace",
    "actions/setup-python": "puts the course's own Python on the path, whatever version is asked for",
    "actions/cache": "never finds anything: every run is a cold one",
    "actions/upload-artifact": "copies the files into a folder beside the run",
    "actions/download-artifact": "copies them from there",
}


def require_known(workflows: Iterable[Workflow]) -> None:
    """Check that every action has a stand-in, and every runner is one that this machine can play.

    Raises
    ------
    WorkflowError
        An action or a runner is unknown here.
    """
    for workflow in workflows:
        for step in workflow.steps():
            if step.uses and not step.uses.startswith("./") and step.action not in STAND_INS:
                raise WorkflowError(
                    f"There is no offline stand-in for the action {step.uses}.",
                    expected=f"one of {', '.join(STAND_INS)}, or an action of the repository itself (./folder)",
                    next_step="run a command instead, or run this workflow on GitHub",
                )
        for job in workflow.jobs.values():
            if other := [label for label in job.runs_on if label.startswith(("windows", "macos"))]:
                raise WorkflowError(
                    f"Job {job.id} asks for a runner of the kind {other[0]}, and this machine is none.",
                    expected="an ubuntu runner",
                    next_step="run that job on GitHub, and the others here",
                )


def local_repositories(workflows: Iterable[Workflow]) -> tuple[list[str], dict[str, str]]:
    """Return act's options that use the stand-ins in the folder ``actions``, and the variables they read."""
    folder = Path(__file__).with_name("actions")
    used = {step.uses for workflow in workflows for step in workflow.steps() if step.action in STAND_INS}
    options = [
        f"--local-repository={use}={folder / use.partition('@')[0].partition('/')[2]}"
        for use in sorted(used)
        if not use.startswith("actions/checkout@")
    ]
    return options, {"COURSE_PYTHON": sys.executable, "COURSE_ARTIFACT_SCRIPT": str(folder / "artifact.py")}
