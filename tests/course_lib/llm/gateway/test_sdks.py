"""Every provider's own client, against the gateway: answers, streams, and the provider's own errors."""

from __future__ import annotations

import pytest

from course_lib import processes
from tests.course_lib.llm.gateway.clients import CLIENTS, MODEL
from tests.course_lib.llm.gateway.conftest import TEXT

LONG = "late " * 80

# What each client raises: class, status, code or canonical status.
UNKNOWN = {
    "openai": ("NotFoundError", 404, "model_not_found"),
    "azure": ("NotFoundError", 404, "DeploymentNotFound"),
    "bedrock": ("ValidationException", 400, "ValidationException"),
    "gemini": ("ClientError", 404, "NOT_FOUND"),
    "vertex": ("ClientError", 404, "NOT_FOUND"),
    "ollama": ("ResponseError", 404, None),
}
TOO_LONG = {
    "openai": ("BadRequestError", 400, "context_length_exceeded"),
    "azure": ("BadRequestError", 400, "context_length_exceeded"),
    "bedrock": ("ValidationException", 400, "ValidationException"),
    "gemini": ("ClientError", 400, "INVALID_ARGUMENT"),
    "vertex": ("ClientError", 400, "INVALID_ARGUMENT"),
    "ollama": ("ResponseError", 400, None),
}
BAD = {
    "openai": ("BadRequestError", 400, None),
    "azure": ("BadRequestError", 400, None),
    "bedrock": ("ValidationException", 400, "ValidationException"),
    "gemini": ("ClientError", 400, "INVALID_ARGUMENT"),
    "vertex": ("ClientError", 400, "INVALID_ARGUMENT"),
    "ollama": ("ResponseError", 400, None),
}
DEAD = {
    "openai": ("InternalServerError", 503, None),
    "azure": ("InternalServerError", 503, None),
    "bedrock": ("ServiceUnavailableException", 503, "ServiceUnavailableException"),
    "gemini": ("ServerError", 503, "UNAVAILABLE"),
    "vertex": ("ServerError", 503, "UNAVAILABLE"),
    "ollama": ("ResponseError", 503, None),
}
CROWDED = {
    "openai": ("RateLimitError", 429, "rate_limit_exceeded"),
    "azure": ("RateLimitError", 429, "rate_limit_exceeded"),
    "bedrock": ("ThrottlingException", 429, "ThrottlingException"),
    "gemini": ("ClientError", 429, "RESOURCE_EXHAUSTED"),
    "vertex": ("ClientError", 429, "RESOURCE_EXHAUSTED"),
    "ollama": ("ResponseError", 503, None),
}
FAILED = {
    "openai": ("InternalServerError", 502, None),
    "azure": ("InternalServerError", 502, None),
    "bedrock": ("ModelErrorException", 424, "ModelErrorException"),
    "gemini": ("ServerError", 500, "INTERNAL"),
    "vertex": ("ServerError", 500, "INTERNAL"),
    "ollama": ("ResponseError", 500, None),
}
INSIDE = {  # after the first tokens, when the status is long sent
    "openai": "APIError",
    "azure": "APIError",
    "bedrock": "EventStreamError",
    "gemini": "ServerError",
    "vertex": "ServerError",
    "ollama": "ResponseError",
}


@pytest.fixture(params=list(CLIENTS))
def protocol(request):
    return request.param


@pytest.fixture
def client(protocol, gateway, connect):
    return connect(protocol, gateway.url)


def raised(client, ask, *arguments, **options):
    try:
        ask(*arguments, **options)
    except Exception as error:
        return client.failure(error)
    pytest.fail("the client raised nothing")


def test_a_whole_answer_with_its_counts(client, fake, protocol):
    asked = client.ask("Why are flights late?", limit=4)
    assert (asked.text, asked.finish) == ("Flights are late when", client.length)
    assert (asked.prompt_tokens, asked.completion_tokens) == (6, 4)
    assert fake.seen[0]["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Why are flights late?"},
    ]
    assert (fake.seen[0]["model"], fake.seen[0]["max_tokens"]) == (MODEL, 4)


def test_a_stream_brings_the_tokens_one_by_one_and_the_counts_at_the_end(client, gateway, protocol):
    asked = client.stream("Why are flights late?")
    assert (asked.text, asked.finish) == (TEXT, client.stop)
    assert asked.pieces == 9
    assert (asked.prompt_tokens, asked.completion_tokens) == (6, 9)
    assert gateway.metric("gateway_tokens_total", protocol=protocol, kind="completion") == 9


def test_a_token_arrives_before_the_next_one_is_made(client, fake):
    fake.hold_after = 2
    stream = client.open("Why?")
    pieces = client.pieces(stream)
    assert [next(pieces), next(pieces)] == ["Flights", " are"]
    client.leave(stream)


def test_a_caller_who_leaves_a_stream_stops_the_model(client, fake, gateway, protocol):
    fake.hold_after = 2
    stream = client.open("Why?")
    next(client.pieces(stream))
    client.leave(stream)
    processes.wait_until(lambda: fake.cancelled == 1, timeout=30, what="the end of the request upstream")
    processes.wait_until(
        lambda: gateway.metric("gateway_requests_total", protocol=protocol, status="499") == 1,
        timeout=30,
        what="the count of cancelled requests",
    )
    fake.hold_after = None
    assert client.ask("And now?", limit=1).text == "Flights"


def test_an_unknown_model(client, protocol, fake):
    assert raised(client, client.ask, "Hi", model="gpt-9") == UNKNOWN[protocol]
    assert raised(client, client.stream, "Hi", model="gpt-9") == UNKNOWN[protocol]
    assert not fake.seen


def test_a_prompt_that_is_too_long(client, protocol):
    assert raised(client, client.ask, LONG) == TOO_LONG[protocol]
    assert raised(client, client.stream, LONG) == TOO_LONG[protocol]


def test_a_number_out_of_range(client, protocol, fake):
    assert raised(client, client.ask, "Hi", temperature=-0.5) == BAD[protocol]
    assert not fake.seen


def test_more_tokens_than_the_gateway_gives(client, protocol, fake):
    assert raised(client, client.ask, "Hi", limit=5_000) == BAD[protocol]
    assert not fake.seen


def test_a_server_that_is_not_there(protocol, dead, connect):
    client = connect(protocol, dead)
    assert raised(client, client.ask, "Hi") == DEAD[protocol]
    assert raised(client, client.stream, "Hi") == DEAD[protocol]


def test_a_server_that_fails(client, protocol, fake):
    fake.status = 500
    assert raised(client, client.ask, "Hi") == FAILED[protocol]


def test_a_server_that_is_full(client, protocol, fake):
    fake.status = 429
    assert raised(client, client.ask, "Hi") == CROWDED[protocol]


@pytest.mark.parametrize("how", ["break_after", "error_after"])
def test_a_stream_that_breaks_off_raises_after_the_first_tokens(client, protocol, fake, gateway, how):
    setattr(fake, how, 2)
    stream = client.open("Why?")
    pieces = client.pieces(stream)
    assert [next(pieces), next(pieces)] == ["Flights", " are"]
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each client's own
        next(pieces)
    client.leave(stream)  # not all clients close the connection themselves
    assert type(caught.value).__name__ == INSIDE[protocol]
    assert gateway.metric("gateway_errors_total", protocol=protocol, kind="backend_failed") == 1


def test_a_busy_gateway_refuses_at_once_and_recovers(client, protocol, fake):
    fake.hold_after = 1
    streams = [client.open("Why?") for _ in range(4)]
    readers = [client.pieces(stream) for stream in streams]
    for reader in readers:
        next(reader)
    assert raised(client, client.ask, "Hi") == CROWDED[protocol]
    for stream in streams:
        client.leave(stream)
    fake.hold_after = None
    processes.wait_until(lambda: fake.cancelled == 4, timeout=30, what="the end of four streams")
    assert client.ask("Hi", limit=1).text == "Flights"
