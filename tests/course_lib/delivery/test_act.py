"""Workflows run here: green, red, skipped, refused; nothing is left running and nothing of the reader leaks in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from course_lib import delivery
from course_lib.delivery import act

SHA = "3d3c42e5aac5ba805825da76410c181273ba90b1"


def workflow(jobs: str, *, on: str = "push") -> str:
    return f"name: ci\non: {on}\npermissions:\n  contents: read\njobs:\n{jobs}"


def one_job(run: str, *, checkout: bool = True) -> str:
    use = f"      - uses: actions/checkout@{SHA}\n        with: {{persist-credentials: false}}\n" if checkout else ""
    return workflow(f"  a:\n    runs-on: ubuntu-latest\n    steps:\n{use}      - run: {run}\n")


@pytest.fixture
def repository():
    with delivery.Repository() as made:
        yield made


def run(repository, text, **files):
    repository.commit({".github/workflows/ci.yml": text, "hello.txt": "hello", **files}, "a commit")
    return repository.run("ci.yml")


def test_a_failing_step_makes_the_run_red_and_skips_the_job_that_needs_it(repository):
    jobs = (
        "  first:\n    runs-on: ubuntu-latest\n    steps: [{run: exit 3}]\n"
        "  second:\n    needs: first\n    runs-on: ubuntu-latest\n    steps: [{run: echo never}]\n"
    )
    done = run(repository, workflow(jobs))
    assert done.conclusion == "failure"
    assert [job.conclusion for job in done.jobs] == ["failure", "skipped"]
    assert "exit status 3" in done.log(failed_only=True)


def test_the_fix_makes_it_green(repository):
    assert run(repository, one_job("test -f fixed.txt")).conclusion == "failure"
    repository.commit({"fixed.txt": "yes"}, "the fix")
    assert repository.run("ci.yml").conclusion == "success"


def test_the_workspace_is_empty_without_a_checkout(repository):
    assert run(repository, one_job("test ! -e hello.txt", checkout=False)).conclusion == "success"


def test_artifacts_and_summaries_of_a_matrix_come_back(repository):
    jobs = (
        "  a:\n    runs-on: ubuntu-latest\n    strategy: {matrix: {part: [x, y]}}\n    steps:\n"
        f"      - uses: actions/checkout@{SHA}\n"
        '      - run: echo "part ${{ matrix.part }}" >> $GITHUB_STEP_SUMMARY\n'
        "      - uses: actions/upload-artifact@v7\n        with: {name: 'r-${{ matrix.part }}', path: hello.txt}\n"
    )
    done = run(repository, workflow(jobs))
    assert dict(done.artifacts) == {"r-x/hello.txt": b"hello", "r-y/hello.txt": b"hello"}
    assert {"part x", "part y"} <= set(done.summary.split("\n"))


def test_setup_python_gives_the_course_s_python_and_says_that_it_is_a_stand_in(repository):
    steps = "      - uses: actions/setup-python@v7\n        with: {python-version: '3.11'}\n"
    steps += "      - run: python -c 'import nbformat'\n"
    done = run(repository, workflow(f"  a:\n    runs-on: ubuntu-latest\n    steps:\n{steps}"))
    assert done.conclusion == "success"
    assert "stand-in for actions/setup-python, offline" in done.log()


def test_steps_do_not_see_the_reader_s_secrets_or_home(repository, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "s3cret")
    done = run(
        repository, one_job("env; cat ~/.gitconfig; true"), **{".secrets": "MY_TOKEN=also\n", ".env": "LEAK=yes\n"}
    )
    assert "s3cret" not in done.log()
    assert "LEAK" not in done.log()
    assert f"HOME={Path.home()}\n" not in done.log()


def test_a_process_that_a_step_left_behind_is_stopped(repository):
    done = run(repository, one_job("(setsid sleep 98765 > /dev/null 2>&1 &); true"))
    assert done.conclusion == "success"
    assert not [p for p in psutil.process_iter(["cmdline"]) if "98765" in (p.info["cmdline"] or [])]


def test_a_workflow_that_does_not_end_is_stopped_with_a_clear_error(repository):
    repository.commit({".github/workflows/ci.yml": one_job("sleep 98764")}, "hangs")
    with pytest.raises(delivery.DeliveryError, match="did not end within"):
        act.run(repository.path, "ci.yml", timeout=1)
    assert not [p for p in psutil.process_iter(["cmdline"]) if "98764" in (p.info["cmdline"] or [])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\non: push\n jobs:\n", r"no YAML: line"),
        ("", "empty or no mapping"),
        (workflow("  a:\n    runs-on: ubuntu-latest\n    step: []\n"), "at jobs.a"),
        (workflow("  a:\n    needs: b\n    runs-on: ubuntu-latest\n    steps: [{run: ls}]\n"), "Job a needs b"),
        (workflow("  a:\n    runs-on: windows-latest\n    steps: [{run: ls}]\n"), "runner of the kind windows"),
        (workflow("  a:\n    runs-on: ubuntu-latest\n    steps: [{uses: me/it@v1}]\n"), "no offline stand-in"),
        (
            workflow("  a:\n    runs-on: ubuntu-latest\n    steps: [{run: ls}]\n", on="pull_request"),
            "not start on push",
        ),
    ],
)
def test_a_workflow_that_cannot_run_is_a_clear_error(repository, text, message):
    with pytest.raises(delivery.WorkflowError, match=message):
        run(repository, text)


def test_a_missing_workflow_is_a_clear_error(repository):
    repository.commit({"a": "b"}, "no workflow")
    with pytest.raises(delivery.WorkflowError, match="There is no workflow"):
        repository.run("ci.yml")


def test_a_repository_takes_no_file_outside_of_it_and_is_gone_afterwards():
    with delivery.Repository() as made:
        with pytest.raises(delivery.DeliveryError, match="no file of the repository"):
            made.commit({"../outside": "x"}, "no")
        with pytest.raises(delivery.DeliveryError, match="no file of the repository"):
            made.commit({".git/hooks/pre-commit": "x"}, "no")
    assert not made.path.exists()


def test_the_reader_s_git_settings_do_not_reach_in(monkeypatch, repository):
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    commit = repository.commit({"a": "b"}, "one")
    shown = subprocess.run(["git", "cat-file", "-t", commit], cwd=repository.path, env={"PATH": os.environ["PATH"]},
                           capture_output=True, text=True, check=True)  # fmt: skip
    assert shown.stdout.strip() == "commit"
