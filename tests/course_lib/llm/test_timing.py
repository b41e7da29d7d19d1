import pytest

from course_lib.llm import timing
from course_lib.llm.errors import LLMError
from course_lib.llm.servers.timing import Timing, summarise


def test_time_per_output_token_begins_after_the_first():
    one = Timing(1.0, (3.0, 3.5, 4.0))
    assert (one.ttft_s, one.tpot_s) == (2.0, 0.5)


def test_one_token_has_no_time_per_output_token_and_none_has_neither():
    assert Timing(0.0, (1.0,)).tpot_s != Timing(0.0, (1.0,)).tpot_s
    failed = Timing(0.0)
    assert failed.failed
    assert failed.ttft_s != failed.ttft_s


def test_throughput_counts_the_wall_clock_and_failures_are_told():
    found = summarise([Timing(0.0), Timing(1.0, (2.0, 3.0)), Timing(1.5, (2.0, 2.5, 4.0))])
    assert (found.requests, found.failed) == (3, 1)
    assert found.tokens_per_s == pytest.approx(5 / 4)
    assert found.ttft_p95_ms == pytest.approx(1000)
    assert found.row()["failed"] == 1


def test_no_answer_at_all_is_an_error():
    with pytest.raises(LLMError, match="None of 1 requests"):
        summarise([Timing(0.0)])


def test_percentiles_are_those_of_the_serving_chapter():
    assert timing.percentile([4, 1, 3, 2], 0.5) == 2
