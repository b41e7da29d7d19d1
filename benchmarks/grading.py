"""One run, side by side: stock nbgrader against this grader, behind its sandbox, on the same submissions.

Run ``python -m benchmarks.grading`` (``--quick`` for a smoke test). It writes ``build/benchmarks/grading.json``.
Absolute times depend on the machine and on what else it does. Stock nbgrader takes the same time for every submission,
so it grades ``--stock`` of them; its seconds per submission are compared with ours over the class, start included.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from autograder.authoring.assignments import Assignment, course_catalogue, grade_id_of
from autograder.authoring.format import answers_path, course_root
from autograder.authoring.release import notebook_text
from autograder.course.answers import read_answers
from autograder.runners.plan import solved

OUT = Path("build") / "benchmarks" / "grading.json"
HEAVY, LIGHT = "01_mlops_overview", "01_tiny"
LIGHT_SOURCES = Path("tests") / "fixtures" / "sources"


@dataclass(frozen=True)
class Subject:
    """A notebook, and the course it is in."""

    root: Path
    assignment: Assignment

    @property
    def name(self) -> str:
        """Name of the notebook."""
        return self.assignment.name


def hand_in(subject: Subject, folder: Path, count: int) -> None:
    """Write ``count`` submissions, no two alike: all right, every second exercise right, or all wrong."""
    for number in range(count):
        place = folder / f"student{number:04}" / f"{subject.name}.ipynb"
        place.parent.mkdir(parents=True)
        place.write_text(notebook_text(_submission(subject, number)), encoding="utf-8")


def _submission(subject: Subject, number: int) -> Any:
    source = subject.assignment.source
    assert source is not None
    notebook = solved(subject.assignment.learner, source)
    for place, exercise in enumerate(subject.assignment.spec.exercises):
        cell = next(cell for cell in notebook.cells if grade_id_of(cell) == exercise.solution_id)
        if (number % 3 == 1 and place % 2) or number % 3 == 2:
            path = answers_path(subject.root, subject.name, exercise.number)
            wrong = [answer for answer in read_answers(path, exercise.number) if answer.kind == "wrong"]
            cell.source = wrong[number // 3 % len(wrong)].source.rstrip()
        cell.source += f"\n# handed in by student {number}"
    return notebook


def ours(subject: Subject, submissions: Path, scratch: Path, *, workers: int) -> dict[str, Any]:
    """Grade the class with this grader's command; return its seconds, memory and scores."""
    out = Path(tempfile.mkdtemp(dir=scratch))
    command = [sys.executable, "-m", "autograder", "grade", submissions, "--out", out, "--root", subject.root]
    command += ["--seed", "benchmark"]  # the same draws in each run: else luck could part their scores
    started = time.monotonic()
    with (scratch / "log.txt").open("wb") as log:
        grader = subprocess.Popen([*map(str, command), "--workers", str(workers)], stdout=log, stderr=log)
        peak = _peak_mb(grader)
    seconds = time.monotonic() - started
    if grader.returncode:
        raise SystemExit((scratch / "log.txt").read_text())
    with (out / "grades.csv").open(encoding="utf-8") as file:
        scores = {row["student"]: float(row["score"]) for row in csv.DictReader(file)}
    return {"seconds": seconds, "per_submission": seconds / len(scores), "peak_mb": peak, "scores": scores}


def _peak_mb(grader: subprocess.Popen[bytes]) -> float:
    """Wait for ``grader``; return the most memory that it and everything below it held, shared pages counted once."""
    peak, root = 0.0, psutil.Process(grader.pid)
    while grader.poll() is None:
        total = 0
        for process in [root, *_below(root)]:
            try:
                total += process.memory_full_info().pss
            except psutil.Error:  # it has just ended
                continue
        peak = max(peak, total / 2**20)
        try:
            grader.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            continue
    return peak


def _below(root: psutil.Process) -> list[psutil.Process]:
    try:
        return root.children(recursive=True)
    except psutil.Error:
        return []


def stock(subject: Subject, submissions: Path, scratch: Path, *, count: int) -> dict[str, Any]:
    """Grade the first ``count`` of the class with stock nbgrader, in a process of its own."""
    course = Path(tempfile.mkdtemp(dir=scratch))
    for student in sorted(submissions.iterdir())[:count]:
        shutil.copytree(student, course / "submitted" / student.name / subject.name)
    source = subject.assignment.source
    assert source is not None
    place = course / "source" / subject.name / f"{subject.name}.ipynb"
    place.parent.mkdir(parents=True)
    place.write_text(notebook_text(source), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.grading", "--as-stock", str(course)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    told: dict[str, Any] = json.loads(said.splitlines()[-1])
    return told


def be_stock(course: Path) -> dict[str, Any]:
    """Grade everything in ``course`` with nbgrader's own interface; return seconds for each, and scores."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it runs alembic
    os.chdir(course)
    from nbgrader.apps.api import NbGraderAPI
    from traitlets.config import Config

    config = Config()
    config.CourseDirectory.root, config.CourseDirectory.course_id = str(course), "benchmark"
    config.Execute.timeout = 300
    api = NbGraderAPI(config=config)
    (name,) = (folder.name for folder in (course / "source").iterdir())
    done = api.generate_assignment(name, force=True, create=True)
    assert done["success"], done["log"]
    seconds, scores = [], {}
    for student in sorted(folder.name for folder in (course / "submitted").iterdir()):
        started = time.monotonic()
        done = api.autograde(name, student, force=True, create=True)
        seconds.append(time.monotonic() - started)
        assert done["success"], done["log"]
        with api.gradebook as book:
            (notebook,) = book.find_submission(name, student).notebooks
            scores[student] = sum(grade.auto_score or 0.0 for grade in notebook.grades)
    return {"per_submission": sum(seconds) / len(seconds), "scores": scores}


def compare(subject: Subject, scratch: Path, *, count: int, sample: int) -> dict[str, Any]:
    """Grade ``count`` submissions with one and with two workers, and ``sample`` of them with stock nbgrader."""
    submissions = scratch / f"class-{subject.name}-{count}"
    hand_in(subject, submissions, count)
    theirs = stock(subject, submissions, scratch, count=sample)
    runs = {workers: ours(subject, submissions, scratch, workers=workers) for workers in (1, 2)}
    identical = all(run["scores"][who] == points for run in runs.values() for who, points in theirs["scores"].items())
    return {
        "notebook": subject.name,
        "submissions": count,
        "stock_submissions": sample,
        "stock_seconds_per_submission": round(theirs["per_submission"], 3),
        "seconds_per_submission": {str(workers): round(run["per_submission"], 3) for workers, run in runs.items()},
        "speedup": round(theirs["per_submission"] / runs[2]["per_submission"], 1),
        "speedup_1_worker": round(theirs["per_submission"] / runs[1]["per_submission"], 1),
        "scores_identical": identical and runs[1]["scores"] == runs[2]["scores"],
        "peak_mb": round(max(run["peak_mb"] for run in runs.values())),
    }


def growth(subject: Subject, scratch: Path, counts: tuple[int, ...]) -> dict[str, float]:
    """Return seconds per submission of classes of these sizes, two workers."""
    found = {}
    for count in counts:
        submissions = scratch / f"growth-{count}"
        hand_in(subject, submissions, count)
        found[str(count)] = round(ours(subject, submissions, scratch, workers=2)["per_submission"], 3)
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few submissions: does it work, are scores the same")
    parser.add_argument("--count", type=int, default=100, help="submissions of each notebook")
    parser.add_argument("--stock", type=int, default=6, help="how many of them stock nbgrader grades")
    parser.add_argument("--growth", default="10,100,1000", help="class sizes of the light notebook")
    parser.add_argument("--as-stock", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_stock:
        print(json.dumps(be_stock(options.as_stock)))
        return
    count, sample = (3, 1) if options.quick else (options.count, options.stock)
    sizes = (3, 6) if options.quick else tuple(map(int, options.growth.split(",")))
    root = course_root()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        scratch = Path(name)
        shutil.copytree(root / LIGHT_SOURCES, scratch / "light" / "solutions")
        (scratch / "light" / "pyproject.toml").touch()
        light = Subject(scratch / "light", course_catalogue(scratch / "light").load(LIGHT))
        heavy = Subject(root, course_catalogue(root).load(HEAVY))
        found: dict[str, Any] = {
            "quick": options.quick,
            "light": compare(light, scratch, count=count, sample=min(3 * sample, count)),
            "heavy": compare(heavy, scratch, count=count, sample=sample),
            "seconds_per_submission": growth(light, scratch, sizes),
        }
    found["scores_identical"] = found["light"]["scores_identical"] and found["heavy"]["scores_identical"]
    found["peak_mb"] = max(found["light"]["peak_mb"], found["heavy"]["peak_mb"])
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
