"""Small plans for the tests of execution."""

from __future__ import annotations

from autograder.sandbox import ExecutedSubmission, Limits, Plan, PlanCell

LIMITS = Limits(memory_mb=600, processes=48, cpu_seconds=60, wall_seconds=60, cell_seconds=20, disk_mb=64, restarts=2)


def plan(learner: str, *tests: str, names: tuple[str, ...] = ("f",), setup: str = "") -> Plan:
    """Return a setup cell, one solution cell that must define ``names``, and tests called t0, t1, …"""
    stub = "\n".join(f"{name} = None" for name in names)
    cells = [PlanCell("setup", "free", setup, setup), PlanCell("ex", "solution", stub, learner)]
    return Plan(cells=(*cells, *[PlanCell(f"t{i}", "test", source) for i, source in enumerate(tests)]))


def story(done: ExecutedSubmission) -> str:
    """Return what happened, for the message of a failed test."""
    return "\n".join(f"{o.id}: {o.ok} {o.error}: {o.message}" for o in done.outcomes) + f"\n{done.reason}"
