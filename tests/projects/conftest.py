"""Each reference is graded once, and its broken variants beside it: they share what they cannot have changed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import pytest

from autograder.projects.harness import StageCache
from autograder.projects.model import ProjectReport
from autograder.projects.registry import open_project
from autograder.projects.stage import grade
from tests.projects.variants import read_variants

ROOT = Path(__file__).parents[2]
REFERENCES = ROOT / "solutions" / "projects"
AT_ONCE = 2


@lru_cache
def _graded(kind: str) -> dict[str, ProjectReport]:
    """Return the reports of a reference (under its kind's name) and of its variants."""
    project, found = open_project(REFERENCES / kind)
    cache = StageCache()
    reports = {kind: grade(project, found, cache=cache)}
    variants = read_variants(REFERENCES / f"{kind}.variants.toml")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = {v.name: pool.submit(grade, v.of(project), found, only=v.stages, cache=cache) for v in variants}
    return reports | {name: job.result() for name, job in jobs.items()}


@pytest.fixture(scope="session")
def graded() -> Callable[[str], dict[str, ProjectReport]]:
    return _graded


@pytest.fixture(scope="session")
def references() -> Path:
    return REFERENCES
