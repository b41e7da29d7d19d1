"""`docs/instructor.md` is a promise: every command in it is run here, in its order, on a small class."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from autograder.authoring.release import learner_copy, notebook_text
from autograder.authoring.sources import read_source
from course_lib import processes
from tests.fixtures.make_submissions import ANSWER, solved

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "tests" / "fixtures" / "sources"
PAGE = (ROOT / "docs" / "instructor.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
NAME = "01_tiny"
TICKED = ("✓ 2 of 2: a case in which it does", "✗ 0 of 1.5: why: few values are extreme", "✓ 0.5 of 0.5: a number")
CHANGES = {
    "grade": ("manual_score", 3),
    "comment": ("manual_comment", "\n".join([*TICKED, "Well put.", "Seen again."])),
}


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A clone whose course is the tiny one, beside a class in each form that the page names."""
    root = tmp_path_factory.mktemp("instructor") / "mlops-course"
    shutil.copytree(SOURCES, root / "solutions")
    for name in ("course_lib", "autograder", "docs", "scripts"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*ROOT.glob("requirements*"), *ROOT.glob("LICENSE*")):
        shutil.copy(path, root / path.name)
    for name in ("pyproject.toml", ".gitignore", "Makefile"):
        shutil.copy(ROOT / name, root / name)
    (root / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "jupyter"):
        (root / ".venv" / "bin" / name).write_text(f'#!/bin/sh\nexec "{Path(sys.executable).with_name(name)}" "$@"\n')
        (root / ".venv" / "bin" / name).chmod(0o755)
    source = read_source(root / "solutions" / f"{NAME}.py")
    full, empty = notebook_text(solved(source)), notebook_text(learner_copy(source))
    files = {
        f"class/ann/{NAME}.ipynb": full,
        "class/ann/timestamp.txt": "2026-12-01 10:00:00 UTC",
        f"class/ben/{NAME}.ipynb": empty,
        "class.csv": "student,section\nann,1\nben,1\ncem,2\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with zipfile.ZipFile(root / "submissions.zip", "w") as archive:
        archive.writestr(f"doejane_12345_67890_{NAME}.ipynb", full)
        archive.writestr(f"roeben_LATE_23456_67891_{NAME}.ipynb", empty)
    return root


def run(command: str, root: Path) -> str:
    done = subprocess.run(
        ["sh", "-c", command], cwd=root, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "COLUMNS": "160"},
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def points(root: Path, out: str) -> dict[str, str]:
    with (root / "build" / out / "grades.csv").open() as file:
        return {row["student"]: row["score"] for row in csv.DictReader(file)}


@pytest.mark.timeout(900)
def test_the_walk_from_release_to_export(room):
    walked = []
    for command in COMMANDS:
        if "jupyter lab" in command:
            opens_the_formgrader(command, room)
        elif "autograder manual" in command:
            grades_by_hand(command, room)
        else:
            run(command, room)
        walked.append(re.search(r"autograder (\w+)|jupyter lab", command)[0])
    assert walked == [
        "autograder bundle", *["autograder grade"] * 4, "autograder manual", "jupyter lab",
        "autograder feedback", "autograder export",
    ]  # fmt: skip

    with zipfile.ZipFile(room / "build" / "mlops-course.zip") as archive:
        assert f"mlops-course/notebooks/{NAME}.ipynb" in archive.namelist()
    assert points(room, "grades") == {"ann": "7", "ben": "0", "cem": "0"}
    assert points(room, "grades-from-zip") == {"doejane": "7", "roeben": "0"}
    assert "No file" in (room / "build" / "grades" / "grades.csv").read_text()  # cem's reason
    says_the_same_everywhere(room / "build" / "grades")
    for name in ("report.html", "report.json", "canvas.csv", "moodle", f"feedback/ann/{NAME}.html", f"release/{NAME}"):
        assert (room / "build" / "grades" / name).exists(), name


def says_the_same_everywhere(out: Path) -> None:
    """Look for what was given in the formgrader on every page and in every table that the instructor's page names."""
    rows = {row["student"]: row for row in table(out / "grades.csv")}
    assert [(rows[s]["total"], rows[s]["total_max"], rows[s]["waits"]) for s in ("ann", "ben", "cem")] == [
        ("10", "11", ""), ("0", "11", ""), ("0", "11", ""),
    ]  # fmt: skip
    assert rows["ann"]["penalty"] == "0"  # a day late, and three days more time
    canvas = {row["Student"]: row[NAME] for row in table(out / "canvas.csv")}
    assert canvas == {"    Points Possible": "11", "ann": "10", "ben": "0", "cem": "0"}
    moodle = {row["Full name"]: row["Grade"] for row in table(out / "moodle" / f"{NAME}.csv")}
    assert moodle == {"ann": "10", "ben": "0", "cem": "0"}
    page, text = (out / "feedback" / "ann" / f"{NAME}.{kind}" for kind in ("html", "md"))
    assert "10 of 11 points" in page.read_text()
    assert "**10 of 11 points**" in text.read_text()
    for said in ("Well put.", "A person gave these points.", *TICKED, "Seen again."):
        assert said in page.read_text()
        assert said in text.read_text()
    assert "hidden tests" in text.read_text().lower()
    assert "mean([0, 0, 9])" not in page.read_text()  # the text of a test
    report = json.loads((out / "report.json").read_text())
    assert report["submissions"]["wait_for_a_person"] == 0
    assert report["notebooks"][0]["mean"] == 5
    assert {row["student"] for row in report["rejected"]} == {"cem"}
    says_what_the_page_says_of_the_report(out, report)
    assert table(out / "waiting.csv") == []


def says_what_the_page_says_of_the_report(out: Path, report: dict) -> None:
    """Look for each thing that section 4 promises, in its order: numbers, what is left out, links, dashes."""
    page = (out / "report.html").read_text()
    words = ("graded", "Distribution of the totals", "Discrim", "not attempted", "Students", "Rejected", "Slowest")
    places = [page.index(word) for word in words]
    assert places == sorted(places)
    (notebook,) = report["notebooks"]
    assert notebook["left_out"] == {"rejected": 1}
    assert "Left out here and in the table: 1 rejected." in page
    for exercise in (*notebook["exercises"], *notebook["answers"]):
        assert (exercise["n"], exercise["discrimination"]) == (2, None)
        assert exercise["difficulty"] == (0.375 if exercise in notebook["answers"] else 0.5)
    assert [exercise["not_attempted"] for exercise in notebook["exercises"]] == [1, 1]  # ben handed in what he got
    assert page.count("—</td>") >= 3
    assert "Near 0, or below" in page
    for student, said in (("ann", "10 of 11"), ("ben", "0 of 11"), ("cem", "rejected")):
        assert f'<a href="feedback/{student}/{NAME}.html">{said}</a>' in page
        assert (out / "feedback" / student / f"{NAME}.html").exists()


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def grades_by_hand(command: str, room: Path) -> None:
    """Open the address that the command prints, and give Ann's answer two items of the rubric and a comment."""
    process = subprocess.Popen(["sh", "-c", f"exec {command}"], cwd=room, stdout=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", process.stdout.readline())[0]
        with httpx.Client(base_url=address.split("/?")[0], timeout=60, follow_redirects=True) as browser:
            assert browser.get("/").status_code == 403  # not without the token
            overview = browser.get(address).text
            (place,) = re.findall(rf'href="(/{NAME}/interview-1/\w+)"', overview)
            page = browser.get(place).text
            for part in (ANSWER, "When a few values are extreme", "a case in which it does", "The reference answer"):
                assert part in page
            assert page.index(ANSWER) < page.index("a case in which it does")
            assert "<script" not in page
            assert "answer 1 of 1" in page  # ben's was not written, and cem handed nothing in
            sent = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
            done = browser.post(place, data=sent | {"item-0": "on", "item-2": "on", "comment": "Well put."})
        assert "No answer waits." in done.text
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0


def opens_the_formgrader(command: str, room: Path) -> None:
    """Start the server of the page with a port of ours, and look whether the graded class is in its formgrader."""
    port = processes.free_port()
    options = f"--no-browser --allow-root --port={port} --ServerApp.port_retries=0 --IdentityProvider.token="
    home = room.parent / "home"
    env = {name: str(home) for name in ("HOME", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    server = processes.Server(
        "JupyterLab", ["sh", "-c", f"{command} {options}"], port=port, ready_path="/api/status", env=env, cwd=room,
        timeout=120,
    )  # fmt: skip
    with server:
        server.wait_ready()
        with httpx.Client(base_url=f"{server.url}/formgrader/", timeout=60) as client:
            (assignment,) = client.get("api/assignments").json()
            gives_points_and_a_comment(client)
    assert (assignment["name"], assignment["num_submissions"]) == (NAME, 3)


def gives_points_and_a_comment(client: httpx.Client) -> None:
    """Find what was given by hand in the formgrader; there too, give points beside Ann's answer, and a comment."""
    client.get("gradebook")  # sets the cookie that changes need
    headers = {"X-XSRFToken": client.cookies.get("_xsrf", "")}
    ann = next(s for s in client.get(f"api/submitted_notebooks/{NAME}/{NAME}").json() if s["student"] == "ann")
    cells = {kind: client.get(f"api/{kind}s", params={"submission_id": ann["id"]}).json() for kind in CHANGES}
    answer = {kind: next(cell for cell in found if cell["name"] == "interview-1") for kind, found in cells.items()}
    assert (answer["grade"]["manual_score"], answer["grade"]["needs_manual_grade"]) == (2.5, False)
    assert answer["comment"]["manual_comment"] == "\n".join([*TICKED, "Well put."])
    for kind, (field, value) in CHANGES.items():
        response = client.put(f"api/{kind}/{answer[kind]['id']}", json={field: value}, headers=headers)
        assert response.status_code == 200, response.text[:300]


def test_what_the_page_promises_of_nbgraders_commands_is_tested():
    """The commands of the exchange need a student: `tests/autograder/grading/test_feedback.py` runs them."""
    assert "nbgrader release_feedback 01_mlops_overview --course COURSE" in PAGE
    other = (ROOT / "tests" / "autograder" / "grading" / "test_feedback.py").read_text()
    for command in set(re.findall(r"nbgrader (\w+_feedback)", PAGE)):
        assert f'"{command}", NAME' in other


def test_the_page_links_to_files_that_are_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists()
    assert "make bundle" in PAGE
    assert "bundle:" in (ROOT / "Makefile").read_text()
