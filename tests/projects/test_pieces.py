"""The pieces that read what strangers wrote: schemas, metrics, databases; and the report that quotes them."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.projects.harness import Harness, StageCache
from autograder.projects.measure import mlflow_store, simulator
from autograder.projects.measure.schema_bounds import outside, request_schema
from autograder.projects.model import ProjectError, ProjectReport, Requirement, RequirementResult, Unmet, Untried
from autograder.projects.registry import open_project
from autograder.projects.report import as_html, as_markdown
from autograder.projects.stage import Stage, grade, run_stage
from autograder.projects.stages.container import without_local_install
from autograder.projects.stages.monitoring import SimulationRun
from autograder.projects.submission import Project
from tests.projects.variants import Edit


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ({"type": "number", "minimum": 0, "maximum": 1}, [-1, 2, "much"]),
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9}, [-1, 10, "much"]),
        ({"type": "string", "maxLength": 2}, ["xxx", 7]),
        ({"$ref": "#/components/schemas/Colour"}, ["no such value"]),
        ({"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "null"}]}, [-1, 2, "much"]),
        ({"type": "number", "minimum": 0}, []),
        ({"type": "string"}, []),
        ({"type": "number", "minimum": "low", "maximum": "high"}, []),
        ({"type": ["number"]}, []),
        ("nonsense", []),
    ],
)
def test_wrong_values_are_made_from_the_bounds_that_an_api_states(field, values):
    assert outside(field, {"definitions": {"Colour": {"enum": ["red"]}}}) == values


@pytest.mark.parametrize("openapi", [None, [], {"paths": []}, {"paths": {"/predict": {"post": 3}}}, "x"])
def test_a_schema_that_is_none_is_no_error(openapi):
    assert request_schema(openapi) is None


def test_a_store_that_is_none_is_told(tmp_path):
    for data in (None, b"", b"not a database" * 100):
        with pytest.raises(Unmet, match="store"):
            mlflow_store.runs(data)


def test_a_store_that_computes_forever_is_given_up(tmp_path):
    path = tmp_path / "bomb.db"
    with sqlite3.connect(path) as database:
        endless = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS run_uuid, i AS artifact_uri"
        )
        database.execute(f"CREATE VIEW runs AS {endless}, 'FINISHED' AS status, -i AS start_time FROM n")
    database.close()
    started = time.monotonic()
    with pytest.raises(Unmet, match="could not be read"):
        mlflow_store.runs(path.read_bytes())
    assert time.monotonic() - started < 60


def _report(evidence: str) -> ProjectReport:
    requirement = Requirement("a.b", "it holds", 5, "Do it.")
    return ProjectReport("A kind", "<b>mine</b>", (requirement,), {"a.b": RequirementResult("a.b", False, evidence)})


def test_what_a_project_says_stays_text_in_the_report():
    evil = "<script>alert(1)</script> | \n\n# heading \x1b[31m"
    row = next(line for line in as_markdown(_report(evil)).splitlines() if "a.b" in line)
    assert "<script>" not in row
    assert row.count("|") - row.count("\\|") == 5
    assert "\x1b" not in row


HOSTILE = "![x](http://x) <img src=x onerror=alert(1)></td>\" ' & {{ 7 * 7 }} {% raw %} </style><script>"


def _hostile_report(*, passed: bool) -> ProjectReport:
    """Return a report in which every text is hostile, the project's and the grader's."""
    requirement = Requirement(f"id{HOSTILE}", f"title{HOSTILE}", 5, f"advice{HOSTILE}")
    result = RequirementResult(requirement.id, passed, f"evidence{HOSTILE}")
    return ProjectReport(f"kind{HOSTILE}", f"project{HOSTILE}", (requirement,), {requirement.id: result})


@pytest.mark.parametrize(("passed", "times"), [(False, 7), (True, 6)])
def test_hostile_text_is_escaped_everywhere_on_the_page(passed, times):
    page = as_html(_hostile_report(passed=passed))
    assert page.count("&lt;img src=x onerror=alert(1)&gt;&lt;/td&gt;&#34; &#39; &amp; {{ 7 * 7 }} {% raw %}") == times
    empty = as_html(ProjectReport("A kind", "mine", (), {}))
    tags = [set(re.findall(r"<\s*/?\s*(\w+)", text)) for text in (page, empty)]
    assert tags[0] - tags[1] <= {"td", "b", "br", "span", "i"}


@pytest.mark.parametrize("passed", [False, True])
def test_hostile_text_is_escaped_everywhere_in_markdown(passed):
    text = as_markdown(_hostile_report(passed=passed))
    assert "<" not in text
    assert "![" not in text
    assert text.count("&lt;img") == (4 if passed else 6)


def test_what_training_has_left_in_the_folder_is_not_handed_in(references, tmp_path):
    project, _ = open_project(references / "model-api")
    for path, data in project.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    for key in ("model", "tracking"):
        (tmp_path / project.settings[key]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / project.settings[key]).write_bytes(b"of an earlier training")

    assert open_project(tmp_path)[0].files == project.files


def test_what_was_not_tried_because_of_something_else_gets_no_advice():
    def run(harness):
        raise Untried("training failed (see train.runs)")

    report = _report("x")
    harness = Harness(Project("p", {}, {}, {}), None, StageCache())
    run_stage(harness, Stage("a", report.requirements, run))
    report = replace(report, results=harness.results)

    assert harness.results["a.b"].evidence == "not tried: training failed (see train.runs)"
    for text in (as_markdown(report), as_html(report)):
        assert "see train.runs" in text
        assert "Do it." not in text
    assert "Do it." in as_markdown(_report("x"))


def test_a_part_that_cannot_be_looked_at_fails_with_its_reason_and_the_stage_goes_on():
    harness = Harness(Project("p", {}, {}, {}), None, StageCache())
    with harness.failing("a.b"):
        raise Unmet("your /metrics page is not understood: line 3")
    assert harness.results["a.b"] == RequirementResult("a.b", False, "your /metrics page is not understood: line 3")


def test_a_variant_that_changes_nothing_is_an_error():
    with pytest.raises(ProjectError, match="does not hold"):
        Edit("a.py", "what is not there", "x").apply({"a.py": b"nothing"})


def test_drift_follows_from_the_seed_and_leaves_the_rest_alone():
    drift = simulator.draw_drift("shift", 7)
    assert drift == simulator.draw_drift("shift", 7) != simulator.draw_drift("shift", 8)
    plain, drifted = (simulator.batches(drift.begins + 1, 3, one) for one in (simulator.Drift("none"), drift))
    assert plain[: drift.begins] == drifted[: drift.begins]
    last = zip(plain[-1]["rows"], drifted[-1]["rows"], strict=True)
    changed = {name for before, after in last for name in before if before[name] != after[name]}
    assert changed == {drift.feature}


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_the_same_project_graded_twice_gives_the_same_report(references):
    project, kind = open_project(references / "monitoring")
    first, second = (grade(project, kind) for _ in range(2))
    assert as_markdown(first) == as_markdown(second)
    assert as_html(first) == as_html(second)


@pytest.mark.timeout(600)
def test_the_command_says_what_holds_writes_the_report_and_ends_with_one_or_nothing(references, tmp_path):
    run = CliRunner().invoke
    good = run(app, ["project", str(references / "monitoring"), "--only", "install", "--out", str(tmp_path / "good")])
    assert good.exit_code == 0, good.output
    assert "6 of 6 points" in (tmp_path / "good" / "course-report.md").read_text()
    bad = tmp_path / "bad"
    bad.mkdir()
    text = (references / "monitoring" / "pyproject.toml").read_text()
    (bad / "pyproject.toml").write_text(text.replace('"numpy>=1.26"', '"numpy>=99"'))
    (bad / "src").mkdir()
    failed = run(app, ["project", str(bad), "--only", "install"])
    assert failed.exit_code == 1
    assert "numpy>=99" in failed.output
    assert (bad / "build" / "course-report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["nowhere"], "no folder"), (["--only", "dance", "REFERENCE"], "no stage dance"), (["EMPTY"], "no pyproject")],
)
def test_what_cannot_be_graded_is_a_clear_error(references, tmp_path, arguments, message):
    places = {"REFERENCE": str(references / "monitoring"), "EMPTY": str(tmp_path)}
    done = CliRunner().invoke(app, ["project", *(places.get(word, word) for word in arguments)])
    assert isinstance(done.exception, ProjectError)
    assert message in str(done.exception)


def test_an_install_of_the_project_itself_is_planned_as_what_it_declares(references):
    project, _ = open_project(references / "model-api")
    planned = without_local_install("FROM x\nWORKDIR /app\nRUN pip install --no-cache-dir '.[dev]'\n", project)
    assert "'numpy>=1.26'" in planned
    assert "'pytest>=8'" in planned
    assert "mlflow" not in planned
    assert planned.endswith("ENV PYTHONPATH=/app/src\n")
    other = "FROM x\nRUN pip install --no-cache-dir -r requirements.txt\n"
    assert without_local_install(other, project) == other


@pytest.mark.parametrize(
    ("predictions", "accuracy"),
    [
        ([{"id": "0-0", "label": 1}, {"id": "0-1", "label": 0}], 1.0),
        ([{"id": "0-0", "label": 1}] * 2, 0.5),
        ([{}, {}], 0.0),
        ([None, "0-1"], 0.0),
        ("no list", 0.0),
    ],
)
def test_a_row_counts_as_right_once_and_only_with_its_id_and_label(predictions, accuracy):
    made = [{"labels": {"0-0": 1, "0-1": 0}}]
    run = SimulationRun(simulator.Drift("none"), made, [{"answer": json.dumps({"predictions": predictions})}])
    assert run.accuracy([0]) == accuracy
