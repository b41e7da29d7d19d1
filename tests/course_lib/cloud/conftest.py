"""The emulators that the tests of the clouds share; they stop with the last of these tests."""

from __future__ import annotations

import pytest

from course_lib.cloud.providers.emulators import Emulators


@pytest.fixture(scope="package")
def clouds():
    with Emulators(seed=8) as here:
        yield here


@pytest.fixture
def url(clouds):
    """URL of AWS's emulator."""
    return clouds.aws
