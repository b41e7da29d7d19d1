"""Stage ci: the workflow runs the tests on every push, with few rights, and turns red when a bug comes in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from autograder.projects.harness import Harness
from autograder.projects.model import Requirement, Unmet
from autograder.projects.sandbox import ENVIRONMENT
from autograder.projects.stage import Stage
from autograder.projects.stages.tests import mutant

if TYPE_CHECKING:
    from course_lib.delivery import Workflow

__all__ = ["STAGE"]

_FOLDER = ".github/workflows/"
_DANGEROUS = ("pull_request_target", "workflow_run")

REQUIREMENTS = (
    Requirement(
        "ci.on_push", "a workflow starts on every push", 3, "`on: push`, without a filter for branches or paths."
    ),
    Requirement(
        "ci.least_privilege",
        "workflows may only read, use no secret, and pin what they use to commits",
        3,
        "`permissions: contents: read` at the top; `uses: owner/name@<40 hex digits>`."
        " Run `zizmor --offline` to see all.",
    ),
    Requirement(
        "ci.green", "the workflow is green on the project as it is", 3, "Read the step that failed; run it by hand."
    ),
    Requirement(
        "ci.red",
        "the workflow is red when the model's answers are the wrong way round",
        4,
        "The job must run the tests, and a failing test must fail the job: no `|| true`, no `continue-on-error`.",
    ),
)


def _run(harness: Harness) -> None:
    from course_lib.delivery import WorkflowError, read_workflow

    texts = {
        path.removeprefix(_FOLDER): harness.project.text(path) or ""
        for path in sorted(harness.project.files)
        if path.startswith(_FOLDER) and path.endswith((".yml", ".yaml"))
    }
    if not texts:
        raise Unmet(f"there is no workflow in {_FOLDER}")
    try:
        workflows = {name: read_workflow(text) for name, text in texts.items()}
    except WorkflowError as error:
        raise Unmet(error.happened) from error
    pushed = [name for name, workflow in workflows.items() if _on_every_push(workflow)]
    started = {name: ", ".join(sorted(map(str, workflow.triggers))) for name, workflow in workflows.items()}
    harness.record("ci.on_push", bool(pushed), "; ".join(f"{name} starts on: {what}" for name, what in started.items()))
    risks = [f"{name}: {risk}" for name, text in texts.items() for risk in _risks(text, workflows[name])]
    harness.record(
        "ci.least_privilege", not risks, "; ".join(risks[:5]) or "read-only, no secrets, actions pinned to commits"
    )
    runnable = pushed or [name for name, workflow in workflows.items() if "push" in workflow.triggers]
    if not runnable:
        raise Unmet("no workflow starts on a push")
    _check_runs(harness, runnable[0])


def _on_every_push(workflow: Workflow) -> bool:
    if "push" not in workflow.triggers:
        return False
    filters = workflow.triggers["push"] or {}
    return not any(key in filters for key in ("branches", "branches-ignore", "paths", "paths-ignore", "tags"))


def _risks(text: str, workflow: Workflow) -> Iterator[str]:
    from course_lib.delivery import lint

    if workflow.permissions is None and any(job.permissions is None for job in workflow.jobs.values()):
        yield "no permissions stated"
    granted = [workflow.permissions, *(job.permissions for job in workflow.jobs.values())]
    yield from (f"{what}: write" for given in granted if given for what, level in given.items() if level == "write")
    yield from (f"starts on {trigger}" for trigger in _DANGEROUS if trigger in workflow.triggers)
    used = sorted(set(re.findall(r"secrets(?:\.|\[['\"])(\w+)", text)) - {"GITHUB_TOKEN"})
    yield from (f"reads the secret {name}" for name in used)
    if re.search(r"toJSON\(\s*secrets\s*\)|secrets:\s*inherit", text):
        yield "reads all secrets"
    yield from (f"{finding.rule} in line {finding.line}" for finding in lint(text) if finding.tool == "zizmor")


def _check_runs(harness: Harness, name: str) -> None:
    harness.require_installed()
    green = _push(harness, name, {})
    ran = any(job["steps"] for job in green.get("jobs", []))
    passed = green.get("conclusion") == "success" and ran
    log_tail = "" if passed else " / ".join(str(green.get("log", "")).strip().splitlines()[-3:])
    harness.record("ci.green", passed, f"{name} on a push: {_summary(green)}", log_tail)
    red = _push(harness, name, mutant(harness, "swapped"))
    evidence = f"{name} on a push with `predict` giving 1 − p: {_summary(red)}"
    harness.record(
        "ci.red", passed and red.get("conclusion") == "failure", evidence + ("" if passed else "; it was red before")
    )


def _push(harness: Harness, name: str, overlay: Mapping[str, bytes]) -> dict[str, Any]:
    place = harness.fresh(overlay=overlay)
    seconds = harness.timeouts.test
    done = harness.sandbox.run_tool(
        "workflow", place, name, f"{ENVIRONMENT}/bin/python", str(seconds), seconds=seconds + 30
    )
    lines = [line for line in done.out.splitlines() if line.startswith("{")]
    try:
        return dict(json.loads(lines[-1])) if lines else {"failed": done.description() + ": " + done.output_tail(1)}
    except ValueError:
        return {"failed": "it printed nonsense"}


def _summary(run: Mapping[str, Any]) -> str:
    if "failed" in run:
        return str(run["failed"])
    words = [f"{job['id']} {job['conclusion']}" for job in run["jobs"]]
    failed = [step for job in run["jobs"] for step, conclusion in job["steps"] if conclusion == "failure"]
    return ", ".join(words) + (f" (failed: {'; '.join(failed)[:200]})" if failed else "")


STAGE = Stage("ci", REQUIREMENTS, _run)
