"""The reference of each practice project earns everything; each broken variant loses exactly what it must."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autograder.projects.registry import KINDS
from autograder.projects.report import as_html, as_markdown
from tests.projects.variants import read_variants

ROOT = Path(__file__).parents[2]
VARIANTS = {kind: read_variants(ROOT / "solutions" / "projects" / f"{kind}.variants.toml") for kind in KINDS}


def cases():
    """Yield each variant; the first of each quick stage for every change, the others for the nightly run."""
    for kind in KINDS:
        noticed = {"train", "ci", "test", "metrics"}
        for variant in VARIANTS[kind]:
            marks = [pytest.mark.nightly] if variant.stages[0] in noticed else []
            noticed.add(variant.stages[0])
            yield pytest.param(kind, variant, id=f"{kind}-{variant.name.replace(' ', '-')}", marks=marks)


pytestmark = pytest.mark.timeout(900)  # the first test of a project grades it whole


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_earns_every_point(kind, graded):
    report = graded(kind)
    assert {f.id: f"{f.evidence} ({f.measured})" for _, f in report.rows if not f.passed} == {}
    assert report.points == report.max_points == 100
    assert len(report.rows) == len(KINDS[kind].requirements)


@pytest.mark.parametrize(("kind", "variant"), list(cases()))
def test_a_broken_variant_fails_what_it_must_and_nothing_else(kind, variant, graded):
    report = graded(kind, variant.name)
    found = {f.id: f"{f.evidence} ({f.measured})" for _, f in report.rows if not f.passed}
    assert set(found) == variant.fails, found


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_at_least_eight_variants(kind):
    assert len({variant.name for variant in VARIANTS[kind]}) == len(VARIANTS[kind]) >= 8


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_in_the_report_differs_from_run_to_run(kind, graded):
    report = graded(kind)
    for text in (as_markdown(report), as_html(report)):
        assert not re.search(r"\d+(\.\d+)? (s|ms|seconds)\b(?! )", re.sub(r"10?0? ms", "", text))
        assert "/box/" not in text
        assert not re.search(r"127\.0\.0\.1:(?!8080)", text)  # 8080 is the reference's own port
