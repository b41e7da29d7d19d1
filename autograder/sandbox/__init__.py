"""Sandbox that runs submitted notebooks: preforked, confined, and judged by a process of its own.

May import: ``course_lib.errors`` and ``course_lib.data``, nothing else of ``autograder``.
Hostile bytes: what a learner's process answers and prints; `streams` reads it, `messages` and `outcomes` check it.

The grader needs three names::

    from autograder.sandbox import Limits, capabilities, open_engine

    print(capabilities())                       # which sandbox can be had here, in order of preference, with reasons
    with open_engine(sandbox="auto") as engine:  # imports the course's libraries once, inside the sandbox
        executed = engine.run(plan, limits=Limits(wall_seconds=120))  # a Plan: the cells of a notebook, in order

``engine.run`` may be called from several threads at once: every submission gets processes, folders and a network of its
own. It never raises because of what a submission does. :func:`capabilities` tells what is missing and what to do;
``sandbox="auto"`` raises :class:`SandboxUnavailable` where no sandbox can be had, ``sandbox="none"`` runs without one.

Three kinds of processes take part. The *forkserver* has imported the course's libraries and forks. The *learner's
process* runs what was handed in, behind walls (:mod:`autograder.sandbox.isolation.confine`). The *judge* runs the
release's own cells and tests; every name that a solution cell defines is a proxy there
(:mod:`autograder.sandbox.rpc.proxies`), so values cross and code does not. Who says what to whom is drawn in
:mod:`autograder.sandbox.messages`. For Jupyter there are the kernel provisioners ``course-warm`` and ``course-sandbox``
(:mod:`autograder.sandbox.jupyter.provisioners`).
"""

from __future__ import annotations

from autograder.sandbox.capabilities import Capabilities, capabilities, choose
from autograder.sandbox.engine import Engine, open_engine
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
    "choose",
    "open_engine",
]
