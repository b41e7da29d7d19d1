"""Tools of the course in a project's sandbox: run its workflow with act, start its image in plan mode.

It runs behind the learner's walls, because what it starts is the learner's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

__all__ = ["main"]


def workflow(folder: Path, name: str, python: str, seconds: str) -> dict[str, Any]:
    """Commit the folder to a new repository, run one of its workflows on a push, and return what its jobs did."""
    from course_lib import delivery

    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        ["commit", "--quiet", "--message=a push"],
    ):
        who = ["-c", "user.name=The grader", "-c", "user.email=grader@example.org"]
        subprocess.run(["git", *who, *command], cwd=folder, check=True, capture_output=True)
    env = {"COURSE_PYTHON": python, "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_CACHE_DIR": "1"}
    with tempfile.TemporaryDirectory() as cache:
        run = delivery.run(folder, name, env={**env, "COURSE_CACHE": cache}, timeout=float(seconds))
    jobs = [
        {"id": job.id, "conclusion": job.conclusion, "steps": [[s.name, s.conclusion] for s in job.steps]}
        for job in run.jobs
    ]
    return {"conclusion": run.conclusion, "jobs": jobs, "log": run.log(failed_only=True)[-2000:]}


def image(folder: Path, port: int) -> None:
    """Lay the image out as its Dockerfile says, start its command, say where it listens, and wait to be ended."""
    from course_lib import containers

    with containers.PlanEngine("graded offline") as engine:
        engine.build(folder, "project")
        with engine.run("project", port=port) as running:
            print(json.dumps({"port": int(running.url.rpartition(":")[2])}), flush=True)
            time.sleep(600)


def main() -> None:
    """Do what the arguments say and print the result as the last line."""
    from course_lib.errors import CourseError

    what, folder, *rest = sys.argv[1:]
    try:
        if what == "image":
            image(Path(folder), int(rest[0]))
        else:
            print(json.dumps(workflow(Path(folder), *rest)))
    except CourseError as error:
        print(json.dumps({"failed": error.happened}))


if __name__ == "__main__":
    main()
