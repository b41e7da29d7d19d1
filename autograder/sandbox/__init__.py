"""Running strangers' notebooks: warm, walled in, and judged from outside.

The grader needs three names::

    from autograder.sandbox import Limits, capabilities, open_engine

    print(capabilities())                       # which sandbox can be had here, in order of preference, with reasons
    with open_engine(sandbox="auto") as engine:  # imports the course's libraries once, inside the sandbox
        executed = engine.run(plan, limits=Limits(wall_seconds=120))  # a Plan: the cells of a notebook, in order

``engine.run`` may be called from several threads at once: every submission gets processes, folders and a network of its
own. It never raises because of what a submission does. ``run_submission(plan, limits=..., sandbox=...)`` is the same
with an engine that is opened at the first call and kept. :func:`capabilities` tells what is missing and what to do;
``sandbox="auto"`` raises :class:`SandboxUnavailable` where no sandbox can be had, ``sandbox="none"`` runs without one.

Three kinds of processes take part. The *zygote* has imported the course's libraries and forks. The *learner's process*
runs what was handed in, behind walls (:mod:`autograder.sandbox.isolation.confine`). The *twin* runs the release's own
cells and tests; every name that a solution cell defines is a proxy there (:mod:`autograder.sandbox.rpc.proxies`), so
values cross and code does not. For Jupyter there are the kernel provisioners ``course-warm`` and ``course-sandbox``
(:mod:`autograder.sandbox.jupyter.provisioners`).
"""

from __future__ import annotations

from autograder.sandbox.capabilities import Capabilities, capabilities
from autograder.sandbox.engine import Engine, open_engine, run_submission
from autograder.sandbox.errors import ExecutionError, SandboxUnavailable
from autograder.sandbox.model import CellOutcome, ExecutedSubmission, Limits, Plan, PlanCell

__all__ = [
    "Capabilities",
    "CellOutcome",
    "Engine",
    "ExecutedSubmission",
    "ExecutionError",
    "Limits",
    "Plan",
    "PlanCell",
    "SandboxUnavailable",
    "capabilities",
    "open_engine",
    "run_submission",
]
