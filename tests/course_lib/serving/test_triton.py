from __future__ import annotations

import json
import threading

import httpx
import numpy as np
import pandas as pd
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from course_lib import data, packaging
from course_lib.processes import free_port, wait_until
from course_lib.serving import triton
from course_lib.serving.errors import ServingError


@pytest.fixture(scope="module")
def model(bundle):
    return (bundle / "model.onnx").read_bytes()


@pytest.fixture(scope="module")
def flights():
    month = data.flights([3])
    return pd.concat([month.head(40), month[month["pressure"].isna()].head(10)])


@pytest.fixture
def repository(tmp_path, model):
    triton.write_repository(tmp_path, {1: model, 3: model})
    return tmp_path


def v2_server(repository):
    """A small server that reads a model repository and speaks the Open Inference Protocol."""
    app = FastAPI()
    loaded = {
        home.name: {
            int(path.name): packaging.Scorer((path / "model.onnx").read_bytes())
            for path in home.iterdir()
            if path.is_dir()
        }
        for home in repository.iterdir()
    }

    @app.get("/v2/health/ready")
    def ready():
        return {}

    @app.get("/v2/models/{name}/ready")
    def model_ready(name: str):
        return JSONResponse({}, 200 if name in loaded else 404)

    @app.get("/v2/models/{name}")
    def metadata(name: str):
        if name not in loaded:
            return JSONResponse({"error": f"Request for unknown model: '{name}' is not found"}, 404)
        scorer = loaded[name][max(loaded[name])]
        kinds = {True: "BYTES", False: "FP32"}
        return {
            "name": name,
            "versions": [str(number) for number in sorted(loaded[name])],
            "platform": "onnxruntime_onnx",
            "inputs": [{"name": n, "datatype": kinds[n in scorer.codes], "shape": [-1, 1]} for n in scorer.names],
            "outputs": [{"name": "late", "datatype": "FP32", "shape": [-1]}],
        }

    @app.post("/v2/models/{name}/infer")
    @app.post("/v2/models/{name}/versions/{version}/infer")
    async def infer(name: str, request: Request, version: int = 0):
        scorer = loaded[name].get(version or max(loaded[name]))
        if scorer is None:
            return JSONResponse({"error": f"version {version} is not available"}, 400)
        sent = json.loads(await request.body())["inputs"]
        assert all(one["shape"] == [len(one["data"]), 1] for one in sent)
        scores = scorer.score({one["name"]: one["data"] for one in sent}).tolist()
        late = {"name": "late", "datatype": "FP32", "shape": [len(scores)], "data": scores}
        return {"model_name": name, "model_version": str(version or max(loaded[name])), "outputs": [late]}

    return app


@pytest.fixture
def client(repository):
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(v2_server(repository), port=port, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, timeout=30, what="the server")
        with triton.Client(f"http://127.0.0.1:{port}") as made:
            yield made
    finally:
        server.should_exit = True
        thread.join(timeout=30)


def columns(frame, names):
    return {name: [None if pd.isna(value) else value for value in frame[name].tolist()] for name in names}


def test_a_repository_that_we_write_passes_its_check(repository):
    assert triton.check_repository(repository) == []
    assert sorted(str(path.relative_to(repository)) for path in repository.rglob("*.*")) == [
        "late_flights/1/model.onnx",
        "late_flights/3/model.onnx",
        "late_flights/config.pbtxt",
    ]


def test_the_configuration_lists_the_graphs_own_inputs_and_outputs(repository):
    text = (repository / "late_flights" / "config.pbtxt").read_text()
    assert '{ name: "carrier" data_type: TYPE_STRING dims: [ -1, 1 ] }' in text
    assert '{ name: "temp" data_type: TYPE_FP32 dims: [ -1, 1 ] }' in text
    assert '{ name: "late" data_type: TYPE_FP32 dims: [ -1 ] }' in text
    assert "dynamic_batching" not in text


def test_with_batching_the_first_dimension_is_left_to_triton(tmp_path, model):
    home = triton.write_repository(tmp_path, {1: model}, max_batch=64, max_delay_us=500)
    text = (home / "config.pbtxt").read_text()
    assert "max_batch_size: 64" in text
    assert '{ name: "temp" data_type: TYPE_FP32 dims: [ 1 ] }' in text
    assert '{ name: "late" data_type: TYPE_FP32 dims: [ 1 ] reshape: { shape: [ ] } }' in text
    assert "max_queue_delay_microseconds: 500" in text
    assert triton.check_repository(tmp_path) == []


def test_the_protocol_gives_the_answers_of_onnx_runtime(client, model, flights):
    scorer = packaging.Scorer(model)
    asked = columns(flights, scorer.names)
    assert any(value is None for values in asked.values() for value in values)  # a missing number goes through too
    expected = scorer.score(asked)
    assert client.ready()
    assert client.ready("late_flights")
    assert np.array_equal(client.infer("late_flights", asked)["late"], expected)
    assert np.array_equal(client.infer("late_flights", asked, version=1)["late"], expected)


def test_what_the_server_refuses_is_told_in_its_own_words(client, model, flights):
    asked = columns(flights, packaging.Scorer(model).names)
    assert not client.ready("other")
    with pytest.raises(
        ServingError, match=r"refused GET /v2/models/other with 404: Request for unknown model: 'other'"
    ):
        client.infer("other", asked)
    with pytest.raises(ServingError, match="version 2 is not available"):
        client.infer("late_flights", asked, version=2)
    with pytest.raises(ServingError, match="also needs carrier"):
        client.infer("late_flights", {name: values for name, values in asked.items() if name != "carrier"})


def test_a_server_that_is_away_is_an_error_and_not_ready():
    def away(request):
        raise httpx.ConnectError("connection refused")

    with triton.Client("http://127.0.0.1:9", transport=httpx.MockTransport(away)) as client:
        assert not client.ready()
        with pytest.raises(ServingError, match="Nobody answers"):
            client.metadata()


def test_an_answer_that_is_no_json_is_an_error():
    page = httpx.MockTransport(lambda request: httpx.Response(200, text="<html>"))
    with triton.Client("http://127.0.0.1:9", transport=page) as client, pytest.raises(ServingError, match="<html>"):
        client.metadata()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda home: (home / "config.pbtxt").unlink(), "no config.pbtxt"),
        (lambda home: home.rename(home.with_name("renamed")), "says name 'late_flights', the folder 'renamed'"),
        (lambda home: (home / "1" / "model.onnx").write_bytes(b"?"), "version 1: A model is no ONNX"),
        (lambda home: (home / "1" / "model.onnx").rename(home / "1" / "model.pt"), "version 1 has no model.onnx"),
        (lambda home: (home / "1").rename(home / "v1"), "the folder 'v1' is no version"),
        (lambda home: edit(home, '"carrier"', '"airline"'), "has no input 'airline', config.pbtxt does"),
        (lambda home: edit(home, '"carrier"', '"airline"'), "needs the input 'carrier', config.pbtxt lacks it"),
        (lambda home: edit(home, "TYPE_STRING", "TYPE_FP32"), "'carrier' is TYPE_STRING in the graph and TYPE_FP32"),
        (lambda home: edit(home, '"late"', '"score"'), "has no output 'score'"),
        (lambda home: edit(home, 'backend: "onnxruntime"', ""), "names no backend for ONNX"),
        (lambda home: edit(home, "count: 1 }", "count: 1"), "brackets are not closed"),
    ],
)
def test_what_triton_would_refuse_is_found(repository, change, message):
    change(repository / "late_flights")
    found = [str(finding) for finding in triton.check_repository(repository)]
    assert any(message in one for one in found), found


def edit(home, old, new):
    path = home / "config.pbtxt"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_a_model_without_a_version_is_found(repository):
    for number in ("1", "3"):
        (repository / "late_flights" / number / "model.onnx").unlink()
        (repository / "late_flights" / number).rmdir()
    assert "it has no version" in str(triton.check_repository(repository)[0])


def test_a_tensor_may_be_listed_in_a_block_of_its_own():
    text = 'input { name: "a" data_type: TYPE_FP32 dims: [ 1 ] }\n  input [{name:"b" data_type:TYPE_INT64 dims:[1]}]'
    assert triton._tensors_of(text, "input") == [("a", "TYPE_FP32"), ("b", "TYPE_INT64")]


@pytest.mark.parametrize(
    ("versions", "options", "message"),
    [
        ({}, {}, r"The versions are \[\]"),
        ({0: b""}, {}, r"The versions are \[0\]"),
        ({1: b"?"}, {}, "no ONNX that can be read"),
        ({1: b"?"}, {"name": "a/b"}, "'a/b' is no name"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, versions, options, message):
    with pytest.raises(ServingError, match=message):
        triton.write_repository(tmp_path, versions, **options)
    assert not list(tmp_path.iterdir())


def test_versions_that_answer_other_requests_are_refused(tmp_path, model):
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "other", values[:1], values[1:])
    other = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    with pytest.raises(ServingError, match="Version 1 has other inputs or outputs than version 2"):
        triton.write_repository(tmp_path, {1: other, 2: model})


def test_a_folder_without_models_is_an_error(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ServingError, match="holds no model"):
            triton.check_repository(folder)
