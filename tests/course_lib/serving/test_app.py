"""The contract of the API. Both routes of ``POST /predict`` keep it: every test that asks an app runs on either."""

import gzip
import json
import logging
import re
from dataclasses import replace

import pytest

from course_lib import features, serving
from course_lib.serving import Settings, schemas
from course_lib.serving.api.telemetry import JsonLines
from course_lib.serving.client import hosted, request
from course_lib.serving.fakes import BrokenModel, FixedModel, SlowModel


@pytest.fixture(params=[False, True], ids=["idiomatic", "direct"])
def create_app(request):
    def create(source, settings=None):
        return serving.create_app(source, replace(settings or Settings(), direct_route=request.param))

    return create


@pytest.fixture
def app(create_app, bundle):
    return create_app(bundle)


@pytest.fixture
def call(app):
    with hosted(app) as caller:
        assert caller.until(200, "/ready").status == 200
        yield caller


def ready(call):
    assert call.until(200, "/ready").status == 200
    return call


def test_a_flight_gets_a_probability_and_the_version_that_gave_it(call, flight):
    answer = call("POST", "/predict", flight)

    assert answer.status == 200
    assert 0 <= answer.body["late_probability"] <= 1
    assert answer.body["model_version"] == call("GET", "/model").body["version"]


def test_bulk_answers_are_the_single_answers_in_order(call, flight):
    flights = [flight | {"dep_minute": minute} for minute in (1200, 360, 900)]

    bulk = call("POST", "/predict/batch", {"flights": flights}).body["late_probabilities"]

    assert bulk == [call("POST", "/predict", one).body["late_probability"] for one in flights]
    assert len(set(bulk)) == 3


def test_weather_may_be_null_or_left_out(call, flight):
    weather = [feature.name for feature in features.FEATURES if feature.nullable]
    null = flight | dict.fromkeys(weather)
    absent = {name: value for name, value in flight.items() if name not in weather}

    assert call("POST", "/predict", null).body == call("POST", "/predict", absent).body


@pytest.mark.parametrize("feature", [f for f in features.FEATURES if f.low is not None], ids=lambda f: f.name)
def test_every_number_is_bounded_and_the_refused_field_is_named(call, flight, feature):
    for value in (feature.low - 1, feature.high + 1, "7", True, [], {}):
        answer = call("POST", "/predict", flight | {feature.name: value})
        assert answer.status == 422, value
        assert [error["field"] for error in answer.body["errors"]] == [feature.name]


@pytest.mark.parametrize(
    ("field", "value"),
    [("carrier", "United"), ("origin", "SFO"), ("dest", "ord"), ("weekday", None), ("distance", 719.5), ("carrier", 7)],
)
def test_nonsense_is_refused(call, flight, field, value):
    answer = call("POST", "/predict", flight | {field: value})

    assert answer.status == 422
    assert answer.body["errors"][0]["field"] == field


def test_missing_and_unknown_fields_are_named(call, flight):
    del flight["carrier"]
    answer = call("POST", "/predict", flight | {"dep_delay": 40})

    assert {error["field"] for error in answer.body["errors"]} == {"carrier", "dep_delay"}


def test_in_a_bulk_request_the_refused_flight_is_numbered(call, flight):
    answer = call("POST", "/predict/batch", {"flights": [flight, flight | {"weekday": 8}]})

    assert answer.status == 422
    assert answer.body["errors"][0]["field"] == "flights.1.weekday"


@pytest.mark.parametrize("body", ["", "{", "nonsense", '{"a": NaN}', "\x00"])
def test_a_body_that_is_no_json_is_a_bad_request(call, body):
    assert call("POST", "/predict", content=body.encode()).status in {400, 422}
    assert call("POST", "/predict", content=b"{").status == 400


@pytest.mark.parametrize("body", [b"[]", b"null", b"7", b'"text"', b'{"flights": []}'])
def test_json_that_is_no_flight_is_refused(call, body):
    assert call("POST", "/predict", content=body).status == 422
    assert call("POST", "/predict/batch", content=body).status == 422


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused(call, flight, name):
    body = json.dumps(flight).replace(str(flight["temp"]), name)

    assert call("POST", "/predict", content=body).status in {400, 422}


def test_a_deeply_nested_body_is_refused_without_harm(call):
    assert call("POST", "/predict", content=b'{"a":' * 50_000 + b"1" + b"}" * 50_000).status in {400, 422}


def test_other_content_types_are_refused(call, flight):
    body = json.dumps(flight).encode()

    assert call("POST", "/predict", content=body, headers={"content-type": "text/plain"}).status == 415
    assert (
        call("POST", "/predict", content=body, headers={"content-type": "application/json; charset=utf-8"}).status
        == 200
    )
    packed = {"content-type": "application/json", "content-encoding": "gzip"}
    assert call("POST", "/predict", content=gzip.compress(body), headers=packed).status == 400


def test_a_large_body_is_refused_whether_announced_or_not(create_app, bundle, flight):
    async def chunks():
        for _ in range(20):
            yield b" " * 100

    with hosted(create_app(bundle, Settings(max_body_bytes=1000))) as call:
        ready(call)
        assert call("POST", "/predict", content=b" " * 1001).status == 413
        assert call("POST", "/predict", content=chunks()).status == 413
        assert call("POST", "/predict", flight).status == 200


def test_too_many_flights_in_one_request_are_refused(create_app, bundle, flight):
    with hosted(create_app(bundle, Settings(max_rows=2))) as call:
        ready(call)
        assert call("POST", "/predict/batch", {"flights": [flight] * 2}).status == 200
        assert call("POST", "/predict/batch", {"flights": [flight] * 3}).status == 422


def test_before_the_model_is_loaded_the_service_lives_but_is_not_ready(create_app, flight):
    import threading

    may_load = threading.Event()

    def source():
        assert may_load.wait(10)
        return FixedModel()

    with hosted(create_app(source)) as call:
        assert call("GET", "/health").status == 200
        for method, path, body in (("GET", "/ready", None), ("GET", "/model", None), ("POST", "/predict", flight)):
            answer = call(method, path, body)
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
        assert call("POST", "/predict/batch", {"flights": [flight]}).status == 503
        may_load.set()
        ready(call)
        assert call("POST", "/predict", flight).status == 200


def test_a_bundle_with_a_changed_byte_is_never_served(create_app, bundle, tmp_path, flight, caplog):
    import shutil

    copy = shutil.copytree(bundle, tmp_path / "bundle")
    model = bytearray((copy / "model.onnx").read_bytes())
    model[1000] ^= 1
    (copy / "model.onnx").write_bytes(model)

    with hosted(create_app(copy)) as call:
        answer = call.until(200, "/ready", timeout_s=0.5)
        assert (answer.status, answer.body["detail"]) == (503, "Not ready: failed.")
        assert call("GET", "/health").status == 200
        assert call("POST", "/predict", flight).status == 503
    assert "was changed after it was signed" in caplog.text


def test_a_model_that_does_not_answer_with_a_probability_is_not_put_into_service(create_app):
    with hosted(create_app(lambda: FixedModel(probability=float("nan")))) as call:
        assert call.until(200, "/ready", timeout_s=0.5).status == 503


def test_a_full_queue_answers_429(create_app, flight):
    settings = Settings(inline=False, max_queue=2, max_batch=1, deadline_s=10)
    with hosted(create_app(lambda: SlowModel(seconds=0.2), settings)) as call:
        ready(call)
        answers = call.at_once("POST", "/predict", [flight] * 6)

    statuses = sorted(answer.status for answer in answers)
    assert statuses in ([200] * 2 + [429] * 4, [200] * 3 + [429] * 3)  # two wait, and one may be under way already
    assert {answer.headers.get("retry-after") for answer in answers if answer.status == 429} == {"1"}


def test_bulk_requests_have_their_own_limit_and_do_not_hold_up_single_flights(create_app, flight):
    settings = Settings(bulk_slots=1)
    with hosted(create_app(FixedModel, settings)) as call:
        ready(call)
        answers = call.at_once("POST", "/predict/batch", [{"flights": [flight]}] * 4)
        assert sorted({answer.status for answer in answers}) in ([200], [200, 429])
        assert call("POST", "/predict", flight).status == 200


def test_a_flight_whose_deadline_has_passed_is_given_up(create_app, flight):
    settings = Settings(inline=False, max_batch=1, deadline_s=0.05)
    with hosted(create_app(lambda: SlowModel(seconds=0.3), settings)) as call:
        ready(call)
        answers = call.at_once("POST", "/predict", [flight] * 3)

    assert sorted(answer.status for answer in answers) == [200, 503, 503]


def test_an_unforeseen_error_says_nothing_but_an_id(create_app, flight, caplog):
    model = BrokenModel()
    with hosted(create_app(lambda: model)) as call:
        ready(call)
        for path, body in (("/predict", flight), ("/predict/batch", {"flights": [flight]})):
            answer = call("POST", path, body)
            assert answer.status == 500
            assert "s3cr3t" not in json.dumps(answer.body)
            assert answer.body["request_id"] == answer.headers["x-request-id"]
            assert answer.body["request_id"] in [getattr(record, "request_id", "") for record in caplog.records]
        assert call("GET", "/health").status == 200
    assert "s3cr3t" in caplog.text


def test_one_flight_that_breaks_the_model_does_not_break_its_neighbours(create_app, flight):
    class Picky(FixedModel):
        def score(self, rows):
            if any(row[2] == "XXX" for row in rows):
                raise ValueError("no such airport")
            return super().score(rows)

    with hosted(create_app(Picky)) as call:
        ready(call)
        answers = call.at_once("POST", "/predict", [flight, flight | {"dest": "XXX"}, flight])

    assert [answer.status for answer in answers] == [200, 500, 200]


def test_the_page_for_people_needs_nothing_from_elsewhere_and_is_not_part_of_the_document(call):
    answer = call("GET", "/docs")

    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "//" not in re.sub(r"(?m)^ *//.*|; // .*$", "", answer.body)  # no address of another machine
    assert "/docs" not in call("GET", "/openapi.json").body["paths"]


def test_unknown_paths_and_methods_are_problems_too(call):
    missing, wrong = call("GET", "/nothing"), call("GET", "/predict")

    assert (missing.status, wrong.status) == (404, 405)
    assert missing.headers["content-type"] == wrong.headers["content-type"] == "application/problem+json"
    assert wrong.headers["allow"] == "POST"


def test_the_callers_request_id_is_kept_if_it_is_harmless(call):
    assert call("GET", "/health", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    for bad in ("a" * 65, "two words", "<script>"):
        assert call("GET", "/health", headers={"x-request-id": bad}).headers["x-request-id"] != bad


def test_every_request_is_one_json_log_line(call, flight, caplog):
    caplog.set_level(logging.INFO, "course_lib.serving")
    call("POST", "/predict", flight, headers={"x-request-id": "one"})
    call("POST", "/predict", flight | {"weekday": 9}, headers={"x-request-id": "two"})

    lines = [json.loads(JsonLines().format(record)) for record in caplog.records if record.msg == "request"]
    good, bad = (next(line for line in lines if line["request_id"] == name) for name in ("one", "two"))
    assert (good["method"], good["path"], good["status"], good["rows"]) == ("POST", "/predict", 200, 1)
    assert good["model_version"] == "1"
    assert good["ms"] > 0
    assert (bad["status"], bad["refused"]) == (422, ["weekday"])


def test_metrics_count_rate_errors_duration_and_predictions(create_app, bundle, flight):
    app = create_app(bundle)
    with hosted(app) as call:
        ready(call)
        for body in (flight, flight, flight | {"weekday": 9, "colour": "red"}):
            call("POST", "/predict", body)
        text = call("GET", "/metrics").body
        version = call("GET", "/model").body["version"]

    assert 'desk_requests_total{route="/predict",status="200"} 2.0' in text
    assert 'desk_requests_total{route="/predict",status="422"} 1.0' in text
    assert 'desk_request_seconds_count{route="/predict"} 3.0' in text
    assert 'desk_request_seconds_bucket{le="0.1",route="/predict"}' in text
    assert "desk_prediction_count 2.0" in text
    assert 'desk_fields_refused_total{field="weekday"} 1.0' in text
    assert 'desk_fields_refused_total{field="other"} 1.0' in text
    assert f'version="{version}"' in text
    assert "desk_ready 1.0" in text


def test_callers_cannot_blow_up_the_metrics_with_paths_of_their_own(call):
    for number in range(5):
        call("GET", f"/nothing/{number}")
    text = call("GET", "/metrics").body

    assert 'desk_requests_total{route="other",status="404"} 5.0' in text


def test_a_stream_gives_each_answer_and_says_when_it_is_done(call, flight):
    from course_lib.serving import sse

    answer = call("POST", "/predict/stream", {"flights": [flight, flight | {"dep_minute": 400}]})
    events = list(sse.decode([answer.body.encode()]))

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [event.name for event in events] == ["prediction", "prediction", "done"]
    assert events[0].data["late_probability"] == call("POST", "/predict", flight).body["late_probability"]
    assert events[-1].data == {"count": 2}


@pytest.mark.filterwarnings("ignore:Field onnx:DeprecationWarning")  # skl2onnx with protobuf 6.33
def test_the_app_serves_the_champion_of_the_registry(create_app, tmp_path, january_model, labelled_winter, flight):
    from course_lib import registry, tracking, training
    from course_lib.serving.model import Registered

    january = labelled_winter[labelled_winter["month"] == 1]
    store = tracking.open_store(tmp_path / "store")
    run_id = tracking.log_training(store, "desk", january_model, january, training.TrainingConfig())
    registry.register(store, run_id, alias=registry.CHAMPION)

    with hosted(create_app(Registered(store.folder))) as call:
        ready(call)
        assert call("GET", "/model").body["run_id"] == run_id
        assert call("POST", "/predict", flight).status == 200


def test_an_app_can_be_started_again(app, flight):
    for _ in range(2):
        with hosted(app) as call:
            ready(call)
            assert call("POST", "/predict", flight).status == 200
    assert request(app, "GET", "/health").body == {"status": "alive"}


def test_both_routes_give_the_same_document(bundle):
    idiomatic, direct = (
        request(serving.create_app(bundle, Settings(direct_route=choice)), "GET", "/openapi.json").body
        for choice in (False, True)
    )

    assert idiomatic == direct
    body = idiomatic["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert body == {"application/json": {"schema": {"$ref": "#/components/schemas/Flight"}}}


def test_every_error_of_the_document_is_a_problem(call):
    document = call("GET", "/openapi.json").body
    errors = [
        response["content"]
        for path in document["paths"].values()
        for operation in path.values()
        for status, response in operation["responses"].items()
        if int(status) >= 400
    ]

    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert errors == [problem] * len(errors) != []
    assert document["components"]["schemas"]["Flights"]["properties"]["flights"]["maxItems"] == Settings().max_rows
    assert document["components"]["schemas"]["Flight"]["example"] == schemas.EXAMPLE


@pytest.mark.parametrize(
    ("method", "path", "content", "kind"),
    [
        ("POST", "/predict", b"", "application/json"),
        ("POST", "/predict", b"{", "application/json"),
        ("POST", "/predict", b"null", "application/json"),
        ("POST", "/predict", b'"text"', "application/json"),
        ("POST", "/predict", b"\xff", "application/json"),
        ("POST", "/predict", b"[1e999]", "application/json"),
        ("POST", "/predict", b"{}", "application/vnd.api+json"),
        ("POST", "/predict", b"{", "text/plain"),
        ("POST", "/predict", b"{}", ""),
    ],
)
def test_both_routes_refuse_with_the_same_status_and_fields(method, path, content, kind):
    answers = []
    for choice in (False, True):
        with hosted(serving.create_app(FixedModel, Settings(direct_route=choice))) as call:
            ready(call)
            answers.append(call(method, path, content=content, headers={"content-type": kind}))
    idiomatic, direct = answers

    assert idiomatic.status == direct.status in {400, 415, 422}
    assert [error["field"] for error in idiomatic.body["errors"]] == [error["field"] for error in direct.body["errors"]]
    assert idiomatic.headers["content-type"] == direct.headers["content-type"] == "application/problem+json"
