"""Offline stand-ins for the actions the course uses: same inputs, no download, and a log line that says what they are.

A stand-in is a small composite action in a folder; ``act`` is told to take it instead of the repository on GitHub.
``actions/checkout`` is act's own: it copies the repository on disk into the job's empty workspace.
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

_COPY = '''"""Stand-in for upload-artifact and download-artifact: copies files to or from $COURSE_ARTIFACTS."""
import glob, os, pathlib, shutil, sys

store = pathlib.Path(os.environ["COURSE_ARTIFACTS"])
name, paths, missing = (os.environ.get(key, "") for key in ("NAME", "PATHS", "MISSING"))
print(f"stand-in for actions/{sys.argv[1]}-artifact, offline")
if sys.argv[1] == "download":
    for folder in [store / name] if name else sorted(store.iterdir()):
        if not folder.is_dir():
            sys.exit(f"::error::there is no artifact called {name!r}")
        target = pathlib.Path(paths or ".") / ("" if name else folder.name)
        shutil.copytree(folder, target, dirs_exist_ok=True)
    sys.exit()
wanted = [line.strip() for line in paths.splitlines() if line.strip()]
found = [pathlib.Path(hit) for pattern in wanted for hit in sorted(glob.glob(pattern, recursive=True))]
if not found:
    print(f"::warning::no file matches {wanted}")
    sys.exit(1 if missing == "error" else 0)
if (store / name).exists():
    sys.exit(f"::error::an artifact called {name!r} exists already: give each job of a matrix a name of its own")
for path in found:
    target = store / name / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(path, target) if path.is_dir() else shutil.copy2(path, target)
'''

_SETUP = """name: setup-python (the course's stand-in)
description: Puts the Python of the course on the path.
inputs:
  python-version: {description: ignored, required: false, default: ""}
outputs:
  python-version: {description: the version, value: "${{ steps.setup.outputs.python-version }}"}
runs:
  using: composite
  steps:
    - id: setup
      shell: bash
      env:
        WANTED: ${{ inputs.python-version }}
      run: |
        dirname "$COURSE_PYTHON" >> "$GITHUB_PATH"
        found=$("$COURSE_PYTHON" -c 'import platform; print(platform.python_version())')
        echo "stand-in for actions/setup-python, offline: Python $found (asked for: ${WANTED:-none})"
        echo "python-version=$found" >> "$GITHUB_OUTPUT"
"""

_CACHE = """name: cache (the course's stand-in)
description: Never finds anything.
outputs:
  cache-hit: {description: always false, value: "false"}
runs:
  using: composite
  steps:
    - shell: bash
      run: echo "stand-in for actions/cache, offline, never finds anything"
"""

_ARTIFACT = """name: {verb}-artifact (the course's stand-in)
description: Copies files on this machine.
inputs:
  name: {{description: name, required: false, default: "{default}"}}
  path: {{description: files, required: false, default: ""}}
  if-no-files-found: {{description: warn or error, required: false, default: warn}}
runs:
  using: composite
  steps:
    - shell: bash
      env:
        NAME: ${{{{ inputs.name }}}}
        PATHS: ${{{{ inputs.path }}}}
        MISSING: ${{{{ inputs.if-no-files-found }}}}
      run: '"$COURSE_PYTHON" "$COURSE_ARTIFACT_SCRIPT" {verb}'
"""


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


def local_repositories(workflows: Iterable[Workflow], folder: Path) -> tuple[list[str], dict[str, str]]:
    """Write the stand-ins under ``folder``; return act's options that use them, and the variables they read."""
    files = {
        "setup-python/action.yml": _SETUP,
        "cache/action.yml": _CACHE,
        "upload-artifact/action.yml": _ARTIFACT.format(verb="upload", default="artifact"),
        "download-artifact/action.yml": _ARTIFACT.format(verb="download", default=""),
        "artifact.py": _COPY,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    used = {step.uses for workflow in workflows for step in workflow.steps() if step.action in STAND_INS}
    options = [
        f"--local-repository={use}={folder / use.partition('@')[0].partition('/')[2]}"
        for use in sorted(used)
        if not use.startswith("actions/checkout@")
    ]
    return options, {"COURSE_PYTHON": sys.executable, "COURSE_ARTIFACT_SCRIPT": str(folder / "artifact.py")}
