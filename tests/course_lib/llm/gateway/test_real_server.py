"""The gateway as a process, in front of the real llama.cpp: what the double promises holds there."""

from __future__ import annotations

import json
import urllib.request

import pytest

from course_lib import processes
from course_lib.llm import open_server
from course_lib.llm.gateway import open_gateway
from tests.course_lib.llm.gateway.clients import CLIENTS


@pytest.fixture(scope="module")
def real():
    server = open_server(("llama.cpp",), max_num_seqs=2, max_model_len=256, threads=1, timeout=180)
    with server, open_gateway(server, aliases=["gpt-4o-mini"]) as gateway:
        gateway.wait_ready()
        yield server, gateway


@pytest.mark.parametrize("protocol", CLIENTS)
def test_every_client_streams_tokens_of_the_model_and_is_told_of_a_long_prompt(real, protocol):
    client = CLIENTS[protocol](real[1].url)
    asked = client.stream("Say hello to the passengers.", limit=8)
    assert asked.text.strip()
    assert asked.completion_tokens <= 8
    assert 1 < asked.pieces <= 8
    assert asked.prompt_tokens > 8
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each client's own
        client.ask("late " * 400)
    assert 400 in client.failure(caught.value)
    client.close()


def test_a_caller_who_leaves_frees_the_models_slot(real):
    server, gateway = real
    client = CLIENTS["openai"](gateway.url)
    stream = client.open("Count to one hundred, slowly.")
    next(client.pieces(stream))
    client.leave(stream)
    processes.wait_until(
        lambda: sum(server.metrics()["llamacpp:requests_processing"].values()) == 0, timeout=60, what="an idle model"
    )
    client.close()


def test_the_gateways_log_is_json_with_the_reason(real):
    _, gateway = real
    client = CLIENTS["openai"](gateway.url)
    with pytest.raises(Exception, match="does not exist"):
        client.ask("Hi", model="gpt-9")
    client.close()

    def reasons():  # the line is written after the reply
        return {json.loads(line).get("reason") for line in gateway.log(lines=200).splitlines() if line.startswith("{")}

    processes.wait_until(lambda: "unknown_model" in reasons(), timeout=60, what="the reason in the log")
    assert b"gateway_first_token_seconds" in urllib.request.urlopen(f"{gateway.url}/metrics", timeout=30).read()
