"""Metrics page reader: what each Prometheus metric family of a service has counted, by prometheus_client's parser."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autograder.projects.model import Unmet

__all__ = ["Metrics", "grown", "read_metrics"]

# The parser copies what is left of a line at each label: without limits a stranger's page could keep it for hours.
_MAX_CHARACTERS, _MAX_LINE_CHARACTERS = 1 << 20, 1 << 14


@dataclass(frozen=True)
class Metrics:
    """Totals over all label sets, under the names that stand on the page; of a histogram its count."""

    counter: Mapping[str, float]
    gauge: Mapping[str, float]
    histogram: Mapping[str, float]


def read_metrics(answer: Mapping[str, Any]) -> Metrics:
    """Read the answer to GET /metrics, in Prometheus' text format or OpenMetrics.

    Raises
    ------
    Unmet
        It is no page of metrics; the message names the first line that is not understood.
    """
    if answer["status"] != 200:
        raise Unmet(f"GET /metrics was answered with {answer['status'] or 'nothing'}")
    if len(answer["text"]) > _MAX_CHARACTERS:
        raise Unmet(f"your /metrics page is not understood: it is longer than {_MAX_CHARACTERS} characters")
    read: list[str] = []
    try:
        return _totals(answer["text"], read)
    except (ArithmeticError, LookupError, ValueError) as error:
        line = read[-1].strip()[:80] if read else ""
        raise Unmet(f"your /metrics page is not understood: line {len(read)}, `{line}`") from error


def _totals(text: str, read: list[str]) -> Metrics:
    from prometheus_client.parser import text_fd_to_metric_families

    totals: dict[str, dict[str, float]] = {"counter": {}, "gauge": {}, "histogram": {}}
    for family in text_fd_to_metric_families(_lines(text, read)):  # type: ignore[arg-type]  # it only iterates
        kind, name = family.type, family.name
        if kind in totals:
            totals[kind].setdefault(name, 0.0)
        elif (name := name.removesuffix("_total")) in totals["counter"]:  # OpenMetrics types it without the suffix
            kind = "counter"
        else:
            continue
        values = [s.value for s in family.samples if kind != "histogram" or s.name.endswith("_count")]
        totals[kind][name] += sum(map(float, values))
    shown = {re.split(r"[\s{]", line.strip(), maxsplit=1)[0] for line in read}
    totals["counter"] = {f"{n}_total" if f"{n}_total" in shown else n: v for n, v in totals["counter"].items()}
    return Metrics(**totals)


def _lines(text: str, read: list[str]) -> Iterator[str]:
    for line in io.StringIO(text):
        read.append(line)
        if len(line) > _MAX_LINE_CHARACTERS:
            raise ValueError("the line is too long")
        yield line


def grown(before: Mapping[str, float], after: Mapping[str, float], by: float) -> list[str]:
    """Return the names that count ``by`` more after than before."""
    return sorted(name for name, value in after.items() if value - before.get(name, 0.0) == by)
