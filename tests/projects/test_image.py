"""The image of the reference is built by a real engine, runs, answers, is not root, and becomes healthy."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from autograder.projects.registry import open_project
from autograder.projects.stages.image import build_and_ask

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


def test_the_reference_s_image_is_built_and_healthy(references: Path) -> None:
    project, _ = open_project(references / "model-api")
    model = {"centre": [0] * 8, "scale": [1] * 8, "weights": [0] * 8, "bias": 0}
    files = {**project.files, "artifacts/model.json": json.dumps(model).encode()}
    example = json.loads(project.files["examples/request.json"])
    passed, evidence = build_and_ask(files, project.files["Dockerfile"].decode(), 8000, example)
    if evidence.startswith("no engine could be used") and not os.environ.get("COURSE_EXPECT_ENGINE"):
        pytest.skip(evidence)
    assert passed, evidence
    assert "user 10001, healthy" in evidence
