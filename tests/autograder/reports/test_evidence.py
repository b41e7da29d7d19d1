"""The evidence page: what ran, on which versions, how long; and what broke, where it cannot be missed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from autograder.course.model import CourseReport, EngineReport, NotebookReport
from autograder.reports.evidence import EvidenceError, evidence, main, read_reports

ROOT = Path(__file__).parents[3]


def report(*notebooks: NotebookReport, python: str = "3.11.7", machine: str = "Linux x86_64, 2 processors") -> dict:
    engines = (EngineReport("mlflow", "MLflow server", "3.17.2", "-"), EngineReport("ray", "Ray", "", "one process"))
    return asdict(CourseReport("2026-11-28 04:00", 99.0, python, machine, notebooks, engines))


def notebook(name: str = "02_experiment_tracking", *, status: str = "passed", **values) -> NotebookReport:
    known = {"seconds": 31.4, "cpu_seconds": 28.0, "peak_mb": 1234.4, "points": 27, "max_points": 27}
    return NotebookReport(name, "Experiment tracking", status, 40, **{**known, **values})


def written(folder: Path, values: object) -> Path:
    folder.mkdir(parents=True)
    path = folder / "course-report.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


def test_a_row_has_versions_time_memory_and_date():
    text = evidence([report(notebook(engines=("mlflow", "ray")))])
    (row,) = [line for line in text.splitlines() if line.startswith("| ✅")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "✅", "02 Experiment tracking", "27 of 27", "31.4 s", "28.0 s", "1,234 MB", "3.11.7",
        "MLflow server 3.17.2, Ray (not found)", "2026-11-28 04:00",
    ]  # fmt: skip
    assert "The one run passes" in text
    assert "2 processors" in text


def test_the_reports_of_a_matrix_become_one_page_in_the_order_of_the_course(tmp_path):
    written(tmp_path / "notebook-03-py3.11", report(notebook("03_model_serving")))
    written(tmp_path / "notebook-02-py3.13", report(notebook(), python="3.13.1"))
    written(tmp_path / "notebook-02-py3.11", report(notebook(), notebook("08_cloud", status="not written")))
    text = evidence(read_reports([tmp_path]))
    rows = [line for line in text.splitlines() if line.startswith("| ✅")]
    assert [(row.split("|")[2].strip()[:2], row.split("|")[7].strip()) for row in rows] == [
        ("02", "3.11.7"), ("02", "3.13.1"), ("03", "3.11.7"),
    ]  # fmt: skip
    assert "All 3 runs pass" in text


def test_what_broke_stands_first_with_its_reasons():
    problem = "the reference stops at cell 7 with ImportError: cannot import `infer` | from pandas <core>"
    text = evidence([report(notebook("01_mlops_overview"), notebook(status="failed", problems=(problem,), points=3))])
    assert text.index("1 of 2 runs failed") < text.index("### ❌ 02") < text.index("| ✅")
    assert "- the reference stops at cell 7 with ImportError: cannot import 'infer' \\| from pandas &lt;core>" in text
    assert "| ❌ | 02 Experiment tracking | 3 of 27 |" in text


def test_a_notebook_that_was_not_run_again_keeps_the_date_of_its_run():
    assert "| 2026-11-01 12:00 |" in evidence([report(notebook(since="2026-11-01 12:00"))])


def test_nothing_that_ran_is_said_too():
    assert "No notebook ran." in evidence([report(notebook(status="not written"))])


@pytest.mark.parametrize("text", ["{ no JSON", "[]", '{"made": "today"}'])
def test_what_is_no_report_is_a_clear_error(tmp_path, text, capsys):
    path = written(tmp_path / "build", text)
    with pytest.raises(EvidenceError, match=r"course-report\.json"):
        read_reports([path])
    with pytest.raises(SystemExit) as ended:
        main([str(path)])
    assert ended.value.code == 2
    assert "course report" in capsys.readouterr().err


def test_a_folder_without_reports_and_a_missing_file_are_clear_errors(tmp_path):
    with pytest.raises(EvidenceError, match="no course report in"):
        read_reports([tmp_path])
    with pytest.raises(EvidenceError, match="cannot be read"):
        read_reports([tmp_path / "course-report.json"])


def test_a_job_can_write_it_without_the_environment_of_the_course(tmp_path):
    written(tmp_path / "build", report(notebook()))
    bare = [sys.executable, "-I", "-S", "-c", "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
            "from autograder.reports.evidence import main; main()"]  # fmt: skip
    done = subprocess.run(
        [*bare, str(ROOT), str(tmp_path), "--title", "Here"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("## Here\n")
