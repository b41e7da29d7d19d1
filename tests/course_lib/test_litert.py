from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from course_lib import evaluation, features
from course_lib.errors import BundleError, EngineError, ExportError
from course_lib.packaging import litert

NETWORK = {"max_iter": 2, "random_state": 0}
pytestmark = pytest.mark.skipif(sys.platform not in {"linux", "darwin"}, reason="LiteRT has no package for this system")


def fitted(model, frame, *steps):
    middle = steps or (SimpleImputer(), StandardScaler())
    pipeline = Pipeline(
        [("features", features.build_transformer()), *((str(step), step) for step in middle), ("net", model)]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two epochs are too few to converge
        return pipeline.fit(features.select(frame), frame["late"])


@pytest.fixture(scope="module")
def january(labelled_winter):
    return labelled_winter[labelled_winter["month"] == 1].head(4_000)


@pytest.fixture(scope="module")
def march(labelled_winter):
    return labelled_winter[labelled_winter["month"] == 3]


@pytest.fixture(scope="module")
def network(january):
    return fitted(MLPClassifier((64, 32), **NETWORK), january)


@pytest.mark.parametrize(
    "model", [LogisticRegression(), MLPClassifier((8,), **NETWORK), MLPClassifier((16, 8, 4), **NETWORK)], ids=repr
)
def test_litert_gives_the_answers_of_scikit_learn(model, january, march):
    pipeline = fitted(model, january)
    matrix = litert.encode(pipeline, march)
    assert np.isnan(matrix).any()  # the graph fills the gaps itself
    found = litert.LiteScorer(litert.export_litert(pipeline)).score(matrix)
    wanted = pipeline.predict_proba(features.select(march))[:, 1]
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-5


def test_the_middle_steps_are_optional(january, march):
    january, march = (frame.dropna(subset=list(features.NUMBERS)) for frame in (january, march))
    pipeline = fitted(LogisticRegression(), january, StandardScaler())
    found = litert.LiteScorer(litert.export_litert(pipeline)).score(litert.encode(pipeline, march))
    assert np.abs(found - pipeline.predict_proba(features.select(march))[:, 1]).max() < 1e-5


def test_eight_bits_make_it_a_third_and_cost_hardly_any_ranking(network, march):
    plain, small = litert.export_litert(network), litert.export_litert(network, quantise=True)
    assert len(small) < len(plain) / 2
    matrix = litert.encode(network, march)
    auc = [evaluation.score(march["late"], litert.LiteScorer(body).score(matrix)).auc for body in (plain, small)]
    assert abs(auc[0] - auc[1]) < 0.01


def test_rows_may_come_in_any_number_and_one_by_one(network, march):
    scorer = litert.LiteScorer(litert.export_litert(network))
    matrix = litert.encode(network, march.head(7))
    together = scorer.score(matrix)
    one_by_one = [scorer.score(row[None, :])[0] for row in matrix]
    assert np.allclose(together, one_by_one, atol=1e-6)
    assert scorer.score(matrix[:0]).shape == (0,)


def test_the_same_network_is_the_same_file(network):
    assert litert.export_litert(network) == litert.export_litert(network)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda january: fitted(MLPClassifier((4,), activation="tanh", **NETWORK), january), "no form for LiteRT"),
        (lambda january: fitted(LogisticRegression(), january, SimpleImputer(), MinMaxScaler()), "MinMaxScaler"),
        (
            lambda january: Pipeline([("f", features.build_transformer()), ("net", LogisticRegression())]),
            "fit it first",
        ),
    ],
)
def test_what_has_no_form_in_litert_is_refused(change, message, january):
    with pytest.raises(ExportError, match=message):
        litert.export_litert(change(january))


def test_trees_are_sent_to_onnx(january_model):
    with pytest.raises(ExportError, match=r"HistGradientBoostingClassifier[\s\S]*ONNX"):
        litert.export_litert(january_model)


@pytest.mark.parametrize("body", [b"", b"no model at all", b"\0\0\0\0TFL3" + bytes(50)])
def test_bytes_that_are_no_model_are_refused(body):
    with pytest.raises(BundleError, match="LiteRT"):
        litert.LiteScorer(body)


def test_a_matrix_of_another_width_is_refused(network):
    with pytest.raises(BundleError, match=r"\(2, 3\)[\s\S]*\(rows, 15\)"):
        litert.LiteScorer(litert.export_litert(network)).score(np.zeros((2, 3)))


def test_without_litert_the_message_says_what_to_do(network, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.schema_py_generated", None)
    with pytest.raises(EngineError, match="use ONNX Runtime"):
        litert.export_litert(network)
