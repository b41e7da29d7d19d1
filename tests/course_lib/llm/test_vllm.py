"""The real vLLM: one start, and everything that is relied on. Left out where it is not installed; CI has it."""

from __future__ import annotations

import os
import threading

import pytest

from course_lib import processes
from course_lib.llm.gateway import open_gateway
from course_lib.llm.servers import launch, open_server
from tests.course_lib.llm.gateway.clients import CLIENTS

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        launch.vllm_version() is None and not os.environ.get("CI"), reason="vLLM is not installed: `make vllm`"
    ),
]


@pytest.fixture(scope="module")
def stack():
    """VLLM with a KV cache of three blocks (384 tokens), and the gateway before it."""
    arguments = {"vllm": ["--num-gpu-blocks-override", "3"]}
    server = open_server(("vllm",), max_num_seqs=8, max_model_len=256, arguments=arguments, timeout=600).begin()
    with open_gateway(server) as gateway, server:
        yield server, gateway.wait_ready()


@pytest.mark.parametrize("protocol", ["openai", "bedrock"])
def test_tokens_stream_and_a_long_prompt_is_told_as_one(stack, protocol):
    client = CLIENTS[protocol](stack[1].url)
    asked = client.stream("Say hello to the passengers.", limit=8)
    assert asked.text.strip()
    assert 1 < asked.pieces <= asked.completion_tokens <= 8
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each client's own
        client.ask("late " * 400)
    name, status, _ = client.failure(caught.value)
    assert (name, status) in {("BadRequestError", 400), ("ValidationException", 400)}
    assert "context length" in str(caught.value) or "Input is too long" in str(caught.value)
    client.close()


def test_a_caller_who_leaves_stops_the_generation(stack):
    server, gateway = stack
    client = CLIENTS["openai"](gateway.url)
    stream = client.open("Count to one hundred, slowly.")
    next(client.pieces(stream))
    client.leave(stream)
    client.close()
    processes.wait_until(lambda: server.meters().running == 0, timeout=120, what="an idle vLLM")


def test_its_meters_are_in_the_vocabulary_and_move(stack):
    server, _ = stack
    before = server.meters()
    seen = []
    answers = [threading.Thread(target=_ask, args=(server,)) for _ in range(4)]
    for answer in answers:
        answer.start()
    while any(answer.is_alive() for answer in answers):
        seen.append(server.meters())
        answers[0].join(0.2)
    after = server.meters()
    assert after.generated_tokens - before.generated_tokens == 4 * 110
    assert max(one.running for one in seen) > 1  # continuous batching: several at once
    assert 0 < max(one.kv_cache_used for one in seen) <= 1
    # Four sequences of more than 128 tokens need eight blocks of 128, and there are three: some wait, or are put out.
    assert after.preemptions > before.preemptions or max(one.waiting for one in seen) > 0


def _ask(server):
    import openai

    with openai.OpenAI(base_url=server.url, api_key="unused", timeout=300) as client:
        messages = [{"role": "user", "content": "Tell a story."}]
        client.chat.completions.create(
            model=server.model, messages=messages, max_tokens=110, extra_body={"ignore_eos": True}
        )
