"""Stage I, containers: build, run and read images with Docker or Podman, and plan them where there is neither.

Open an engine with :func:`open_engine`. What reads text (:func:`parse`, :func:`graph`, :func:`lint`, :func:`estimate`,
:func:`start_order`) needs no engine at all.
"""

from __future__ import annotations

from course_lib.containers.engine.compose_project import Project, compose_program, missing_images
from course_lib.containers.engine.detect import open_engine
from course_lib.containers.engine.docker import BASE, Engine
from course_lib.containers.engine.plan_engine import PlanEngine
from course_lib.containers.engine.results import Build, Running, Step, Stopped
from course_lib.containers.reading.compose import (
    ComposeError,
    Service,
    lint_compose,
    read_compose,
    start_order,
    start_times,
)
from course_lib.containers.reading.context import Context, ignored
from course_lib.containers.reading.dockerfile import Dockerfile, DockerfileError, Instruction, Stage, parse
from course_lib.containers.reading.inspect_image import Archive, ImageLayer, read_archive, sbom
from course_lib.containers.reading.layers import Layer, expensive, graph, rebuilt
from course_lib.containers.reading.sizes import estimate, installed_metadata, total
from course_lib.containers.review.policy import RULES, Finding, hadolint, lint, user
from course_lib.containers.stop_test import HEAD, StopReport, drill

__all__ = [
    "BASE",
    "HEAD",
    "RULES",
    "Archive",
    "Build",
    "ComposeError",
    "Context",
    "Dockerfile",
    "DockerfileError",
    "Engine",
    "Finding",
    "ImageLayer",
    "Instruction",
    "Layer",
    "PlanEngine",
    "Project",
    "Running",
    "Service",
    "Stage",
    "Step",
    "StopReport",
    "Stopped",
    "compose_program",
    "drill",
    "estimate",
    "expensive",
    "graph",
    "hadolint",
    "ignored",
    "installed_metadata",
    "lint",
    "lint_compose",
    "missing_images",
    "open_engine",
    "parse",
    "read_archive",
    "read_compose",
    "rebuilt",
    "sbom",
    "start_order",
    "start_times",
    "total",
    "user",
]
