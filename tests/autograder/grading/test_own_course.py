"""A class of any course of nbgrader: checks that need to see all, files beside notebooks, and the commands."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from typer.testing import CliRunner

from autograder.authoring.own_course.catalogue import own_catalogue
from autograder.authoring.own_course.helpers import helpers_folder
from autograder.cli import app
from autograder.grading.collect import Found
from autograder.grading.command import grade_command
from autograder.grading.gradebook import COURSE_ID
from autograder.grading.manual.answers import Given
from autograder.grading.manual.views import Views
from autograder.grading.options import GradeOptions, GradingError
from autograder.grading.submission import Grader
from autograder.grading.unseen import settled
from autograder.runners.kernel import PlainKernel
from autograder.runners.sandbox import Sandboxed
from tests.fixtures.own_course import Course, check, free, solution, written

SQUARES = (
    solution("squares", "def squares(n):\n    return [i * i for i in range(n)]"),
    solution("total", "def total(n):\n    return sum(squares(n))"),
    check("total-test", "assert total(4) == 14"),
    check("uses-squares", "kept = squares\ndel squares\ntry:\n    total(3)\nexcept NameError:\n    pass\nelse:\n"
          "    raise AssertionError('total does not use squares')\nfinally:\n    squares = kept", 2),
)  # fmt: skip


class Box:
    """One engine for all the tests of this module, and the folder of what is made of their courses."""

    def __init__(self, folder: Path) -> None:
        self.kept = folder
        helpers_folder(folder).mkdir()
        self.executor = Sandboxed("auto", helpers=helpers_folder(folder))

    def assignment(self, course: Course, **options):
        """Return the course's notebook, settled, and what is said of its checks."""
        catalogue = own_catalogue(course.source, kept=self.kept)
        loaded = {course.name: catalogue.load(course.name)}
        options = GradeOptions(source=course.source, cell_limit=10, **options)
        assignments, marked = settled(loaded, lambda: Open(self.executor), options, self.kept / "cache")
        return assignments[course.name], marked

    def grade(self, course: Course, path: Path, *, beside=(), **options):
        """Return what a submission earned, by check: points and message."""
        assignment, _ = self.assignment(course, **options)
        options = GradeOptions(source=course.source, cell_limit=10, **options)
        grader = Grader({course.name: assignment}, lambda: Open(self.executor), options, None)
        graded = grader(Found("ann", course.name, path, path.name, beside=tuple(beside)))
        assert not graded.broken, graded.result.reason
        return {c.check.grade_id: (c.points, c.message) for c in graded.result.checks}, graded.result


class Open:
    """An executor that stays open."""

    def __init__(self, executor: Sandboxed) -> None:
        self.executor = executor

    def __getattr__(self, name: str):
        return getattr(self.executor, name)

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    made = Box(tmp_path_factory.mktemp("box"))
    with contextlib.closing(made.executor):
        yield made


# checks that nobody can judge from outside


def test_a_check_that_deletes_a_name_is_refused_before_the_class_is_graded(box, tmp_path):
    with pytest.raises(GradingError) as refused:
        box.assignment(Course(tmp_path, *SQUARES))
    assert "hw1, uses-squares: it deletes squares" in refused.value.happened
    assert "total-test" not in refused.value.happened
    assert "--unseen learner" in refused.value.next_step


def test_where_the_instructor_chooses_so_it_is_judged_where_the_learners_code_runs(box, tmp_path):
    course = Course(tmp_path, *SQUARES)
    assignment, marked = box.assignment(course, unseen="learner")
    assert assignment.unseen == {"uses-squares"}
    assert "can be fooled" in marked[0]
    right, _ = box.grade(course, course.hand_in("ann"), unseen="learner")
    assert [points for points, _ in right.values()] == [1, 2]
    assert "same process as your code" in right["uses-squares"][1]
    assert "same process" not in right["total-test"][1]
    own = course.hand_in("ben", total="def total(n):\n    return n * (n - 1) * (2 * n - 1) // 6")
    wrong, _ = box.grade(course, own, unseen="learner")
    assert [points for points, _ in wrong.values()] == [1, 0]
    assert "total does not use squares" in wrong["uses-squares"][1]


FOUND_BY_RUNNING = [
    # what the learner prints, changes in place, or calls, in forms that no source tells
    ("def hi():\n    print('hi')", "import io, sys\nout = io.StringIO()\nkeep, sys.stdout = sys.stdout, out\nhi()\n"
     "sys.stdout = keep\nassert out.getvalue() == 'hi\\n'"),
    ("def put(xs):\n    xs.append(1)", "changed = (lambda ys: put(ys) or ys)([])\nassert changed == [1]"),
    ("import random\ndef draw():\n    return random.random()", "import random\nrandom.seed(1)\nfirst = draw()\n"
     "random.seed(1)\nassert draw() == first"),
    ("class A:\n    pass\nclass B(A):\n    pass", "assert B.mro()[1] is A"),
    ("def ask():\n    return input()", "exec('input = lambda: 3')\nassert ask() == 3"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "test"),
    [*FOUND_BY_RUNNING[:2], *(pytest.param(*case, marks=pytest.mark.nightly) for case in FOUND_BY_RUNNING[2:])],
)
def test_a_check_that_the_reference_passes_in_one_process_only_is_found_by_running_it(box, tmp_path, answer, test):
    course = Course(tmp_path, solution("answer", answer), check("odd", test), check("plain", "assert 1 + 1 == 2"))
    with pytest.raises(GradingError, match="hw1, odd"):
        box.assignment(course)
    assert box.assignment(course, unseen="learner")[0].unseen == {"odd"}
    points, _ = box.grade(course, course.hand_in("ann"), unseen="learner")
    assert [p for p, _ in points.values()] == [1, 1]
    points, _ = box.grade(course, course.hand_in("ben", answer="1 / 0"), unseen="learner")
    assert [p for p, _ in points.values()] == [0, 1]


def test_a_reference_that_is_wrong_in_every_way_is_no_such_check(box, tmp_path):
    assignment, marked = box.assignment(Course(tmp_path, SQUARES[0], check("wrong", "assert squares(2) == [1, 4]")))
    assert (assignment.unseen, marked) == (frozenset(), [])


def test_what_such_a_check_needs_of_other_checks_comes_along(box, tmp_path):
    course = Course(
        tmp_path,
        SQUARES[0],
        check("helpers", "import math\nfrom math import sqrt\ndef twice(x):\n    return 2 * x\nassert twice(2) == 4"),
        check("imports", "del squares\nassert sqrt(4) == math.sqrt(4) == 2"),
        check("later", "assert sqrt(9) == 3"),
        solution("squares2", "def squares(n):\n    return [0] * n"),
        check("calls", "kept = squares\ndel squares\nsquares = kept\nassert twice(1) == 2 and squares(1) == [0]"),
    )
    assignment, marked = box.assignment(course, unseen="learner")
    assert assignment.unseen == {"helpers", "imports", "calls"}
    assert any("calls needs what it defines" in line for line in marked)
    points, _ = box.grade(course, course.hand_in("ann"), unseen="learner")
    assert [p for p, _ in points.values()] == [1, 1, 1, 1]


SPY = """
import gc, sys
def squares(n):
    frame, seen = sys._getframe(), []
    while frame:
        seen += [str(c) for c in frame.f_code.co_consts]
        frame = frame.f_back
    seen += [text for text in gc.get_objects() if type(text) is str]
    raise AssertionError('SEEN ' + ' '.join(w for t in seen for w in t.split() if 'secret' in w))
"""


def test_hidden_tests_are_in_the_learners_process_only_where_that_was_chosen_and_reach_no_message(box, tmp_path):
    course = Course(
        tmp_path,
        SQUARES[0],
        check("seen", "### BEGIN HIDDEN TESTS\nassert squares(2) == [0, 1], 'secret-one'\n### END HIDDEN TESTS"),
        check("shown", "kept = squares\ndel squares\nsquares = kept\nassert squares(2) == [0, 1], 'secret-two'"),
        check("dark", "kept = squares\ndel squares\nsquares = kept\n### BEGIN HIDDEN TESTS\n"
              "assert squares(3) == [0, 1, 4], 'secret-three'\n### END HIDDEN TESTS"),
    )  # fmt: skip
    points, result = box.grade(course, course.hand_in("ann", squares=SPY), unseen="learner")
    assert [p for p, _ in points.values()] == [0, 0, 0]
    assert "secret-two" in points["shown"][1]  # a visible check: the learner has it
    assert "secret" not in points["seen"][1]
    assert points["dark"][1].startswith("Your code does not pass this check.")
    assert "secret-one" not in json.dumps([m for _, m in points.values()])
    assert "secret" not in result.reason


def test_partial_credit_works_in_the_learners_process_and_has_limits(box, tmp_path):
    test = "kept = squares\ndel squares\nsquares = kept\nsquares(1)[0]"
    course = Course(tmp_path, solution("squares", "def squares(n):\n    return [4]"), check("part", test, 4))
    for answer, points in (("[1.5]", 1.5), ("[400]", 4), ("[-1]", 0), ("['x']", 4), ("[float('nan')]", 0)):
        path = course.hand_in("ann", squares=f"def squares(n):\n    return {answer}")
        assert box.grade(course, path, unseen="learner")[0]["part"][0] == points, answer


def test_an_answer_that_ends_the_process_costs_its_own_check(box, tmp_path):
    course = Course(tmp_path, *SQUARES, check("last", "assert total(2) == 1"))
    path = course.hand_in("ann", total="import os, sys\ndef total(n):\n    if n == 3:\n        os._exit(0)\n"
                          "    return sum(squares(n))")  # fmt: skip
    points, _ = box.grade(course, path, unseen="learner")
    assert [p for p, _ in points.values()] == [1, 0, 1]


# names that a stub does not bind


def test_variables_changed_objects_and_imports_of_a_solution_reach_its_checks(box, tmp_path):
    course = Course(
        tmp_path,
        free("rows = [{'n': 1}, {'n': 2}]\nseen = set()"),
        solution("work", "import math as m\nfrom collections import Counter\nanswer = m.floor(2.5)\n"
                 "for i, row in enumerate(rows):\n    row['sq'] = row['n'] ** 2\nseen.add(answer)"),
        check("variable", "assert answer == 2 and m.pi > 3 and Counter('aa')['a'] == 2"),
        check("in-place", "assert [row['sq'] for row in rows] == [1, 4] and seen == {2}"),
    )  # fmt: skip
    right, _ = box.grade(course, course.hand_in("ann"))
    assert [p for p, _ in right.values()] == [1, 1]
    evil = (
        "class Yes:\n    pi = 4\n    def __getattr__(self, name):\n        return lambda *a, **k: {'a': 2}\n"
        "m = Yes()\nCounter = lambda text: {'a': 2}\nanswer = 2"
    )
    own, _ = box.grade(course, course.hand_in("eve", work=evil))
    assert [p for p, _ in own.values()] == [1, 0]  # the judge imports for itself: these checks cannot be handed over
    evil = "assert_equal = lambda *a: None\nprint = len = isinstance = lambda *a: True\nanswer = 3"
    own, _ = box.grade(course, course.hand_in("eve", work=evil))
    assert [p for p, _ in own.values()] == [0, 0]


def test_difference_a_module_that_only_the_solution_imports_is_there_for_the_checks(box, tmp_path):
    """In one process, as in nbgrader, a right answer fails that does not import what the solution does."""
    answer = "import math\ndef f(x):\n    return math.floor(x)"
    course = Course(tmp_path, solution("f", answer), check("t", "assert f(2.5) == math.floor(2.5)"))
    path = course.hand_in("ann", f="def f(x):\n    return int(x)")
    assert box.grade(course, path)[0]["t"][0] == 1
    assignment, _ = box.assignment(course)
    grader = Grader({course.name: assignment}, PlainKernel, GradeOptions(source=course.source), None)
    assert grader(Found("ann", course.name, path, path.name)).result.checks[0].points == 0


def test_of_a_release_every_name_counts_that_a_check_reads_and_nobody_else_binds(box, tmp_path):
    source = Course(tmp_path / "a", solution("work", "answer = 42\nother = 1"), check("t", "assert answer == 42"))
    released = own_catalogue(source.source).load("hw1").learner
    course = Course(tmp_path / "b", *released.cells)
    path = source.hand_in("ann", work="import math\nanswer = 6 * 7\nmath = None")
    points, _ = box.grade(course, path)
    assert points["t"][0] == 1
    assert box.grade(course, source.hand_in("ben", work="answer = 41"))[0]["t"][0] == 0


# files beside a notebook

UNITS = "FACTOR = 3\ndef times(x):\n    return FACTOR * x\n"
TAMPER = """
import os, shutil, subprocess
for name in ('units.py', 'data/table.csv'):
    for act in (
        lambda: open(name, 'w').write('FACTOR = 1'), lambda: os.remove(name), lambda: os.rename(name, 'other'),
        lambda: os.chmod(name, 0o777), lambda: shutil.rmtree('data'), lambda: os.rename('data', 'data2'),
        lambda: os.replace('mine', name), lambda: os.symlink('mine', name),
        lambda: subprocess.run(['umount', name]), lambda: subprocess.run(['mount', '--bind', 'mine', name]),
        lambda: os.rename(os.getcwd(), os.getcwd() + '2'),
    ):
        try:
            open('mine', 'w').write('FACTOR = 1')
            act()
        except Exception:
            pass
os.makedirs('/box/work/data', exist_ok=True)
open('/box/work/units.py', 'w').write('FACTOR = 1')
"""


def with_files(course: Course) -> Course:
    (course.source / "units.py").write_text(UNITS)
    (course.source / "data").mkdir()
    (course.source / "data" / "table.csv").write_text("7\n")
    return course


READS = (
    free("from units import times\nwith open('data/table.csv') as file:\n    n = int(file.read())"),
    solution("f", "def f(x):\n    return times(x) + n"),
    check("seen", "assert f(2) == 13"),
    check("own", "### BEGIN HIDDEN TESTS\nimport units\nassert f(3) == units.times(3) + "
          "int(open('data/table.csv').read()) == 16\n### END HIDDEN TESTS"),
)  # fmt: skip


@pytest.mark.parametrize("before", ["", "1"])
def test_the_courses_own_files_lie_beside_every_notebook_and_nobody_can_change_them(box, tmp_path, before):
    course = with_files(Course(tmp_path, *READS))
    assert box.assignment(course)[0].beside == ("data/table.csv", "units.py")
    right, result = box.grade(course, course.hand_in("ann"))
    assert [p for p, _ in right.values()] == [1, 1]
    tamper = TAMPER if before else ""
    wrong, _ = box.grade(course, course.hand_in("eve", f=f"{tamper}\ndef f(x):\n    return x + 7"))
    assert [p for p, _ in wrong.values()] == [0, 0]
    again, result = box.grade(course, course.hand_in("ben", f=f"{tamper}\ndef f(x):\n    return 3 * x + 7"))
    assert [p for p, _ in again.values()] == [1, 1], result
    assert (box.kept / "files" / box.assignment(course)[0].helpers / "units.py").read_text() == UNITS


def test_a_dead_process_is_replaced_by_one_with_the_same_files(box, tmp_path):
    cells = (*READS, solution("g", "def g():\n    return times(1)"), check("late", "assert g() == 3 and times(2) == 6"))
    course = with_files(Course(tmp_path, *cells))
    path = course.hand_in("ann", f="import os\ndef f(x):\n    os._exit(1)")
    points, _ = box.grade(course, path)
    assert [p for p, _ in points.values()] == [0, 0, 1]


NEEDS_OWN = (solution("f", "def f():\n    return 5"), check("t", "assert f() == 5"))
USES = "from mine import five\ndef f():\n    return five()"


def beside(path: Path, *names: str):
    """Return what lies beside a submission, as the collector does."""
    return [(name, path.parent / name) for name in names]


def test_a_learners_file_is_taken_along_only_where_the_course_says_so(box, tmp_path):
    course = Course(tmp_path, *NEEDS_OWN)
    path = course.hand_in("ann", {"mine.py": "def five():\n    return 5\n", "notes.txt": "x"}, f=USES)
    there = beside(path, "mine.py", "notes.txt")
    left, result = box.grade(course, path, beside=there)
    assert left["t"][0] == 0
    assert "No module named 'mine'" in left["t"][1]
    assert "mine.py was handed in beside the notebook and was not taken along." in left["t"][1]
    assert "mine.py, notes.txt" in " ".join(result.repairs)
    taken, result = box.grade(course, path, beside=there, helpers=("*.py",))
    assert taken["t"][0] == 1
    assert "Taken along beside the notebook: mine.py." in result.repairs
    assert any("notes.txt" in note and "not taken along" in note for note in result.repairs)
    (path.parent / "mine.py").write_text("def five():\n    return 6\n")
    assert box.grade(course, path, beside=there, helpers=("*.py",))[0]["t"][0] == 0


def test_a_module_that_a_learner_writes_is_imported_in_the_learners_process_and_never_by_the_judge(box, tmp_path):
    course = Course(tmp_path, *NEEDS_OWN, check("judge", "import mine\nassert mine.five() == 5"))
    (course.source / "mine.py").write_text("def five():\n    return 5\n")
    path = course.hand_in("ann", f="%%writefile more.py\nx = 5")
    assert box.grade(course, path)[0]["judge"][0] == 1
    open_door = Course(tmp_path / "b", free("x = 1"), *NEEDS_OWN)
    path = open_door.hand_in("ann", f=(
        "open('mine.py', 'w').write('def five():\\n    return 5')\nimport mine\ndef f():\n    return mine.five()"
    ))  # fmt: skip
    assert box.grade(open_door, path)[0]["t"][0] == 1


def test_a_module_that_the_release_writes_is_there_for_both_also_after_a_crash(box, tmp_path):
    course = Course(
        tmp_path,
        free("%%writefile made.py\ndef two():\n    return 2"),
        free("import made"),
        solution("f", "def f():\n    return made.two()"),
        check("t", "assert f() == made.two() == 2"),
        solution("g", "def g():\n    return 1"),
        check("u", "assert g() + made.two() == 3"),
    )
    assert [p for p, _ in box.grade(course, course.hand_in("ann"))[0].values()] == [1, 1]
    crash = course.hand_in("ben", f="import os\ndef f():\n    os._exit(3)")
    assert [p for p, _ in box.grade(course, crash)[0].values()] == [0, 1]
    evil = "open('made.py', 'w').write('def two():\\n    return 7')\ndef f():\n    return 7"
    assert [p for p, _ in box.grade(course, course.hand_in("eve", f=evil))[0].values()] == [0, 1]


# the command


def rows(out: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (out / "grades.csv").open() as file:
        return {(row["student"], row["notebook"]): row for row in csv.DictReader(file)}


@pytest.mark.timeout(600)
def test_a_course_with_two_notebooks_in_one_assignment_from_hand_in_to_export(tmp_path, capsys):
    course = with_files(Course(tmp_path, *READS, written("why", "Because.", 3), name="part-1"))
    stage = tmp_path / "nb" / "source" / "hw"
    stage.parent.mkdir(parents=True)
    shutil.copytree(course.source, stage)
    second = Course(tmp_path / "two", *SQUARES, *NEEDS_OWN, name="Teil 2")
    shutil.copy(second.path, stage)
    shutil.copytree(course.source, tmp_path / "nb" / "source" / "other")  # has part-1 too
    right = course.hand_in("x"), second.hand_in("x", f=USES)
    archive, out = tmp_path / "class.zip", tmp_path / "out"
    with zipfile.ZipFile(archive, "w") as bundle:
        for student, late in (("ann", "12"), ("Jörg", "01")):
            for path in right:
                bundle.writestr(f"submitted/{student}/hw/{path.name}", path.read_bytes())
            bundle.writestr(f"submitted/{student}/hw/timestamp.txt", f"2026-{late}-01 10:00:00 UTC")
            bundle.writestr(f"submitted/{student}/other/part-1.ipynb", "{}")
        bundle.writestr("submitted/ann/hw/mine.py", "def five():\n    return 5\n")
    options = GradeOptions(workers=1, source=tmp_path / "nb" / "source" / "hw", cell_limit=20)
    with pytest.raises(GradingError, match="uses-squares"):
        grade_command(archive, out, options)
    assert not (out / "grades.csv").exists()

    chosen = replace(options, unseen="learner", helpers=("*.py",), due={"hw": "2026-11-30 18:00 UTC"}, late="zero")
    assert grade_command(archive, out, chosen) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Teil 2, uses-squares: this check ran where the learner's code ran, so it can be fooled" in said
    assert "Taken along beside part-1.ipynb, read-only: data/table.csv, units.py." in said
    report = json.loads((out / "report.json").read_text())
    assert any("can be fooled" in note for note in report["notes_on_submissions"])
    found = rows(out)
    assert {key: row["score"] for key, row in found.items()} == {
        ("ann", "part-1"): "2", ("ann", "Teil 2"): "4", ("Jörg", "part-1"): "2", ("Jörg", "Teil 2"): "3",
    }  # fmt: skip
    assert [found["ann", name]["penalty"] for name in ("part-1", "Teil 2")] == ["2", "4"]
    page = out / "feedback" / "ann" / "Teil 2.md"
    assert "same process as your code" in page.read_text()
    assert "can be fooled" not in page.read_text()

    with Gradebook(f"sqlite:///{out / 'gradebook.db'}", COURSE_ID) as book:
        whole = book.find_submission("hw", "Jörg")
        assert (whole.score, whole.max_score, len(whole.notebooks)) == (5, 9, 2)
        assert book.find_submission("hw", "ann").total_seconds_late > 0
    views = Views(out)
    (row,) = [row for row in views.overview() if row.answers]
    assert (row.question.notebook, row.question.cell, row.waiting) == ("part-1", "why", 2)
    others = views.shown("part-1", "why", row.first).others
    shown = views.shown("part-1", "why", next(one.id for one in others if one.student == "Jörg"))
    assert shown.typed == "Because."
    assert (out / shown.path).is_file()
    views.give(shown, Given(frozenset(), 2.5, "Well put."), shown.answer.seen)
    for name in ("part-1", "Teil 2"):
        for stage in ("submitted", "autograded"):
            assert (out / stage / "ann" / "hw" / f"{name}.ipynb").is_file()

    assert grade_command(archive, out, GradeOptions(workers=1, cell_limit=20)) == 0  # all of it holds in later runs
    assert {row["cached"] for row in rows(out).values()} == {"yes"}
    assert rows(out)["Jörg", "part-1"]["total"] == "4.5"
    assert "Well put." in (out / "feedback" / "Jörg" / "part-1.md").read_text()
    assert rows(out)["Jörg", "Teil 2"]["exercise total"] == "3"  # an exercise may be called like a column
    assert [rows(out)["ann", name]["penalty"] for name in ("part-1", "Teil 2")] == ["2", "4"]

    page.unlink()
    shutil.rmtree(tmp_path / "nb")  # what is handed out can be made again from the copies in --out
    for name in ("export", "feedback"):
        done = CliRunner().invoke(app, [name, str(out)])
        assert done.exit_code == 0, done.output
    assert "same process as your code" in page.read_text()
    assert "other checks" not in done.output
    command = ["grade", str(archive), "--out", str(out), "--source", str(tmp_path / "nb")]
    assert "There is no source" in str(CliRunner().invoke(app, command).exception)
