"""What the clients would not send by themselves, and what each protocol has alone."""

from __future__ import annotations

import json

import httpx
import pytest

from course_lib import processes
from course_lib.llm.gateway import PROTOCOLS, errors, eventstream
from course_lib.serving.asgi_client import Caller
from tests.course_lib.llm.gateway.clients import CLIENTS, MODEL
from tests.course_lib.llm.gateway.conftest import ALIASES, TEXT

PATHS = {
    "openai": "/v1/chat/completions",
    "azure": f"/openai/deployments/{MODEL}/chat/completions?api-version=2024-10-21",
    "bedrock": f"/model/{MODEL}/converse",
    "gemini": f"/v1beta/models/{MODEL}:generateContent",
    "vertex": f"/v1/projects/p/locations/l/publishers/google/models/{MODEL}:generateContent",
    "ollama": "/api/chat",
}
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Why?"}]}
CONVERSE = {"messages": [{"role": "user", "content": [{"text": "Why?"}]}]}
GENERATE = {"contents": [{"role": "user", "parts": [{"text": "Why?"}]}]}
BODIES = {
    "openai": CHAT,
    "azure": CHAT,
    "bedrock": CONVERSE,
    "gemini": GENERATE,
    "vertex": GENERATE,
    "ollama": CHAT | {"stream": False},
}
TOOLS = {
    "openai": {"tools": [{"type": "function"}]},
    "azure": {"tools": [{"type": "function"}]},
    "bedrock": {"toolConfig": {"tools": [{}]}},
    "gemini": {"tools": [{}]},
    "vertex": {"tools": [{}]},
    "ollama": {"tools": [{}]},
}


@pytest.fixture
def call(gateway):
    with Caller.of(gateway.url) as caller:
        yield caller


def told(answer):
    """Return the message of an error, wherever the protocol keeps it."""
    body = answer.body
    return (
        body["message"]
        if "message" in body
        else body["error"]
        if isinstance(body["error"], str)
        else body["error"]["message"]
    )


@pytest.mark.parametrize("protocol", PATHS)
def test_a_minimal_body_is_enough(call, protocol):
    assert call("POST", PATHS[protocol], BODIES[protocol]).status == 200


@pytest.mark.parametrize("protocol", PATHS)
@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"text"', "[" * 9_999, b"\xff\xfe"])
def test_a_body_that_is_no_json_object(call, protocol, content):
    answer = call("POST", PATHS[protocol], content=content)
    assert answer.status == 400
    assert "JSON" in told(answer)


@pytest.mark.parametrize("protocol", PATHS)
def test_an_empty_object_names_what_is_missing(call, protocol):
    answer = call("POST", PATHS[protocol], {})
    assert answer.status == 400
    assert "Field required" in told(answer)


@pytest.mark.parametrize("protocol", PATHS)
def test_a_body_that_is_too_large_is_not_read(call, protocol, gateway):
    answer = call("POST", PATHS[protocol], content=json.dumps({"padding": "x" * 30_000}))
    assert answer.status in {400, 413}
    assert "larger than 20,000 bytes" in told(answer)


@pytest.mark.parametrize("protocol", PATHS)
def test_what_would_be_ignored_is_refused(call, protocol, fake):
    answer = call("POST", PATHS[protocol], BODIES[protocol] | TOOLS[protocol])
    assert answer.status == 400
    assert "not supported" in told(answer)
    assert not fake.seen


@pytest.mark.parametrize("protocol", PATHS)
def test_an_unforeseen_error_says_nothing_but_the_protocols_word_for_it(call, protocol, gateway, monkeypatch):
    def fail(_):
        raise RuntimeError("cannot read /srv/keys with s3cr3t")

    monkeypatch.setattr(gateway.app.state.gateway.upstream, "complete", fail)
    answer = call("POST", PATHS[protocol], BODIES[protocol])
    assert answer.status == 500
    assert "s3cr3t" not in json.dumps(answer.body)
    assert call("POST", PATHS[protocol], BODIES[protocol]).status == 500  # the slot was given back, too


def test_every_protocol_has_words_for_every_error():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.GatewayError)]
    told = {errors.UnknownModel: errors.UnknownModel("m"), errors.PromptTooLong: errors.PromptTooLong(None, None)}
    for protocol in PROTOCOLS.values():
        for kind in kinds:
            if kind is errors.Disconnected:  # nobody is there to read it
                continue
            error = told.get(kind) or kind("It went wrong.")
            assert 400 <= protocol.failure(error, {}).status < 600
            assert protocol.broken(error)


def test_the_request_id_is_the_callers_or_a_new_one(call):
    given = call("POST", "/v1/chat/completions", CHAT, headers={"x-request-id": "abc-1"})
    assert given.headers["x-request-id"] == "abc-1"
    assert given.body["id"] == "chatcmpl-abc-1"
    assert call("POST", "/v1/chat/completions", CHAT).headers["x-request-id"] != "abc-1"


def test_credentials_go_no_further(call, fake, gateway):
    headers = {"Authorization": "Bearer s3cr3t", "api-key": "s3cr3t", "x-goog-api-key": "s3cr3t"}
    answer = call("POST", "/v1/chat/completions", CHAT, headers=headers)
    assert answer.status == 200
    assert fake.headers
    assert "s3cr3t" not in json.dumps([fake.seen, fake.headers, answer.body, answer.headers])


def test_names_of_a_cloud_are_aliases(gateway, connect, fake):
    for protocol, alias in zip(("openai", "bedrock", "gemini"), ALIASES, strict=True):
        assert connect(protocol, gateway.url).ask("Why?", model=alias, limit=1).text == "Flights"
    assert {body["model"] for body in fake.seen} == {MODEL}


def test_the_gateways_metrics_are_prometheus_text(call):
    call("POST", "/v1/chat/completions", CHAT)
    text = call("GET", "/metrics").body
    assert 'gateway_requests_total{protocol="openai",status="200"}' in text
    assert 'gateway_tokens_total{kind="prompt",protocol="openai"}' in text


def test_whole_answers_are_cancelled_too(gateway, fake):
    fake.hold_after = 0
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{gateway.url}/v1/chat/completions", json=CHAT, timeout=httpx.Timeout(30, read=0.5))
    processes.wait_until(lambda: fake.cancelled == 1, timeout=30, what="the end of the request upstream")


# ── OpenAI and Azure


def test_parts_of_a_message_are_joined_and_developers_are_the_system(call, fake):
    parts = [{"type": "text", "text": "Why"}, {"type": "text", "text": "?"}]
    messages = [{"role": "developer", "content": "Be short."}, {"role": "user", "content": parts}]
    assert (
        call("POST", PATHS["openai"], CHAT | {"messages": messages, "stop": "x", "seed": 7, "top_p": 1}).status == 200
    )
    (seen,) = fake.seen
    assert seen["messages"] == [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Why?"}]
    assert (seen["stop"], seen["seed"], seen["top_p"]) == (["x"], 7, 1)


def test_a_picture_is_refused_and_the_field_named(call):
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
    answer = call("POST", PATHS["openai"], CHAT | {"messages": messages})
    assert answer.status == 400
    assert answer.body["error"]["param"].startswith("messages.0.content")


def test_openais_client_lists_the_models_and_gets_no_usage_it_did_not_ask_for(gateway, connect):
    client = connect("openai", gateway.url).client
    assert {model.id for model in client.models.list()} == {MODEL, *ALIASES}
    stream = client.chat.completions.create(**CHAT, stream=True)
    assert not [chunk for chunk in stream if chunk.usage]


def test_azure_wants_a_version_at_the_deployments_path(call):
    path = PATHS["azure"].partition("?")[0]
    for query in ("", "?api-version=", "?api-version=soon"):
        answer = call("POST", path + query, BODIES["azure"])
        assert (answer.status, answer.body["error"]["message"]) == (404, "Resource not found")


def test_azures_newer_path_needs_no_version(gateway):
    import openai

    with openai.OpenAI(base_url=f"{gateway.url}/openai/v1", api_key="dummy", max_retries=0) as client:
        assert client.chat.completions.create(**CHAT).choices[0].message.content == TEXT


# ── Bedrock


def test_a_model_may_be_an_arn(gateway, connect):
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0"
    client = connect("bedrock", gateway.url)
    with pytest.raises(client.client.exceptions.ValidationException, match="model identifier is invalid"):
        client.ask("Why?", model=arn)


def test_a_conversation_starts_with_the_user(call):
    body = {"messages": [{"role": "assistant", "content": [{"text": "Hi"}]}]}
    answer = call("POST", PATHS["bedrock"], body)
    assert answer.headers["x-amzn-errortype"] == "ValidationException"
    assert "must start with a user message" in answer.body["message"]


def test_event_stream_messages_are_what_botocore_reads():
    from botocore.eventstream import EventStreamBuffer

    buffer = EventStreamBuffer()
    sent = eventstream.event("contentBlockDelta", {"delta": {"text": "Naïve ✈"}})
    sent += eventstream.exception("throttlingException", "slow down")
    for byte in range(len(sent)):  # the network cuts where it likes
        buffer.add_data(sent[byte : byte + 1])
    first, second = list(buffer)
    assert first.headers[":event-type"] == "contentBlockDelta"
    assert json.loads(first.payload) == {"delta": {"text": "Naïve ✈"}}
    assert (second.headers[":message-type"], second.headers[":exception-type"]) == ("exception", "throttlingException")


# ── Google


def test_googles_turns_and_options_are_translated(call, fake):
    body = {
        "contents": [
            {"role": "user", "parts": [{"text": "Why"}, {"text": "?"}]},
            {"role": "model", "parts": [{"text": "Snow."}]},
            {"parts": [{"text": "And?"}]},
        ],
        "generationConfig": {"topK": 5, "stopSequences": ["x"], "seed": 3, "temperature": 0},
    }
    assert call("POST", PATHS["gemini"], body).status == 200
    (seen,) = fake.seen
    assert [message["role"] for message in seen["messages"]] == ["user", "assistant", "user"]
    assert seen["messages"][0]["content"] == "Why?"
    assert (seen["top_k"], seen["stop"], seen["seed"], seen["temperature"]) == (5, ["x"], 3, 0)


def test_vertex_names_the_whole_path_of_an_unknown_model(gateway, connect):
    client = connect("vertex", gateway.url)
    with pytest.raises(Exception, match="projects/desk/locations/europe-west1/publishers/google/models/gpt-9"):
        client.ask("Why?", model="gpt-9")


def test_gemini_lists_the_models(call):
    assert f"models/{MODEL}" in [one["name"] for one in call("GET", "/v1beta/models").body["models"]]


# ── Ollama


def test_ollama_streams_unless_told_not_to_and_latest_is_the_same_model(gateway, connect, call):
    lines = call("POST", PATHS["ollama"], CHAT | {"model": f"{MODEL}:latest"}).body.splitlines()
    assert [json.loads(line)["done"] for line in lines] == [False] * 9 + [True]
    assert f"{MODEL}:latest" in [model.model for model in connect("ollama", gateway.url).client.list().models]


def test_no_limit_is_minus_one(call, fake):
    assert call("POST", PATHS["ollama"], BODIES["ollama"] | {"options": {"num_predict": -1}}).status == 200
    assert "max_tokens" not in fake.seen[0]


def test_all_clients_are_tried():
    assert set(CLIENTS) == set(PROTOCOLS) == set(PATHS)
