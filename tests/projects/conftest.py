"""Each reference is graded once, and its broken variants beside it: they share what they cannot have changed."""

from __future__ import annotations

from collections.abc import Callable
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


@lru_cache
def _reference(kind: str) -> tuple[ProjectReport, StageCache]:
    project, found = open_project(REFERENCES / kind)
    cache = StageCache()
    return grade(project, found, cache=cache), cache


@lru_cache
def _graded(kind: str, name: str = "") -> ProjectReport:
    """Return the report of a reference, or of its variant of this name: it shares what it cannot have changed."""
    report, cache = _reference(kind)
    if not name:
        return report
    project, found = open_project(REFERENCES / kind)
    (variant,) = (v for v in read_variants(REFERENCES / f"{kind}.variants.toml") if v.name == name)
    return grade(variant.of(project), found, only=variant.stages, cache=cache)


@pytest.fixture(scope="session")
def graded() -> Callable[..., ProjectReport]:
    return _graded


@pytest.fixture(scope="session")
def references() -> Path:
    return REFERENCES
