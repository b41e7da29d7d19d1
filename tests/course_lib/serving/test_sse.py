from hypothesis import given, strategies as st

from course_lib.serving import sse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.tuples(st.sampled_from(["prediction", "done", "error"]), JSON), max_size=5))
def test_what_is_encoded_is_decoded_again(events):
    stream = b"".join(sse.encode(name, data) for name, data in events).decode()

    assert [(event.name, event.data) for event in sse.decode(stream.split("\n"))] == events


def test_comments_unknown_fields_and_an_unfinished_event_are_ignored():
    lines = [": ping", "id: 7", "data: 1", "", "retry: 5", "event: done", "data: 2"]

    assert list(sse.decode(lines)) == [sse.Event("message", 1)]


def test_several_data_lines_are_one_value():
    assert list(sse.decode(["data: [1,", "data: 2]", ""])) == [sse.Event("message", [1, 2])]
