"""Emulators that the tests of the clouds share, and a folder that stands for a laptop with real credentials on it."""

from __future__ import annotations

import pytest

from course_lib.cloud import aws
from course_lib.cloud.emulators import Emulators


@pytest.fixture(scope="session")
def clouds():
    with Emulators(seed=8) as here:
        yield here


@pytest.fixture
def url(clouds):
    """AWS's emulator, as it is after a reset."""
    aws.client("s3", clouds.aws)  # the emulator is up
    return clouds.aws
