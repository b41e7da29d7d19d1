"""The loop on an orchestrator: compile it for Kubeflow, and run the very same pipeline on this machine.

An orchestrator adds what a script lacks: it knows which step waits for which, runs each in a process (on a cluster: a
container) of its own, keeps what each one made, and can begin again at the step that failed. kfp runs in a process of
its own here, because it configures itself once per process and prints a great deal.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.errors import EngineError
from course_lib.retraining.steps import STEPS, StepFailed

__all__ = ["PipelineRun", "compile_pipeline", "run_pipeline"]


@dataclass(frozen=True)
class PipelineRun:
    """A pipeline that ran to its end.

    Attributes
    ----------
    champion
        Version in service afterwards; 0 if there is none.
    verdict
        ``promote``, or the gate's reasons against it.
    outputs
        What each step returned, by its name, in their order.
    folder
        Where the steps' files are, one folder a step.
    log
        What kfp and the steps printed.
    """

    champion: int
    verdict: str
    outputs: Mapping[str, Any]
    folder: Path
    log: str


def compile_pipeline(path: Path | str) -> Path:
    """Write the pipeline as YAML for a Kubeflow server, and return the path.

    Raises
    ------
    EngineError
        kfp is not installed.
    """
    made = Path(path).resolve()
    made.parent.mkdir(parents=True, exist_ok=True)
    _call(["compile", made], timeout_s=120)
    return made


def run_pipeline(
    store: Path | str,
    folder: Path | str,
    *,
    moment: str,
    judge_days: float = 7.0,
    trees: int = 60,
    timeout_s: float = 600.0,
) -> PipelineRun:
    """Run the whole pipeline with kfp's local runner: six processes, one after the other.

    Parameters
    ----------
    store
        Folder of the MLflow store; a first champion is made if it has none.
    folder
        Where the steps' files go; a new folder below it is made for each run.
    moment
        The present, for example ``2013-06-01``: later flights and labels are unknown.
    judge_days
        Length of the period on which the models are compared.
    trees
        Size of the model.
    timeout_s
        Seconds after which the run is stopped.

    Raises
    ------
    StepFailed
        A step failed: the message names it, and says why.
    EngineError
        kfp is not installed, or the run took too long.
    """
    root = Path(folder).resolve()
    root.mkdir(parents=True, exist_ok=True)
    before = set(root.iterdir())
    parameters = {"store": str(Path(store).resolve()), "moment": moment, "judge_days": judge_days, "trees": trees}
    log = _call(["run", root, json.dumps(parameters)], timeout_s=timeout_s)
    (made,) = set(root.iterdir()) - before
    outputs = {step.__name__: _output(made / step.__name__) for step in STEPS}
    return PipelineRun(int(outputs["register"]), str(outputs["gate"]), outputs, made, log)


def _call(arguments: list[Any], *, timeout_s: float) -> str:
    """Run kfp in a process of its own; return what it printed."""
    from course_lib import engines, processes

    engines.require("kfp")
    command = [sys.executable, "-W", "ignore", "-m", "course_lib.retraining.pipeline", *map(str, arguments)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        log, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"The pipeline was not done in {timeout_s:g} s.", next_step="allow more time") from error
    finally:
        processes.stop_tree(process.pid)
        process.communicate()
    if process.returncode:
        raise _failure(log)
    return log


def _failure(log: str) -> Exception:
    """Return the error of the step that failed, read from the log; kfp itself says only that one did."""
    told = re.search(
        r"StepFailed: (?P<happened>.*)\n(?:\s*Expected: (?P<expected>.*)\n)?(?:\s*Next: (?P<next>.*))?", log
    )
    if told:
        return StepFailed(told["happened"], expected=told["expected"] or "", next_step=told["next"] or "")
    task = re.search(r"Inner task failed: \S*'(\w+)'", log)
    last = ([line.strip() for line in log.splitlines() if line.strip()] or ["it printed nothing"])[-1]
    if task:
        return StepFailed(
            f"The step {task[1]!r} failed before it could say why.", next_step=f"read its log:\n{log[-1500:]}"
        )
    return EngineError(f"kfp failed: {last}", expected="kfp that imports", next_step="run `make lab` again")


def _output(folder: Path) -> Any:
    return json.loads((folder / "executor_output.json").read_text())["parameterValues"]["Output"]


def _main() -> None:
    from course_lib.retraining import kubeflow

    parser = argparse.ArgumentParser(prog="python -m course_lib.retraining.pipeline")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("compile").add_argument("path")
    runner = commands.add_parser("run")
    runner.add_argument("folder")
    runner.add_argument("parameters", type=json.loads)
    options = parser.parse_args()
    if options.command == "compile":
        kubeflow.compile_to(options.path)
    else:
        kubeflow.run_here(options.folder, **options.parameters)


if __name__ == "__main__":
    _main()
