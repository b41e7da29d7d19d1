"""The client and the load test against a real llama.cpp."""

import pytest

from course_lib import processes
from course_lib.llm import batching, figures, loadtest, trace
from course_lib.llm.errors import LLMError
from course_lib.llm.servers.client import Client
from course_lib.llm.servers.server import open_server

PROMPTS = ["Say something about gates.", "Say something about storms."]


@pytest.fixture(scope="module")
def llama():
    with open_server(("llama.cpp",), max_num_seqs=4, max_model_len=256, threads=1, timeout=180) as server:
        yield server


@pytest.fixture
def client(llama):
    with Client(llama.url) as client:
        yield client


def test_the_model_is_found_by_itself(client, llama):
    assert client.model == llama.model


def test_an_answer_all_at_once_and_piece_by_piece_is_the_same(client):
    whole = client.complete("Count to five.", max_tokens=12, cache_prompt=False)
    assert whole
    assert "".join(client.stream("Count to five.", max_tokens=12, cache_prompt=False)) == whole


def test_the_server_counts_tokens_and_says_why_it_stopped(client):
    reply = client.timed("Count to five.", max_tokens=6, ignore_eos=True)
    assert (reply.output_tokens, reply.finish_reason) == (6, "length")
    assert reply.prompt_tokens > 5
    assert 1 <= len(reply.timing.tokens_s) <= 6
    assert 0 < reply.timing.ttft_s <= reply.timing.tokens_s[-1] - reply.timing.sent_s


def test_many_answers_come_in_the_order_of_the_questions(client):
    replies = client.many(PROMPTS * 3, max_tokens=[1, 2, 3, 4, 5, 6], at_once=3, ignore_eos=True)
    assert [reply.output_tokens for reply in replies] == [1, 2, 3, 4, 5, 6]


def test_text_becomes_tokens(client):
    assert client.tokens("late late") == client.tokens("late") + client.tokens(" late")


def test_a_prompt_that_is_too_long_is_refused_with_the_servers_reason(client):
    with pytest.raises(LLMError, match=r"answered 400.*context"):
        list(client.stream("very long " * 400))


def test_a_server_that_is_not_there_is_named():
    with pytest.raises(LLMError, match="did not answer"):
        Client(f"http://127.0.0.1:{processes.free_port()}/v1")


def test_locust_measures_each_step(llama):
    pytest.importorskip("gevent")  # Locust itself must not be imported here
    one, four = loadtest.curve(llama.url, llama.model, [1, 4], prompts=PROMPTS, max_tokens=4, step_s=2.0)
    assert (one.users, four.users) == (1, 4)
    for step in (one, four):
        assert step.latencies.failed == 0
        assert step.latencies.requests >= step.users
        assert step.latencies.tokens_per_s > 0
    figure = figures.crowd({"llama.cpp": [one, four]})
    assert figure.axes[0].get_ylabel() == "throughput (tokens/s)"


def test_locust_without_a_server_is_an_error():
    pytest.importorskip("gevent")
    url = f"http://127.0.0.1:{processes.free_port()}/v1"
    with pytest.raises(LLMError, match="got a token"):
        loadtest.curve(url, "none", [1], prompts=PROMPTS, step_s=1.0)


def test_figures_have_axes_with_units():
    asked = trace.skewed(12, seed=1, prompt=20, output=20)
    rows = figures.batch_rows(asked, batch=3)
    assert rows.axes[1].get_xlabel() == "decoding step"
    wasted = figures.waste(
        {"static": batching.static(asked, max_num_seqs=3), "any": batching.continuous(asked, max_num_seqs=3)}
    )
    assert [axes.get_xlabel()[-3:] for axes in wasted.axes] == ["(%)", "/s)"]
