from __future__ import annotations

import itertools
from typing import get_args

import pytest

from course_lib.cloud import Need, choose, deployment_matrix
from course_lib.cloud.errors import CloudError

CLOUDS = get_args(deployment_matrix.Cloud)


@pytest.mark.parametrize(
    ("need", "row"),
    [
        (Need(model="foundation"), "managed-llm"),
        (Need(model="foundation", data_may_leave=False), "self-hosted-llm"),
        (Need(model="open-weight", runs_servers=True), "self-hosted-llm"),
        (Need(model="open-weight"), "managed-llm"),
        (Need(model="own"), "custom-model"),
        (Need(model="own", frameworks=3), "multi-model"),
        (Need(model="own", where="device", frameworks=3), "edge"),
        (Need(model="open-weight", where="laptop"), "local"),
    ],
)
def test_a_need_leads_to_its_row(need, row):
    assert choose(need).row == row


def test_every_possible_need_gets_a_path_with_reasons_and_alternatives():
    booleans = (True, False)
    for model, where, frameworks, servers, leave, cloud in itertools.product(
        get_args(deployment_matrix.Model),
        get_args(deployment_matrix.Place),
        (1, 3),
        booleans,
        booleans,
        (None, *CLOUDS),
    ):
        need = Need(
            model=model, where=where, frameworks=frameworks, runs_servers=servers, data_may_leave=leave, cloud=cloud
        )
        found = choose(need)
        assert found.path
        assert found.why
        assert found.alternatives
        assert found.path in str(found)


def test_the_house_standard_decides_the_column():
    assert choose(Need(model="own", cloud="azure")).path == "Azure Machine Learning"
    assert "the standard is azure" in choose(Need(model="own", cloud="azure")).why


def test_a_team_without_servers_is_not_sent_to_kubernetes():
    assert "Kubernetes" not in choose(Need(model="own")).path
    assert "Kubernetes" in choose(Need(model="own", runs_servers=True)).path


def test_a_closed_model_that_data_may_not_reach_is_explained():
    why = choose(Need(model="foundation", data_may_leave=False)).why
    assert any("closed model runs at its provider only" in reason for reason in why)


@pytest.mark.parametrize("scenario", deployment_matrix.DEFAULTS)
def test_every_scenario_is_in_the_matrix(scenario):
    assert choose(scenario).row == deployment_matrix.DEFAULTS[scenario]
    assert deployment_matrix.DEFAULTS[scenario] in deployment_matrix.MATRIX


@pytest.mark.parametrize("old", [old for old, new in deployment_matrix.RENAMED.items() if old not in new])
def test_old_names_are_not_recommended(old):
    for row, cloud in itertools.product(deployment_matrix.MATRIX.values(), CLOUDS):
        assert old not in row.on(cloud)


def test_tgi_is_never_named_without_its_state():
    for row, cloud in itertools.product(deployment_matrix.MATRIX.values(), CLOUDS):
        assert "TGI" not in row.on(cloud).replace("TGI: in maintenance mode", "")


def test_an_unknown_need_says_which_there_are():
    with pytest.raises(CloudError, match=r"no need 'teleport'[\s\S]*managed-llm[\s\S]*describe it"):
        choose("teleport")


@pytest.mark.parametrize(
    "wrong", [{"model": "huge"}, {"model": "own", "where": "moon"}, {"model": "own", "frameworks": 0}]
)
def test_a_need_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(CloudError, match="Expected"):
        Need(**wrong)


@pytest.mark.parametrize("call", [lambda: choose("edge", cloud="ibm"), lambda: Need(model="own", cloud="ibm")])
def test_an_unknown_cloud_says_which_there_are(call):
    with pytest.raises(CloudError, match="no cloud 'ibm'"):
        call()


def test_the_table_has_a_row_a_need_and_a_column_a_cloud():
    assert deployment_matrix.table().shape == (len(deployment_matrix.MATRIX), len(CLOUDS) + 1)
