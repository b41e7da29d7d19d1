"""Stage H, CI/CD: workflows read, linted and run on this machine; tests of a model, and the gate before delivery.

Nothing here needs GitHub or a network. The actions a workflow uses are replaced by stand-ins (:data:`STAND_INS`) that
say so in the log.
"""

from __future__ import annotations

from course_lib.delivery.act import JobRun, Run, StepRun, run
from course_lib.delivery.cron import next_runs
from course_lib.delivery.errors import DeliveryError, GateError, WorkflowError
from course_lib.delivery.fake_actions import STAND_INS
from course_lib.delivery.figures import bars
from course_lib.delivery.gate import judge, measure, summary
from course_lib.delivery.lint import Finding, actionlint_version, lint
from course_lib.delivery.mutants import BUGS, Bug, Verdict, mutation_score, plant
from course_lib.delivery.notebooks import compare_outputs, parameters, run_notebook
from course_lib.delivery.repository import Repository
from course_lib.delivery.workflow import Job, Step, Workflow, read_workflow

__all__ = [
    "BUGS",
    "STAND_INS",
    "Bug",
    "DeliveryError",
    "Finding",
    "GateError",
    "Job",
    "JobRun",
    "Repository",
    "Run",
    "Step",
    "StepRun",
    "Verdict",
    "Workflow",
    "WorkflowError",
    "actionlint_version",
    "bars",
    "compare_outputs",
    "judge",
    "lint",
    "measure",
    "mutation_score",
    "next_runs",
    "parameters",
    "plant",
    "read_workflow",
    "run",
    "run_notebook",
    "summary",
]
