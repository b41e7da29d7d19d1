"""Read a GitHub workflow: its triggers, permissions and jobs, as plain values, with clear errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from course_lib import safe_yaml
from course_lib.delivery.errors import WorkflowError

__all__ = ["Job", "Step", "Workflow", "read_workflow"]

PINNED = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Step:
    """One step of a job: it uses an action, or runs a command.

    Attributes
    ----------
    name
        What the log calls it.
    uses
        Action with its version, such as ``actions/checkout@v7``; empty for a command.
    run
        Shell command; empty for an action.
    condition
        Its ``if``; empty if there is none.
    inputs
        What ``with`` gives to the action.
    """

    name: str
    uses: str
    run: str
    condition: str
    inputs: Mapping[str, Any]

    @property
    def action(self) -> str:
        """The action without its version, such as ``actions/checkout``."""
        return self.uses.partition("@")[0]

    @property
    def pinned(self) -> bool:
        """Whether the version is a full commit: a tag can be moved to other code."""
        return bool(PINNED.fullmatch(self.uses.partition("@")[2])) or not self.uses or self.uses.startswith("./")


@dataclass(frozen=True)
class Job:
    """One job; ``permissions`` is ``None`` where it inherits those of the workflow."""

    id: str
    runs_on: tuple[str, ...]
    needs: tuple[str, ...]
    permissions: Mapping[str, str] | None
    timeout_minutes: float | None
    matrix: Mapping[str, Any]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Workflow:
    """A workflow as it was written; ``permissions`` is ``None`` where it leaves them to the repository's default."""

    name: str
    triggers: Mapping[str, Any]
    permissions: Mapping[str, str] | None
    concurrency: Mapping[str, Any]
    jobs: Mapping[str, Job]

    @property
    def crons(self) -> tuple[str, ...]:
        """The cron expressions of its schedule."""
        return tuple(str(entry["cron"]) for entry in self.triggers.get("schedule") or ())

    def steps(self) -> tuple[Step, ...]:
        """Return the steps of all jobs, in order."""
        return tuple(step for job in self.jobs.values() for step in job.steps)


def read_workflow(text: str) -> Workflow:
    """Read the text of a workflow.

    Parameters
    ----------
    text
        YAML, as it stands in ``.github/workflows``.

    Raises
    ------
    WorkflowError
        It is no YAML, or no workflow; the message names the line, or the place and the rule of the published schema.
    """
    document = _parse(text)
    _check_schema(document)
    jobs = {name: _job(name, job) for name, job in document["jobs"].items()}
    _check_needs(jobs)
    return Workflow(
        name=str(document.get("name", "")),
        triggers=_triggers(document["on"]),
        permissions=_permissions(document.get("permissions")),
        concurrency=_concurrency(document.get("concurrency")),
        jobs=jobs,
    )


def _parse(text: str) -> dict[str, Any]:
    import yaml

    try:
        document = safe_yaml.load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise WorkflowError(
            f"The workflow is no YAML: {where}{getattr(error, 'problem', None) or error}.",
            expected="spaces for indentation, a space after each colon, quotes around text that holds a colon",
            next_step="mend that line; GitHub would refuse the file and run nothing",
        ) from error
    if not isinstance(document, dict):
        raise WorkflowError("The workflow is empty or no mapping.", expected="the keys name, on, permissions and jobs")
    if True in document:  # YAML 1.1 reads the key `on` as the truth value
        document["on"] = document.pop(True)
    return document


def _check_schema(document: dict[str, Any]) -> None:
    """Hold the document against the schema that check-jsonschema carries."""
    import json
    from importlib.resources import files

    import jsonschema

    place = files("check_jsonschema") / "builtin_schemas" / "vendor" / "github-workflows.json"
    validator = jsonschema.Draft7Validator(json.loads(place.read_text(encoding="utf-8")))
    error = jsonschema.exceptions.best_match(validator.iter_errors(document))
    if error is not None:
        where = ".".join(str(part) for part in error.absolute_path) or "the top level"
        raise WorkflowError(
            f"This is no workflow, at {where}: {error.message[:300]}",
            expected="what GitHub's workflow syntax allows there",
            next_step="compare with https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax",
        )


def _check_needs(jobs: Mapping[str, Job]) -> None:
    for job in jobs.values():
        if unknown := [need for need in job.needs if need not in jobs]:
            raise WorkflowError(
                f"Job {job.id} needs {', '.join(unknown)}, and there is no such job.",
                expected=f"one of {', '.join(jobs)}",
                next_step="correct the name under `needs`",
            )


def _triggers(on: Any) -> dict[str, Any]:
    if isinstance(on, str):
        return {on: None}
    return dict.fromkeys(on) if isinstance(on, list) else dict(on)


def _permissions(value: Any) -> dict[str, str] | None:
    if value is None or isinstance(value, dict):
        return value
    return {"*": str(value).removesuffix("-all")}  # read-all, write-all


def _concurrency(value: Any) -> dict[str, Any]:
    return {"group": value} if isinstance(value, str) else dict(value or {})


def _job(name: str, job: dict[str, Any]) -> Job:
    runs_on = job.get("runs-on", ())
    needs = job.get("needs", ())
    return Job(
        id=name,
        runs_on=(runs_on,) if isinstance(runs_on, str) else tuple(str(label) for label in runs_on),
        needs=(needs,) if isinstance(needs, str) else tuple(needs),
        permissions=_permissions(job.get("permissions")),
        timeout_minutes=job.get("timeout-minutes"),
        matrix=(job.get("strategy") or {}).get("matrix") or {},
        steps=tuple(_step(step) for step in job.get("steps", ())),
    )


def _step(step: dict[str, Any]) -> Step:
    uses, run = str(step.get("uses", "")), str(step.get("run", ""))
    return Step(str(step.get("name", uses or run)), uses, run, str(step.get("if", "")), step.get("with") or {})
