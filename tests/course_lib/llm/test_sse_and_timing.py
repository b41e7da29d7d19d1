import json
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from course_lib.llm import sse, timing
from course_lib.llm.errors import LLMError
from course_lib.llm.servers.timing import Timing, summarise


def pieces_of(raw, cuts):
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    return [raw[a:b] for a, b in pairwise(edges)]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=8), max_size=2), max_size=5),
    st.lists(st.integers(0, 10_000), max_size=12),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_events_survive_every_way_to_cut_them(events, cuts, ending):
    lines = [f"data: {json.dumps(event, ensure_ascii=False)}{ending}{ending}" for event in events]
    raw = "".join([f": hello{ending}", *lines, f"data: [DONE]{ending}{ending}"]).encode(errors="replace")
    whole = list(sse.payloads([raw]))
    assert list(sse.payloads(pieces_of(raw, cuts))) == whole
    assert len(whole) == len(events)


def test_several_data_lines_are_one_event_and_other_fields_none():
    assert list(sse.payloads([b'event: x\nid: 3\ndata: {"a":\ndata:1}\n\ndata: [DONE]\n\n'])) == [{"a": 1}]


def test_nothing_is_read_after_done():
    def stream():
        yield b"data: [DONE]\n\n"
        raise AssertionError("read on")

    assert list(sse.payloads(stream())) == []


def test_an_event_is_yielded_before_the_next_piece_is_asked_for():
    def stream():
        yield b'data: {"n": 1}\n\n'
        raise AssertionError("asked too early")

    assert next(sse.payloads(stream())) == {"n": 1}


@pytest.mark.parametrize("raw", [b"", b'data: {"n": 1}\n\n', b'data: {"n": 1}\n\ndata: [DO'])
def test_a_stream_that_breaks_off_is_an_error(raw):
    with pytest.raises(LLMError, match="broke off"):
        list(sse.payloads([raw]))


def test_an_event_that_is_no_json_is_shown():
    with pytest.raises(LLMError, match="Internal Server Error"):
        list(sse.payloads([b"data: Internal Server Error\n\n"]))


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
