"""The gate's exit codes and summary, cron expressions, linters, planted bugs, and notebooks with parameters."""

from __future__ import annotations

import datetime as dt
import json

import nbformat
import numpy as np
import pytest
from hypothesis import given, strategies as st

from course_lib import delivery, packaging
from course_lib.delivery import gate

OLD = {"auc": 0.70, "rows": 5000, "slices": {"EWR": 0.70, "JFK": 0.71}}


def better(**changes):
    return {**OLD, "auc": 0.71, "slices": {"EWR": 0.71, "JFK": 0.72}, **changes}


@pytest.mark.parametrize(
    ("challenger", "code", "words"),
    [
        (better(), 0, "Promoted"),
        (better(auc=0.7005), 1, "is needed"),
        (better(slices={"EWR": 0.9, "JFK": 0.70}), 1, "at JFK: worse"),
        (better(auc=float("nan")), 2, "no number"),
        (better(rows=20), 2, "challenger on 20"),
        (better(slices={"EWR": 0.9}), 2, "Slices differ"),
        ({}, 2, "lacks a number"),
    ],
)
def test_the_gate_speaks_by_its_exit_code_and_its_summary(tmp_path, monkeypatch, capsys, challenger, code, words):
    for name, report in (("old", OLD), ("new", challenger)):
        (tmp_path / name).write_text(json.dumps(report))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    assert gate.main([str(tmp_path / "old"), str(tmp_path / "new")]) == code
    assert words in (tmp_path / "summary.md").read_text()
    assert words in capsys.readouterr().out


def test_a_missing_report_cannot_be_judged(tmp_path, capsys):
    assert gate.main([str(tmp_path / "no"), str(tmp_path / "none")]) == gate.CANNOT_JUDGE


def test_a_schedule_is_read_in_utc_with_days_by_number_or_name():
    start = dt.datetime(2013, 3, 1, 12, tzinfo=dt.UTC)
    for cron in ("17 11 * * 1", "17 11 * * mon"):
        (first,) = delivery.next_runs(cron, start, count=1)
        assert (first.isoweekday(), first.hour, first.minute, first.day) == (1, 11, 17, 4)


@given(st.integers(0, 59), st.integers(0, 23), st.integers(0, 6))
def test_a_weekly_schedule_fires_every_seven_days(minute, hour, day):
    first, second = delivery.next_runs(f"{minute} {hour} * * {day}", dt.datetime(2013, 6, 1, tzinfo=dt.UTC), count=2)
    assert second - first == dt.timedelta(days=7)
    assert first.isoweekday() % 7 == day


@pytest.mark.parametrize("cron", ["", "60 1 * * *", "1 2 3 4", "1 2 30 2 *", "a b c d e"])
def test_a_schedule_that_is_none_is_a_clear_error(cron):
    with pytest.raises(delivery.WorkflowError):
        delivery.next_runs(cron, dt.datetime(2013, 6, 1, tzinfo=dt.UTC))


def test_the_linters_name_the_weak_spots_of_a_workflow():
    text = (
        "name: x\non: [push]\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v7\n"
        "      - run: echo ${{ github.event.head_commit.message }}\n"
    )
    rules = {finding.rule for finding in delivery.lint(text)}
    assert {"unpinned-uses", "template-injection", "excessive-permissions", "artipacked"} <= rules
    assert ("expression" in rules) == (delivery.actionlint_version() is not None)


def test_a_broken_workflow_is_one_finding_of_the_schema():
    (finding,) = delivery.lint("on: push\njobs: 3\n")
    assert (finding.tool, finding.rule) == ("schema", "syntax")


@pytest.fixture(scope="module")
def predict(january_model):
    return packaging.Scorer(packaging.export_onnx(january_model)).score


@pytest.fixture(scope="module")
def april(winter):
    month = winter[(winter["month"] == 4) & winter["temp"].notna()]
    return month.sample(200, random_state=0)


def test_a_suite_that_looks_at_the_range_kills_only_what_leaves_it(predict, april):
    verdicts = delivery.mutation_score(
        lambda model, frame: [] if (model(frame) <= 1).all() else ["range"], predict, april
    )
    assert [verdict.model for verdict in verdicts if verdict.killed] == ["percent"]
    assert not verdicts[0].killed


def test_every_planted_bug_changes_an_answer_that_the_desk_cares_about(predict, april):
    probe = april.assign(visib=0.25, precip=0.4)
    probe.loc[probe.index[:5], "temp"] = np.nan
    for bug in delivery.BUGS:
        assert not np.array_equal(delivery.plant(predict, bug)(probe), predict(probe)), bug


@pytest.fixture
def notebook(tmp_path):
    v4 = nbformat.v4
    cells = [v4.new_code_cell("month = 1"), v4.new_code_cell("month * 10"), v4.new_code_cell("1 // (month - 3)")]
    cells[0].metadata["tags"] = ["parameters"]
    path = tmp_path / "report.ipynb"
    nbformat.write(v4.new_notebook(cells=cells), path)
    return path


def test_a_notebook_runs_with_its_parameters(notebook, tmp_path):
    assert delivery.parameters(notebook) == ("month",)
    assert delivery.run_notebook(notebook, tmp_path / "out.ipynb", {"month": 5})["last"] == "0"


def test_a_misspelt_parameter_and_a_failing_cell_are_clear_errors(notebook, tmp_path):
    with pytest.raises(delivery.DeliveryError, match="no parameter mnoth"):
        delivery.run_notebook(notebook, tmp_path / "out.ipynb", {"mnoth": 5})
    with pytest.raises(delivery.DeliveryError, match="ZeroDivisionError"):
        delivery.run_notebook(notebook, tmp_path / "out.ipynb", {"month": 3})


def test_nbval_finds_the_cell_whose_output_is_no_longer_the_stored_one(notebook, tmp_path):
    out = tmp_path / "out.ipynb"
    delivery.run_notebook(notebook, out, {"month": 5})
    assert delivery.compare_outputs(out) == []
    book = nbformat.read(out, as_version=4)
    book.cells[2].outputs[0].data["text/plain"] = "51"
    nbformat.write(book, out)
    assert len(delivery.compare_outputs(out)) == 1
