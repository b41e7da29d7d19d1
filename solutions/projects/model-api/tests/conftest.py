"""Tests train a model of their own: they need nothing that somebody made before."""

import pytest

from tumours import train


@pytest.fixture(scope="session", autouse=True)
def _model(tmp_path_factory):
    file = tmp_path_factory.mktemp("model") / "model.json"
    values, labels, *_ = train.split(*train.data())
    train.save(train.fit(values, labels)[0], file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_PATH", str(file))
        yield
