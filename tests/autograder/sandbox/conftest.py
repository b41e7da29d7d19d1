"""One warm engine for the tests of execution."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autograder.sandbox import Engine, capabilities

LIBRARIES = (
    "numpy",
    "pandas",
    "pydantic",
    "fastapi.testclient",
    "sklearn.linear_model",
    "onnxruntime",
    "course_lib.training",
)


@pytest.fixture(scope="session")
def walled_engine() -> Iterator[Engine]:
    with Engine(sandbox=capabilities().choose("auto"), preload=LIBRARIES, cache=None) as engine:
        yield engine
