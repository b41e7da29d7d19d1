from __future__ import annotations

import pytest

from course_lib.errors import CourseError
from course_lib.llm import metrics
from course_lib.monitoring.samples import parse

VLLM = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 2.0
vllm:num_requests_waiting{engine="0",model_name="m"} 1.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:prompt_tokens_total{engine="0",model_name="m"} 100.0
vllm:prompt_tokens_cached_total{engine="0",model_name="m"} 60.0
vllm:generation_tokens_total{engine="0",model_name="m"} 40.0
vllm:num_preemptions_total{engine="0",model_name="m"} 0.0
"""
LLAMACPP = """\
llamacpp:requests_processing 4
llamacpp:requests_deferred 7
llamacpp:prompt_tokens_total 40
llamacpp:prompt_tokens_cached_total 60
llamacpp:tokens_predicted_total 40
"""


def test_the_same_traffic_reads_the_same_on_both_engines():
    vllm, llamacpp = metrics.read(parse(VLLM)), metrics.read(parse(LLAMACPP))
    assert vllm.prompt_tokens == llamacpp.prompt_tokens == 100
    assert vllm.cached_tokens == llamacpp.cached_tokens == 60
    assert vllm.generated_tokens == llamacpp.generated_tokens == 40


def test_engines_side_by_side_are_summed():
    assert metrics.read(parse(VLLM)).running == 5


def test_what_an_engine_does_not_say_is_not_zero():
    read = metrics.read(parse(LLAMACPP))
    assert read.kv_cache_used is None
    assert read.preemptions is None
    assert metrics.read(parse(VLLM)).preemptions == 0


def test_a_name_that_is_gone_is_an_error_that_names_it():
    with pytest.raises(CourseError, match=r"no longer exposes llamacpp:requests_deferred"):
        metrics.read(parse(LLAMACPP.replace("requests_deferred", "requests_postponed")))


def test_metrics_of_something_else_are_an_error():
    with pytest.raises(CourseError, match="no engine that is known"):
        metrics.read(parse("up 1\n"))


def test_the_vocabulary_has_words_that_exist():
    for words in metrics.VOCABULARY.values():
        metrics.Meters(**dict.fromkeys(words, 0.0))
