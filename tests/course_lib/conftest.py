"""Flights that the tests of the stages share; read once."""

from __future__ import annotations

import pytest

from course_lib import data, training


@pytest.fixture(scope="session")
def winter():
    """January to April, every scheduled flight."""
    return data.flights([1, 2, 3, 4])


@pytest.fixture(scope="session")
def labelled_winter(winter):
    return data.labelled(winter)


@pytest.fixture(scope="session")
def january_model(labelled_winter):
    return training.train(labelled_winter[labelled_winter["month"] == 1])
