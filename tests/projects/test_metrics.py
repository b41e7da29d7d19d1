"""A service's metrics page counts what prometheus_client counts on it, and one that is none is said so by name."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from autograder.projects.measure.metrics import Metrics, grown, read_metrics
from autograder.projects.model import Unmet

BLANKS = st.text(" \t", min_size=1, max_size=3)
NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", fullmatch=True).filter(lambda name: not name.endswith("_total"))
LABELS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
VALUES = st.floats(0, 1e9) | st.sampled_from([float("inf")]) | st.integers(0, 10**6)


def read(text: str) -> Metrics:
    return read_metrics({"status": 200, "text": text})


def escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


@given(st.data(), NAMES, st.booleans(), st.lists(st.tuples(LABELS, VALUES), max_size=5, unique_by=lambda pair: pair[0]))
def test_any_spacing_escaped_labels_and_timestamps_count_as_the_library_counts_them(data, name, total, series):
    name += "_total" * total
    lines = [f"#{data.draw(BLANKS)}TYPE{data.draw(BLANKS)}{name}{data.draw(BLANKS)}counter"]
    for label, value in series:
        stamp = data.draw(st.sampled_from(["", " 1700000000000"]))
        blank = " " if stamp else data.draw(BLANKS)
        lines.append(f'{name}{{path="{escaped(label)}"}}{blank}{value}{stamp}')
    text = "\n".join([*lines, data.draw(st.sampled_from(["", "# EOF", "# a comment\n"]))])
    expected = sum(s.value for family in text_string_to_metric_families(text) for s in family.samples)
    assert sum(read(text).counter.values()) == expected == sum(value for _, value in series)
    assert len(read(text).counter) == 1
    assert not series or list(read(text).counter) == [name]


@given(st.lists(st.tuples(LABELS, st.integers(0, 10**6)), min_size=1, max_size=5))
def test_what_prometheus_client_writes_is_read_in_both_formats(observed):
    registry = CollectorRegistry()
    asked = Counter("asked", "requests", ["path"], registry=registry)
    took = Histogram("took", "seconds", registry=registry)
    version = Gauge("version", "of the model", registry=registry)
    for label, value in observed:
        asked.labels(label).inc(value)
        took.observe(value)
    version.set(3)
    for page in (generate_latest(registry), generate_openmetrics(registry)):
        metrics = read(page.decode())
        assert metrics.counter == {"asked_total": sum(value for _, value in observed)}
        assert metrics.histogram == {"took": len(observed)}
        assert metrics.gauge["version"] == 3


@pytest.mark.parametrize(
    ("text", "counter"),
    [
        ("", {}),
        ("\n# a comment\n", {}),
        ("x 3\n", {}),  # without a type it is no counter
        ("# TYPE x counter\n", {"x": 0}),
        ("# TYPE x counter\nx  3\n", {"x": 3}),
        ("# TYPE x_total counter\nx_total\t3\r\n", {"x_total": 3}),
        ("# TYPE x counter\nx_total 3\nx_created 1.7e9\n# EOF\n", {"x_total": 3}),
        ('# TYPE x counter\nx_total{a="b"} 3 # {trace_id="c"} 1 2\n# EOF\n', {"x_total": 3}),
        ("# TYPE x counter\nx +Inf\n", {"x": float("inf")}),
        ('# TYPE x counter\nx{a="a } in it, a \\" and a \\\\"} 3\n', {"x": 3}),
        ("# TYPE x counter\n" + "".join(f'x{{n="{n}"}} 1\n' for n in range(20_000)), {"x": 20_000}),
    ],
)
def test_a_valid_page_is_counted(text, counter):
    assert read(text).counter == counter


def test_a_counter_that_is_no_number_has_not_grown():
    page = "# TYPE x counter\nx NaN\n"
    assert grown(read(page).counter, read(page).counter, 0) == []
    assert grown({"a": 1.0}, {"a": 8.0, "b": 7.0, "c": 9.0}, 7) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("<html>\n<body>Not Found</body></html>", "line 1, `<html>`"),
        ('{"detail": "Not Found"}', "line 1, `{"),
        ("Internal Server Error", "line 1, `Internal Server Error`"),
        ("# TYPE x counter\nx 1\nx nonsense\n", "line 3, `x nonsense`"),
        ("# TYPE x counter\nx 1_000\n", "line 2, `x 1_000`"),
        ("# TYPE x COUNTER\nx 1\n", "line 2"),
        ('x{a="b" 3', "line 1"),
        (f"# TYPE x counter\nx {'9' * 400}\n", "line 2"),
        ("x" * 20_000, "line 1, `" + "x" * 80 + "`"),
        ("x 1\n" * 300_000, "longer than 1048576 characters"),
    ],
)
def test_what_is_no_page_of_metrics_is_said_so_with_its_line(text, where):
    with pytest.raises(Unmet, match="your /metrics page is not understood") as error:
        read(text)
    assert where in str(error.value)


@pytest.mark.parametrize(("status", "reason"), [(404, "answered with 404"), (0, "answered with nothing")])
def test_an_answer_that_is_none_is_said_so(status, reason):
    with pytest.raises(Unmet, match=reason):
        read_metrics({"status": status, "text": "# TYPE x counter\nx 1\n"})


@given(st.text() | st.text('x_{}="\\ \t\n#,1eNaTYPEcountr', max_size=60))
def test_any_text_is_read_or_refused(text):
    with suppress(Unmet):
        read(text)
