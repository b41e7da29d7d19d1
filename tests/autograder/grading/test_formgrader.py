"""nbgrader's formgrader, in a real Jupyter server, opens what the grader wrote."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fixtures.grade_tiny import grade_tiny
from tests.fixtures.tiny_class import NAME, handed_in, tiny, write

TOKEN = "formgrader-test"


@pytest.fixture(scope="module")
def graded(tmp_path_factory) -> Path:
    """A graded class."""
    folder = tmp_path_factory.mktemp("formgrader")
    write(folder / "class", "perfect", handed_in())
    write(folder / "class", "half", handed_in(rate="def mean_rate(rates):\n    return 0"))
    write(folder / "class", "empty", tiny().learner)
    write(folder / "class", "broken", "{ no JSON")
    grade_tiny(folder / "class", folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def server(graded, tmp_path_factory) -> Iterator[httpx.Client]:
    """A client of a Jupyter server that runs in the graded folder."""
    home = tmp_path_factory.mktemp("home")
    environment = os.environ | {name: str(home) for name in ("HOME", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    command = [
        sys.executable,
        "-m",
        "jupyter",
        "server",
        "--no-browser",
        "--port=0",
        f"--IdentityProvider.token={TOKEN}",
    ]
    command += ["--allow-root", f"--ServerApp.root_dir={graded}"]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=graded, env=environment, stdout=log, stderr=log)
        try:
            while not (started := list(home.glob("jpserver-*.json"))):
                assert process.poll() is None, (home / "log").read_text()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.1)
            url = json.loads(started[0].read_text())["url"].replace("localhost", "127.0.0.1")
            with httpx.Client(base_url=url, headers={"Authorization": f"token {TOKEN}"}, timeout=60) as client:
                yield client
        finally:
            process.terminate()
            process.wait(timeout=30)


def get(server, path):
    response = server.get(f"formgrader/{path}", follow_redirects=True)
    assert response.status_code == 200, f"{path}: {response.text[:500]}"
    return response


def submissions(server):
    return {s["student"]: s for s in get(server, f"api/submitted_notebooks/{NAME}/{NAME}").json()}


def test_the_assignment_and_its_submissions_are_listed(server):
    (assignment,) = get(server, "api/assignments").json()
    assert assignment["name"] == NAME
    assert assignment["num_submissions"] == 4
    assert assignment["max_score"] == 11
    assert {s["student"]: s["score"] for s in get(server, f"api/submissions/{NAME}").json()} == {
        "perfect": 7, "half": 4, "empty": 0, "broken": 0,
    }  # fmt: skip


def test_the_pages_a_grader_walks_through_open(server):
    pages = ("manage_assignments", f"manage_submissions/{NAME}", "gradebook", f"gradebook/{NAME}", "manage_students")
    for page in (*pages, f"gradebook/{NAME}/{NAME}"):
        assert "formgrader" in get(server, page).text


def test_every_submission_opens_also_one_that_could_not_be_read(server):
    found = submissions(server)
    assert set(found) == {"perfect", "half", "empty", "broken"}
    for student, submission in found.items():
        page = get(server, f"submissions/{submission['id']}/").text
        assert ("could not be graded" in page) is (student == "broken")
        for what in ("mean_rate", 'id="interview-1"', 'id="ex-1-1-comment"'):  # the broken one is nothing to grade
            assert (what in page) is (student != "broken")


def test_a_person_can_give_points_and_a_comment(server):
    notebook = submissions(server)["perfect"]["id"]
    grades = get(server, f"api/grades?submission_id={notebook}").json()
    answer = next(grade for grade in grades if grade["name"] == "interview-1")
    assert answer["needs_manual_grade"]
    headers = {"X-XSRFToken": server.cookies.get("_xsrf", "")}
    response = server.put(f"formgrader/api/grade/{answer['id']}", json={"manual_score": 3}, headers=headers)
    assert response.status_code == 200, response.text[:300]
    assert submissions(server)["perfect"]["score"] == 10
