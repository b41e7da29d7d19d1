"""Packaging: exports that are proved, bundles that notice every change, keys that stay private."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from course_lib import features, packaging, training
from course_lib.errors import BundleError, ExportError
from course_lib.packaging import signing

ROW = {"carrier": "UA", "origin": "EWR", "dest": "IAH", "distance": 1400, "sched_minutes": 227, "dep_minute": 315}
ROW |= {"weekday": 2, "departures_in_hour": 6}
KEY = packaging.new_key()


@pytest.fixture(scope="module")
def exported(january_model):
    return packaging.export_onnx(january_model)


@pytest.fixture(scope="module")
def original(january_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "one"
    return packaging.build_bundle(folder, january_model, version=7, run_id="abc123", key=KEY)


@pytest.fixture
def bundle(original, tmp_path):
    """A copy that a test may damage."""
    target = tmp_path / "bundle"
    target.mkdir()
    for path in original.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


# --- export and parity -------------------------------------------------------------------------------------------


def test_export_agrees_with_the_pipeline_on_every_flight(january_model, exported, winter):
    proof = packaging.parity(january_model, exported, winter)
    assert proof.rows == len(winter)
    assert proof.beyond == 0
    assert proof.max_difference < 1e-6


def test_export_treats_unknown_codes_and_missing_weather_as_training_does(january_model, exported, winter):
    odd = winter.head(500).assign(carrier="ZZ", dest="QQQ", temp=np.nan, pressure=np.nan, wind_speed=np.nan)
    assert packaging.parity(january_model, exported, odd).beyond == 0


def test_export_has_one_named_input_per_feature(exported):
    scorer = packaging.Scorer(exported)
    assert scorer.names == features.NAMES
    assert scorer.codes == set(features.CATEGORIES)


def test_exporting_twice_gives_the_same_bytes(january_model, exported):
    assert packaging.export_onnx(january_model) == exported


def test_parity_counts_rows_that_rounding_sent_to_another_leaf(labelled_winter):
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    january = labelled_winter[labelled_winter["month"] == 1]
    trees = HistGradientBoostingClassifier(max_iter=20, early_stopping=False, random_state=0)
    steps = [("features", features.build_transformer()), ("scale", StandardScaler()), ("trees", trees)]
    scaled = Pipeline(steps).fit(features.select(january), january["late"])
    proof = packaging.parity(scaled, packaging.export_onnx(scaled), january)
    assert proof.max_difference > 1e-3
    assert 0 < proof.rate < 0.5


def test_parity_finds_another_model(labelled_winter, exported):
    other = training.train(labelled_winter.head(5000), training.TrainingConfig(max_iter=5))
    assert packaging.parity(other, exported, labelled_winter.head(1000)).rate > 0.9


def test_parity_calls_nan_a_difference(january_model, winter):
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_model_from_string(packaging.export_onnx(january_model))
    gather = graph.graph.node.pop()  # multiply the probability by NaN before it leaves
    graph.graph.initializer.append(numpy_helper.from_array(np.array(np.nan, dtype=np.float32), "nan"))
    graph.graph.node.append(onnx.helper.make_node("Gather", list(gather.input), ["before"], axis=1))
    graph.graph.node.append(onnx.helper.make_node("Mul", ["before", "nan"], list(gather.output)))
    proof = packaging.parity(january_model, graph.SerializeToString(), winter.head(50))
    assert proof.beyond == 50


def test_parity_of_nothing_is_refused(january_model, exported, winter):
    with pytest.raises(ExportError, match="no flight"):
        packaging.parity(january_model, exported, winter.head(0))


def test_pipeline_that_is_not_fitted_is_refused():
    from sklearn.linear_model import LogisticRegression

    with pytest.raises(ExportError, match="LogisticRegression is not a classifier that was fitted"):
        packaging.export_onnx(LogisticRegression())


def test_pipeline_that_read_the_outcome_is_refused(labelled_winter):
    from sklearn.linear_model import LogisticRegression

    frame = labelled_winter.head(500)
    cheat = LogisticRegression().fit(frame[["distance", "arr_delay"]], frame["late"])
    with pytest.raises(ExportError, match="arr_delay"):
        packaging.export_onnx(cheat)


def test_step_that_onnx_lacks_is_named(labelled_winter):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    frame = labelled_winter.head(500)
    pipeline = make_pipeline(FunctionTransformer(np.sqrt), LogisticRegression())
    pipeline.fit(frame[["distance"]], frame["late"])
    with pytest.raises(ExportError, match="cannot be converted"):
        packaging.export_onnx(pipeline)


# --- scoring -----------------------------------------------------------------------------------------------------


def test_missing_weather_may_be_left_out_of_a_row(exported):
    scorer = packaging.Scorer(exported)
    left_out = scorer.score_rows([ROW])
    given_as_none = scorer.score_rows([ROW | dict.fromkeys(features.NAMES[8:])])
    assert left_out.shape == (1,)
    assert left_out.dtype == np.float32
    assert left_out[0] == given_as_none[0]


def test_no_rows_have_no_answers(exported):
    assert packaging.Scorer(exported).score_rows([]).shape == (0,)


def test_missing_column_is_named(exported):
    with pytest.raises(BundleError, match="'carrier'"):
        packaging.Scorer(exported).score({})


@pytest.mark.parametrize("wrong", [{"distance": "far"}, {"distance": [1, 2]}, {"distance": {}}])
def test_value_of_another_type_is_refused(exported, wrong):
    with pytest.raises(BundleError, match="cannot be scored"):
        packaging.Scorer(exported).score_rows([ROW | wrong])


@pytest.mark.parametrize("body", [b"", b"not a model", b"\x80\x04K\x01."])
def test_bytes_that_are_no_model_are_refused(body):
    with pytest.raises(BundleError, match="cannot load"):
        packaging.Scorer(body)


# --- bundle ------------------------------------------------------------------------------------------------------


def test_opened_bundle_holds_what_was_packed(original, exported):
    opened = packaging.open_bundle(original, public_key=KEY.public)
    assert (opened.name, opened.version, opened.run_id) == ("late-flights", 7, "abc123")
    assert opened.model == exported
    assert [one["name"] for one in opened.schema] == list(features.NAMES)
    weather = next(one for one in opened.schema if one["name"] == "temp")
    assert weather == {"name": "temp", "kind": "number", "unit": "°F", "low": -40, "high": 120, "nullable": True}
    assert "scikit-learn" in opened.environment
    assert "version 7" in opened.card
    assert 0 < opened.scorer().score_rows([ROW])[0] < 1


def test_bundle_holds_onnx_json_and_markdown_only(original):
    assert sorted(path.suffix for path in original.iterdir()) == [".json", ".json", ".json", ".md", ".onnx"]


def test_building_twice_gives_the_same_bytes(original, january_model, tmp_path):
    again = packaging.build_bundle(tmp_path / "again", january_model, version=7, run_id="abc123", key=KEY)
    for path in original.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_bundle_is_never_overwritten(bundle, january_model):
    before = (bundle / "manifest.json").read_bytes()
    with pytest.raises(BundleError, match="something at"):
        packaging.build_bundle(bundle, january_model, version=8, run_id="other", key=KEY)
    assert (bundle / "manifest.json").read_bytes() == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from([*packaging.FILES, "manifest.json"]), place=st.floats(0, 1), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(original, tmp_path, name, place, bit):
    target = tmp_path / "flipped"
    target.mkdir(exist_ok=True)
    for path in original.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    body = bytearray((target / name).read_bytes())
    body[min(int(place * len(body)), len(body) - 1)] ^= 1 << bit
    (target / name).write_bytes(body)
    if name == "manifest.json" and _same_json(bytes(body), (original / name).read_bytes()):
        return  # a space became another kind of space: the content is what was signed
    with pytest.raises(BundleError):
        packaging.open_bundle(target, public_key=KEY.public)


def test_a_signature_in_capitals_is_a_changed_byte():
    signature = KEY.sign(b"message")
    assert signing.verify(KEY.public, b"message", signature)
    assert not signing.verify(KEY.public, b"message", signature.upper())


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


@pytest.mark.parametrize("name", packaging.FILES)
def test_changed_file_is_named(bundle, name):
    (bundle / name).write_bytes((bundle / name).read_bytes() + b" ")
    with pytest.raises(BundleError, match=f"{name} was changed after it was signed"):
        packaging.open_bundle(bundle, public_key=KEY.public)


@pytest.mark.parametrize("name", packaging.FILES)
def test_missing_file_is_named(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        packaging.open_bundle(bundle, public_key=KEY.public)


def test_added_file_is_named(bundle):
    (bundle / "model.pkl").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(BundleError, match=r"model\.pkl was added"):
        packaging.open_bundle(bundle, public_key=KEY.public)


def test_added_folder_is_named(bundle):
    (bundle / "plugins").mkdir()
    with pytest.raises(BundleError, match="plugins was added"):
        packaging.open_bundle(bundle, public_key=KEY.public)


def test_link_to_the_right_content_is_refused(bundle, original):
    (bundle / "model.onnx").unlink()
    (bundle / "model.onnx").symlink_to(original / "model.onnx")
    with pytest.raises(BundleError, match="it is a link"):
        packaging.open_bundle(bundle, public_key=KEY.public)


def test_bundle_signed_by_somebody_else_is_refused(bundle):
    with pytest.raises(BundleError, match="signature is wrong"):
        packaging.open_bundle(bundle, public_key=packaging.new_key().public)


def test_manifest_that_was_adapted_to_changed_files_is_refused(bundle):
    import hashlib

    (bundle / "card.md").write_bytes(b"# A better model\n")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"]["card.md"] = {"sha256": hashlib.sha256(b"# A better model\n").hexdigest(), "bytes": 17}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="signature is wrong"):
        packaging.open_bundle(bundle, public_key=KEY.public)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_unknown_format_says_so_before_anything_else(bundle, version):
    manifest = json.loads((bundle / "manifest.json").read_text()) | {"format_version": version}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="format version"):
        packaging.open_bundle(bundle, public_key=KEY.public)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "[" * 100_000, '{"format_version": 1}', '{"format_version": 1, "x": NaN}', "\ud800"]
)
def test_manifest_that_is_no_manifest_is_refused(bundle, text):
    (bundle / "manifest.json").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(BundleError):
        packaging.open_bundle(bundle, public_key=KEY.public)


@pytest.mark.parametrize("signature", [None, 7, "", "zz", "00" * 64])
def test_signature_that_is_none_is_refused(bundle, signature):
    manifest = json.loads((bundle / "manifest.json").read_text()) | {"signature": signature}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="signature is wrong"):
        packaging.open_bundle(bundle, public_key=KEY.public)


def test_folder_without_a_bundle_says_what_belongs_there(tmp_path):
    with pytest.raises(BundleError, match=r"manifest\.json is missing"):
        packaging.open_bundle(tmp_path / "nowhere", public_key=KEY.public)


def test_opening_and_scoring_needs_no_training_library(original):
    code = (
        "import sys\n"
        "for name in ('sklearn', 'pandas', 'mlflow', 'skl2onnx', 'onnx', 'scipy', 'platformdirs'):\n"
        "    sys.modules[name] = None\n"  # an import of it now fails, as in the serving image
        "from course_lib.packaging import open_bundle\n"
        f"print(open_bundle({str(original)!r}).scorer().score_rows([{ROW!r}]).shape)\n"
    )
    env = {name: value for name, value in os.environ.items() if name != "COURSE_CACHE"}
    env |= {packaging.PUBLIC_KEY_VARIABLE: KEY.public}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(1,)", done.stderr


# --- keys --------------------------------------------------------------------------------------------------------


def test_machine_key_is_made_once_and_readable_by_its_owner_only(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    first = packaging.machine_key()
    assert packaging.machine_key() == first
    (path,) = (tmp_path / "keys").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_private_key_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    key = packaging.machine_key()
    assert key.private.hex() not in repr(key)
    assert repr(key.private) not in repr(key)


def test_bundle_of_this_machine_opens_without_a_key_being_named(january_model, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(packaging.PUBLIC_KEY_VARIABLE, raising=False)
    made = packaging.build_bundle(tmp_path / "b", january_model, version=1, run_id="r")
    assert packaging.open_bundle(made).version == 1


def test_variable_decides_whom_to_trust(original, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    packaging.machine_key()
    monkeypatch.setenv(packaging.PUBLIC_KEY_VARIABLE, KEY.public)
    assert packaging.open_bundle(original).version == 7


def test_without_any_key_nothing_is_trusted(original, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.delenv(packaging.PUBLIC_KEY_VARIABLE, raising=False)
    with pytest.raises(BundleError, match="no public key"):
        packaging.open_bundle(original)


@pytest.mark.parametrize("given_key", ["", "abc", "z" * 64, KEY.public + "0"], ids=["none", "short", "no hex", "long"])
def test_text_that_is_no_key_is_refused(original, given_key):
    with pytest.raises(BundleError, match="not a public key"):
        packaging.open_bundle(original, public_key=given_key)


def test_damaged_key_file_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    packaging.machine_key()
    (tmp_path / "keys" / "bundle-ed25519").write_text("nonsense")
    with pytest.raises(BundleError, match="delete the file"):
        packaging.machine_key()


# --- desk bundle, shelf, sizes, latency --------------------------------------------------------------------------


def test_desk_bundle_is_made_once():
    first = packaging.desk_bundle((1,), config=training.TrainingConfig(max_iter=3))
    made = (first / "manifest.json").stat().st_mtime_ns
    second = packaging.desk_bundle((1,), config=training.TrainingConfig(max_iter=3))
    assert second == first
    assert (second / "manifest.json").stat().st_mtime_ns == made
    other = packaging.desk_bundle((1,), version=2, config=training.TrainingConfig(max_iter=3))
    assert other != first


@pytest.fixture(scope="module")
def shelf(january_model, labelled_winter, tmp_path_factory):
    """A store with two versions, and the bundle of the first published."""
    from course_lib import registry, tracking

    folder = tmp_path_factory.mktemp("shelf")
    store = tracking.open_store(folder / "store")
    frame = labelled_winter[labelled_winter["month"] == 1]
    run_ids = [tracking.log_training(store, "desk", january_model, frame, training.TrainingConfig()) for _ in range(2)]
    for run_id, alias in zip(run_ids, ("champion", "challenger"), strict=True):
        registry.register(store, run_id, alias=alias)
    made = packaging.build_bundle(folder / "one", january_model, version=1, run_id=run_ids[0], key=KEY)
    packaging.publish(store, made, public_key=KEY.public)
    return store, run_ids


def test_bundle_is_fetched_by_alias(shelf, tmp_path):
    store, run_ids = shelf
    fetched = packaging.fetch(store, "champion", tmp_path, public_key=KEY.public)
    assert packaging.open_bundle(fetched, public_key=KEY.public).run_id == run_ids[0]


def test_version_without_a_bundle_says_so(shelf, tmp_path):
    store, _ = shelf
    with pytest.raises(BundleError, match="Version 2 of 'late-flights' has no bundle"):
        packaging.fetch(store, "challenger", tmp_path, public_key=KEY.public)


def test_bundle_of_another_version_is_refused(shelf, january_model, tmp_path):
    store, run_ids = shelf
    wrong = packaging.build_bundle(tmp_path / "wrong", january_model, version=9, run_id=run_ids[0], key=KEY)
    store.client().log_artifacts(run_ids[1], str(wrong), "bundles/2")
    (tmp_path / "fetched").mkdir()
    with pytest.raises(BundleError, match="holds version 9"):
        packaging.fetch(store, 2, tmp_path / "fetched", public_key=KEY.public)


def test_damaged_bundle_is_not_published(shelf, bundle):
    store, _ = shelf
    (bundle / "card.md").write_text("changed")
    with pytest.raises(BundleError, match=r"card\.md was changed"):
        packaging.publish(store, bundle, public_key=KEY.public)


def test_quantising_trees_saves_nothing_and_changes_nothing(exported, january_model, winter):
    small = packaging.quantised(exported)
    assert len(small) >= len(exported)
    assert packaging.parity(january_model, small, winter.head(2000)).beyond == 0
    assert "MatMul" not in packaging.operators(exported)


def test_quantising_a_matrix_product_saves_most_of_it():
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 256]) for name in ("x", "y")]
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", tensors[:1], tensors[1:], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    whole = model.SerializeToString()
    assert len(packaging.quantised(whole)) < 0.35 * len(whole)


def test_latencies_time_both_runtimes_on_every_size(january_model, exported, winter):
    table = packaging.latencies(january_model, exported, winter, rows=(1, 100), repeats=1)
    assert list(table.index) == [1, 100]
    assert (table[["scikit-learn", "ONNX Runtime", "ratio"]] > 0).all().all()
    axes = packaging.latency_figure(table).axes[0]
    assert axes.get_ylabel() == "time of one call (ms)"


def test_differences_figure_draws_a_line_per_export():
    figure = packaging.differences_figure(plain=[1e-7, 0.0], scaled=[0.1, 1e-7])
    assert len(figure.axes[0].lines) == 2
