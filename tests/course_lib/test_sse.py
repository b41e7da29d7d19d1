"""The event stream: against the standard's own examples, and beside the decoder of OpenAI's library.

OpenAI's decoder departs from the standard where the tests below leave it out of the comparison: it dispatches an event
without data if a name, an id or a time was given (and, after any id, at every empty line), keeps a byte order mark,
fails on bytes that are no UTF-8, and takes `retry: +5` and `retry: ٣` for numbers.
"""

import json
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from openai._streaming import SSEDecoder

from course_lib import llm, serving, sse
from course_lib.errors import CourseError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
property_based = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CUTS = st.lists(st.integers(0, 10_000), max_size=12)
ENDINGS = st.sampled_from(["\n", "\r\n", "\r"])
FIELDS = st.sampled_from(["data", "event", "id", "retry", "", "date", "Data", " data", "data "])
# No surrogates: they are no UTF-8. No line ends: they are drawn apart.
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=6)
LINES = st.one_of(
    st.just(""),
    st.builds("{}{}{}".format, FIELDS, st.sampled_from([":", ": ", ":  ", ""]), VALUES),
    st.builds("data: {}".format, VALUES),
    VALUES,
)
STREAMS = st.lists(st.tuples(LINES, ENDINGS), max_size=20).map(lambda lines: "".join(map("".join, lines)).encode())


def pieces_of(raw, cuts):
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    return [raw[a:b] for a, b in pairwise(edges)]


def texts(raw):
    return [event.text for event in sse.decode([raw])]


@property_based
@given(STREAMS, CUTS)
def test_the_decoder_agrees_with_openais(raw, cuts):
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    theirs = [one for one in SSEDecoder().iter_bytes(iter(pieces_of(raw, cuts))) if one.data]
    ours = [one for one in sse.decode(pieces_of(raw, cuts)) if one.text]  # theirs has "" for no data and for empty data

    assert [(one.name, one.text, one.id) for one in ours] == [
        (one.event or "message", one.data, one.id or "") for one in theirs
    ]


@property_based
@given(st.binary(max_size=60) | STREAMS, CUTS)
def test_where_bytes_are_cut_makes_no_difference(raw, cuts):
    assert list(sse.decode(pieces_of(raw, cuts))) == list(sse.decode([raw]))


@property_based
@given(st.lists(st.tuples(st.sampled_from(["message", "prediction", "done"]), JSON), max_size=5), CUTS)
def test_what_is_encoded_is_decoded_again(events, cuts):
    stream = b"".join(sse.encode(name, data) for name, data in events)

    assert [(event.name, event.data) for event in sse.decode(pieces_of(stream, cuts))] == events


@property_based
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_of_several_lines_arrives_with_line_feeds(text):
    (event,) = sse.decode([sse.encode_text("note", text)])

    assert event == sse.Event("note", text.replace("\r\n", "\n").replace("\r", "\n"))


def test_a_name_of_two_lines_is_refused():
    with pytest.raises(CourseError, match="one line"):
        sse.encode("done\ndata: 1", {})


# The next four are the standard's own examples.
def test_a_stock_price_of_three_lines_is_one_event():
    assert texts(b"data: YHOO\ndata: +2\ndata: 10\n\n") == ["YHOO\n+2\n10"]


def test_a_comment_an_id_and_its_removal():
    raw = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\ndata: fourth"

    assert list(sse.decode([raw])) == [
        sse.Event("message", "first event", "1"),
        sse.Event("message", "second event"),
        sse.Event("message", " third event"),
    ]


def test_empty_data_is_data_and_the_unfinished_event_is_dropped():
    assert texts(b"data\n\ndata\ndata\n\ndata:") == ["", "\n"]


def test_one_space_after_the_colon_does_not_count():
    assert texts(b"data:test\n\ndata: test\n\n") == ["test", "test"]


def test_an_event_without_data_is_none_but_its_id_counts():
    assert list(sse.decode([b"event: ping\nid: 7\nretry: 5\n\ndata: 1\n\n"])) == [sse.Event("message", "1", "7")]


def test_an_id_stays_until_the_next_and_one_with_a_null_is_ignored():
    assert [event.id for event in sse.decode([b"id: 1\ndata\n\nid: 2\0\ndata\n\nid: 3\ndata\n\n"])] == ["1", "1", "3"]


@pytest.mark.parametrize(
    ("value", "expected"), [("250", 250), ("+5", None), ("٣", None), ("1_0", None), ("", None), ("9" * 5000, None)]
)
def test_the_time_to_reconnect_is_digits_alone(value, expected):
    decoder = sse.Decoder()
    decoder.feed(f"retry: {value}\n".encode())

    assert decoder.retry_ms == expected


def test_one_byte_order_mark_is_dropped_also_when_it_is_cut():
    assert list(sse.decode([b"\xef", b"\xbb", b"\xbfdata: 1\n\n"])) == [sse.Event("message", "1")]
    assert texts(b"\xef\xbb\xbf\xef\xbb\xbfdata: 1\n\n") == []


def test_bytes_that_are_no_text_spoil_one_letter():
    assert texts(b"data: a\xffb\n\n") == ["a\ufffdb"]


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\r\n"])
def test_an_event_is_there_with_the_last_byte_it_needs(ending):
    decoder = sse.Decoder()
    seen = [len(decoder.feed(bytes([byte]))) for byte in b"data: 1" + 2 * ending]

    assert sum(seen) == 1
    assert seen.index(1) == 7 + len(2 * ending) - len(ending)  # a carriage return ends the line, a line feed may follow


@property_based
@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=8), max_size=2), max_size=5), CUTS, ENDINGS)
def test_payloads_survive_every_way_to_cut_them(events, cuts, ending):
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
    with pytest.raises(sse.StreamError, match="broke off"):
        list(sse.payloads([raw]))


def test_an_event_that_is_no_json_is_shown():
    with pytest.raises(sse.StreamError, match="Internal Server Error"):
        list(sse.payloads([b"data: Internal Server Error\n\n"]))


def test_both_chapters_export_it():
    assert serving.sse is sse
    assert llm.sse is sse
