"""Any source or release of nbgrader is found, read and built as nbgrader does it; what is wrong with one is named."""

from __future__ import annotations

import copy
import shutil
import unicodedata

import jupytext
import nbformat
import pytest
from nbformat.v4 import new_notebook

from autograder.authoring.assignments import grade_id_of
from autograder.authoring.format import UnknownNotebookError
from autograder.authoring.own_course.catalogue import own_catalogue
from autograder.authoring.own_course.folder import SourceError, locate
from autograder.authoring.own_course.look import unseen_by_look
from autograder.authoring.own_course.settings import own_settings
from tests.fixtures.own_course import (
    FOLDER,
    GUIDE,
    SHIPPED,
    Course,
    check,
    free,
    shipped,
    solution,
    source_of,
    text,
    write_example,
    write_source,
    written,
)

ONE = (text("# One"), solution("f", "def f(x):\n    return x + 1"), check("f-test", "assert f(1) == 2"))


def load_all(path):
    catalogue = own_catalogue(path)
    for name in catalogue.names:
        catalogue.load(name)


def refused(path, *words):
    """Return the error of loading the only notebook at ``path``; it holds these words and what to do next."""
    with pytest.raises(SourceError) as error:
        load_all(path)
    for word in words:
        assert word in error.value.happened
    assert error.value.expected
    assert error.value.next_step
    return error.value


# where the notebooks are


def test_a_course_folder_of_nbgrader_has_assignments_with_several_notebooks(tmp_path):
    write_example(tmp_path)
    write_source(tmp_path, "essay")
    (tmp_path / "source" / "header.ipynb").write_text(shipped("infinite-loop"))
    catalogue = own_catalogue(tmp_path)
    assert catalogue.names == ("essay", "problem1", "problem2")
    assert [catalogue.place(name) for name in catalogue.names] == [
        ("essay", "essay"), ("ps1", "problem1"), ("ps1", "problem2"),
    ]  # fmt: skip
    assert [catalogue.load(name).spec.points for name in catalogue.names] == [0, 3, 0]
    assert catalogue.resolve(["ps1"]) == ["problem1", "problem2"]
    assert catalogue.resolve(["essay", "problem2"]) == ["essay", "problem2"]
    with pytest.raises(UnknownNotebookError):
        catalogue.resolve(["ps2"])
    for inside in ("source", "source/ps1"):
        assert own_catalogue(tmp_path / inside).place("problem1") == ("ps1", "problem1")
    assert own_catalogue(tmp_path / "source" / "ps1").elsewhere == {"essay"}
    assert own_catalogue(tmp_path / "source" / "ps1" / "problem2.ipynb").names == ("problem2",)


def test_a_plain_folder_makes_each_notebook_an_assignment_and_a_folder_of_folders_is_one_of_assignments(tmp_path):
    course = Course(tmp_path, *ONE, name="week 1")
    shutil.copy(course.path, course.source / "week 2.ipynb")
    catalogue = own_catalogue(course.source)
    assert [catalogue.place(name) for name in catalogue.names] == [("week 1", "week 1"), ("week 2", "week 2")]
    (tmp_path / "all").mkdir()
    shutil.copytree(course.source, tmp_path / "all" / "hw1")
    assert own_catalogue(tmp_path / "all").place("week 2") == ("hw1", "week 2")


def test_notebooks_of_one_name_in_two_assignments_are_told_apart(tmp_path):
    for name in ("hw1", "hw2"):
        (tmp_path / "source" / name).mkdir(parents=True)
        nbformat.write(new_notebook(cells=list(ONE)), tmp_path / "source" / name / "main.ipynb")
    catalogue = own_catalogue(tmp_path)
    assert catalogue.places == {"hw1.main": ("hw1", "main"), "hw2.main": ("hw2", "main")}
    assert catalogue.resolve(["hw2.main"]) == ["hw2.main"]


@pytest.mark.parametrize("suffix", ["ipynb", "py"])
def test_a_notebook_and_its_jupytext_script_are_the_same(tmp_path, suffix):
    notebook = source_of("distances")
    shutil.copytree(FOLDER / "distances", tmp_path / "c", ignore=shutil.ignore_patterns("distances.py"))
    jupytext.write(notebook, tmp_path / "c" / f"distances.{suffix}", fmt="py:percent" if suffix == "py" else "ipynb")
    made = own_catalogue(tmp_path / "c").load("distances")
    assert made.beside == ("data/cities.csv", "units.py")
    assert [e.points for e in made.spec.exercises] == [2, 3, 2]
    graded = {grade_id_of(cell): cell.source for cell in made.graded.cells}
    assert "BEGIN HIDDEN TESTS" in graded["km-hidden"]
    assert "raise NotImplementedError()" in graded["trip-solution"]
    assert not any("BEGIN" in cell.source for cell in made.learner.cells)


def test_of_a_notebook_and_its_script_side_by_side_the_notebook_is_read_and_it_is_said(tmp_path):
    course = Course(tmp_path, *ONE)
    jupytext.write(course.notebook, course.source / "hw1.py", fmt="py:percent")
    catalogue = own_catalogue(course.source)
    assert catalogue.names == ("hw1",)
    assert "hw1.py" in " ".join(catalogue.notes)
    assert catalogue.load("hw1").beside == ()


def test_umlauts_and_blanks_in_names_are_kept(tmp_path):
    course = Course(tmp_path / "Übung für alle", *ONE, name="Übung 1 – Größen")
    assert own_catalogue(course.source).load("Übung 1 – Größen").spec.points == 1


def test_names_that_only_look_the_same_are_refused(tmp_path):
    course = Course(tmp_path, *ONE, name=unicodedata.normalize("NFC", "Übung"))
    shutil.copy(course.path, course.source / f"{unicodedata.normalize('NFD', 'Übung')}.ipynb")
    refused(course.source, "cannot be told apart")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "nowhere", ["There is no source"]),
        (lambda folder: folder, ["No notebook with graded cells"]),
        (lambda f: touched(f / "notes.ipynb", shipped("infinite-loop")).parent, ["No notebook", "notes.ipynb"]),
        (lambda folder: touched(folder / "helper.py", "x = 1\n"), ["helper.py is no notebook"]),
        (lambda folder: touched(folder / "hw.txt", "x"), ["hw.txt is no notebook"]),
    ],
)  # fmt: skip
def test_a_folder_without_a_notebook_is_refused(tmp_path, make, words):
    refused(make(tmp_path), *words)


def touched(path, content):
    path.write_text(content)
    return path


# what is in them


@pytest.mark.parametrize("version", ["v0", "v1", "v2"])
def test_old_metadata_are_upgraded_as_nbgrader_does_and_the_file_stays_as_it_is(tmp_path, version):
    path = touched(tmp_path / "old.ipynb", shipped(f"test-{version}"))
    before = path.read_bytes()
    old, new = (
        own_catalogue(path).load("old"),
        own_catalogue(touched(tmp_path / "new.ipynb", shipped("test"))).load("new"),
    )
    assert old.checks == new.checks
    assert f"version {version[1]}" in " ".join(old.notes)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("too-new", ["version 10", "3 is known"]),
        ("test-v0-invalid", []),
        ("duplicate-grade-ids", ["2 cells have the id 'id1'"]),
        ("blank-grade-id", ["cell 1"]),
        ("blank-points", ["id1", "points"]),
        ("bad-markdown-cell-1", ["foo"]),
        ("bad-markdown-cell-2", ["no notebook with graded cells"]),
        ("cell-type-changed", ["no cell of it is worth points"]),
    ],
)
def test_metadata_that_nbgrader_does_not_take_are_refused(tmp_path, name, words):
    refused(touched(tmp_path / f"{name}.ipynb", shipped(name)), name, *words)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([solution("f", "### BEGIN SOLUTION\nf = 1"), check("t", "f")], ["ClearSolutions", "no end solution"]),
        ([free("### BEGIN SOLUTION\nx = 1\n### END SOLUTION"), check("t", "x")], ["ClearSolutions"]),
        ([check("t", "### BEGIN HIDDEN TESTS\n1")], ["ClearHiddenTests"]),
        ([free("### BEGIN HIDDEN TESTS\n1\n### END HIDDEN TESTS"), check("t", "1")], ["ClearHiddenTests"]),
        ([solution("f", "# YOUR CODE HERE\nraise NotImplementedError()"), check("t", "f")], ["no solution in it (f)"]),
        ([solution("f", "def f(x):\n    '''Add.'''\n    raise NotImplementedError()"), check("t", "f")], ["(f)"]),
        ([solution("f", ""), check("t", "f")], ["no solution in it"]),
        ([solution("f", "f = 1"), check("t", "### AUTOTEST f")], ["there is no autotests.yml"]),
    ],
)
def test_a_source_of_which_nbgrader_makes_no_release_is_refused(tmp_path, cells, words):
    refused(Course(tmp_path, *cells).source, "hw1.ipynb", *words)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": 3, "nbformat": 4, "x": "grade_id"}', '"grade_id": 1'])
def test_a_damaged_file_is_refused(tmp_path, content):
    refused(touched(tmp_path / "hw.ipynb", content))


def test_a_notebook_for_another_language_is_refused(tmp_path):
    course = Course(tmp_path, *ONE)
    course.notebook.metadata.kernelspec = {"name": "ir", "language": "R", "display_name": "R"}
    nbformat.write(course.notebook, course.path)
    refused(course.source, "language is R")


def test_a_release_is_taken_and_it_is_said_that_nothing_could_be_tried(tmp_path):
    course = Course(tmp_path, *ONE, written("why", "Because."))
    released = own_catalogue(course.source).load("hw1").learner
    path = tmp_path / "release" / "hw1" / "hw1.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(released, path)
    made = own_catalogue(tmp_path / "release" / "hw1").load("hw1")
    assert made.source is None
    assert "no reference solution" in " ".join(made.notes)
    assert made.spec == own_catalogue(course.source).load("hw1").spec
    assert [cell.source for cell in made.graded.cells] == [cell.source for cell in released.cells]
    in_root = own_catalogue(tmp_path)
    assert (in_root.names, "release" in " ".join(in_root.notes)) == (("hw1",), True)


def test_a_release_with_a_changed_test_is_refused(tmp_path):
    course = Course(tmp_path, *ONE)
    released = copy.deepcopy(own_catalogue(course.source).load("hw1").learner)
    released.cells[2].source = "assert True"
    nbformat.write(released, tmp_path / "handed in.ipynb")
    refused(tmp_path / "handed in.ipynb", "the locked cell f-test", "checksum")


# what is made of them


def test_exercises_are_solutions_with_the_checks_behind_them_under_the_heading_above(tmp_path):
    write_example(tmp_path)
    spec = own_catalogue(tmp_path).load("problem1").spec
    assert [(e.number, e.title, [c.grade_id for c in e.checks]) for e in spec.exercises] == [
        ("squares", "Part A (2 points)", ["correct_squares", "squares_invalid_input"]),
        ("sum_of_squares", "Part B (1 point)", ["correct_sum_of_squares", "sum_of_squares_uses_squares"]),
    ]
    manual = ["sum_of_squares_equation", "sum_of_squares_application", "cell-938593c4a215c6cc"]
    assert [(c.grade_id, c.points) for c in spec.manual] == list(zip(manual, (1, 2, 4), strict=True))


def test_a_check_without_a_solution_is_an_exercise_of_its_own(tmp_path):
    cells = [text("# All\n## Same"), check("a", "1"), text("## Same"), check("b", "1", 2)]
    spec = own_catalogue(Course(tmp_path, *cells).source).load("hw1").spec
    assert [(e.number, e.title, e.solution_id, e.points) for e in spec.exercises] == [
        ("a", "Same · a", "a", 1), ("b", "Same · b", "b", 2),
    ]  # fmt: skip
    assert spec.title == "All"


def test_a_notebook_without_any_heading_has_no_hints_and_no_traceback(tmp_path):
    made = own_catalogue(Course(tmp_path, *ONE[1:]).source).load("hw1")
    assert made.hints == {}
    assert [e.title for e in made.spec.exercises] == ["f"]


def test_the_courses_configuration_of_nbgrader_holds(tmp_path):
    course = Course(tmp_path, solution("f", "def f():\n    #<<\n    return 1\n    #>>"), check("t", "assert f() == 1"))
    nbformat.write(new_notebook(cells=[text("# Header of all")]), course.source / "top.ipynb")
    touched(course.source / "nbgrader_config.py", (
        "c = get_config()\nc.ClearSolutions.begin_solution_delimeter = '#<<'\n"
        "c.ClearSolutions.end_solution_delimeter = '#>>'\nc.ClearSolutions.code_stub = {'python': 'todo()'}\n"
        "c.IncludeHeaderFooter.header = 'top.ipynb'\nc.Autograde.exclude_overwriting = {'hw1': ['a.py']}\n"
    ))  # fmt: skip
    made = own_catalogue(course.source).load("hw1")
    assert [cell.source for cell in made.learner.cells] == [
        "# Header of all", "def f():\n    todo()", "assert f() == 1",
    ]  # fmt: skip
    assert "Autograde.exclude_overwriting" in " ".join(made.notes)
    touched(course.source / "nbgrader_config.py", "c = get_config(")
    refused(course.source, "nbgrader_config.py cannot be read")


def test_tests_are_made_from_the_solution_once(tmp_path, monkeypatch):
    folder = write_source(tmp_path, "strings")
    shutil.copy(SHIPPED[0] / "autotests.yml", tmp_path / "autotests.yml")
    made = own_catalogue(tmp_path, kept=tmp_path / "kept").load("strings")
    sources = {grade_id_of(cell): cell.source for cell in made.graded.cells}
    assert 'assert str(vowels("queue")) == "4"' in sources["vowels-auto"]
    assert "sha1" in sources["tables-hashed"]
    assert "AUTOTEST" not in "".join(sources.values())
    assert "round(share, 2)" in sources["share-hidden"]
    assert "round" not in next(c.source for c in made.learner.cells if grade_id_of(c) == "share-hidden")
    monkeypatch.setattr("nbgrader.preprocessors.instantiatetests.start_new_kernel", None)
    again = own_catalogue(tmp_path, kept=tmp_path / "kept").load("strings")
    assert [cell.source for cell in again.graded.cells] == [cell.source for cell in made.graded.cells]
    notebook = nbformat.read(folder / "strings.ipynb", as_version=4)
    notebook.cells[1].source = notebook.cells[1].source.replace("return sum", "return 1 + sum")
    nbformat.write(notebook, folder / "strings.ipynb")
    refused(tmp_path, "InstantiateTests")  # another solution needs a kernel again


# what lies beside them


def test_helper_files_are_all_that_is_no_notebook_and_nobodys_work(tmp_path):
    course = Course(tmp_path, *ONE)
    for name in (
        "tools.py", "data/a.csv", "data/deep/b.csv", ".git/config", "__pycache__/tools.pyc", "autotests.yml",
        "nbgrader_config.py", "last year/ann/hw1.ipynb", "last year/marks.csv", "class/ann/x.csv", "build/y.csv",
    ):  # fmt: skip
        (course.source / name).parent.mkdir(parents=True, exist_ok=True)
        (course.source / name).write_text("")
    apart = (course.source / "class", course.source / "build" / "grades")
    made = own_catalogue(course.source, kept=tmp_path / "kept", apart=apart).load("hw1")
    assert made.beside == ("data/a.csv", "data/deep/b.csv", "tools.py")
    staged = tmp_path / "kept" / "files" / made.helpers
    assert sorted(p.relative_to(staged).as_posix() for p in staged.rglob("*") if p.is_file()) == list(made.beside)
    (course.source / "tools.py").write_text("new = 1")
    assert own_catalogue(course.source, kept=tmp_path / "kept", apart=apart).load("hw1").helpers != made.helpers


def test_a_folder_that_holds_far_more_than_a_course_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("autograder.authoring.own_course.helpers._MOST_FILES", 3)
    course = Course(tmp_path, *ONE)
    for number in range(4):
        (course.source / f"{number}.csv").touch()
    refused(course.source, "More than 3 files")


def test_the_courses_settings_stand_beside_it(tmp_path):
    course = Course(tmp_path, *ONE)
    assert own_settings(course.source) == own_settings(course.path)
    assert own_settings(course.source).helpers == ()
    path = touched(course.source / "autograder.toml", 'helpers = ["*.py"]\nunseen = "learner"\n')
    assert (own_settings(course.source).helpers, own_settings(course.source).unseen) == (("*.py",), "learner")
    for wrong in ("helper = []", "helpers = '*.py'", "helpers = [1]", "unseen = 'yes'", "unseen = ["):
        touched(path, wrong)
        with pytest.raises(SourceError, match=r"autograder\.toml"):
            own_settings(course.source)


# which of their checks cannot be judged from outside

ANSWER = (
    "import math\nimport random\nLIMIT = 15\nplain = 3\ndef f(x):\n    print(x)\n    return helper(x) > LIMIT\n"
    "def helper(x):\n    return abs(x)\nclass C:\n    pass"
)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("del helper\nf(1)", "deletes helper"),
        ("def helper(x):\n    return 0\nassert f(1)", "replaces helper"),
        ("helper = lambda x: 0", "replaces helper"),
        ("LIMIT = 20\nassert f(19) is False", "replaces LIMIT"),
        ("for LIMIT in (1, 2):\n    f(1)", "replaces LIMIT"),
        ("abs = lambda x: 99\nassert f(1)", "replaces abs"),
        ("import builtins\nbuiltins.print = None", "changes builtins.print"),
        ("math.pi = 3", "changes math.pi"),
        ("import os\nos.environ['A'] = 'b'", "changes os.environ"),
        ("setattr(math, 'pi', 3)", "changes math"),
        ("f.calls = 0", "changes f.calls"),
        ("import inspect\nassert 'for' not in inspect.getsource(f)", "inspect.getsource"),
        ("from inspect import getsource\nassert 'for' not in getsource(f)", "getsource"),
        ("assert f.__code__.co_argcount == 1", "__code__"),
        ("assert C.__mro__[1] is object", "__mro__"),
        ("assert 'tmp' not in globals()", "globals"),
        ("assert 'tmp' not in dir()", "dir"),
        ("from unittest import mock\nwith mock.patch('builtins.print'):\n    f(1)", "mock"),
        ("from unittest.mock import patch\nwith patch('__main__.helper'):\n    f(1)", "mock"),
        ("import io, contextlib\nwith contextlib.redirect_stdout(io.StringIO()) as out:\n    f(1)", "what is printed"),
        ("%%capture out\nf(1)", "magic"),
        ("%run other.ipynb", "magic"),
        ("!ls", "magic"),
        ("get_ipython().run_line_magic('who', '')", "get_ipython"),
        ("import __main__\nassert __main__.f", "__main__"),
        ("import matplotlib.pyplot as plt\nassert plt.gcf().axes == []", "current figure"),
        ("assert not issubclass(C, dict)", "bases of a class"),
        ("assert type(g()) is C", "compares a type with C"),
        ("assert C == type(g())", "compares a type with C"),
        ("import sys\nassert 'numpy' not in sys.modules", "sys.modules"),
        ("xs = [3, 1]\nf(xs)\nassert xs == [3, 1]", "changes xs"),
        ("import numpy as np\nxs = [3, 1]\nf(xs)\nnp.testing.assert_equal(xs, [3, 1])", "changes xs"),
        ("xs = [3, 1]\nkept = list(xs)\ny = f(xs)\nassert y\nassert kept == xs", "changes xs"),
    ],
)  # fmt: skip
def test_a_check_that_sees_nothing_from_outside_is_found_by_its_source(tmp_path, source, word):
    made = own_catalogue(Course(tmp_path, solution("f", ANSWER), check("t", source)).source).load("hw1")
    assert word in unseen_by_look(made.graded, made.source)["t"]


@pytest.mark.parametrize(
    "source",
    [
        "assert f(20) is True",
        "plain = 4\nassert plain == 4",  # nothing of the answer reads it
        "result = f(1)\ndel result",
        "x = [f(n) for n in range(3)]",
        "import inspect\nassert list(inspect.signature(f).parameters) == ['x']",
        "import math, random\nrandom.seed(1)\nassert math.isclose(1, 1)",
        "assert isinstance(f(1), bool) and type(f(1)) is bool",
        "%matplotlib inline\nimport matplotlib.pyplot as plt\nfig, ax = plt.subplots()",
        "items = {}\nitems['a'] = f(1)\nitems.update(b=2)",
        "try:\n    f('x')\nexcept TypeError as error:\n    assert 'bad' in str(error)",
        "class Case:\n    def run(self):\n        return f(1)\nassert Case().run() is False",
        "assert 100 % 7 == 2",
        "xs = [3, 1]\nys = f(xs)\nassert ys == len(xs)\nassert len(xs) == f(2)",
        "xs = [3, 1]\nassert f(xs)\nxs = [1]\nassert xs == [1]",
        "xs = [3]\nfor x in xs:\n    assert f(x) == x",
        "",
        "def broken(:",
    ],
)  # fmt: skip
def test_an_ordinary_check_is_not_suspected(tmp_path, source):
    made = own_catalogue(Course(tmp_path, solution("f", ANSWER), check("t", source)).source).load("hw1")
    assert unseen_by_look(made.graded, made.source) == {}


def test_the_example_course_has_one_such_check(tmp_path):
    write_example(tmp_path)
    made = own_catalogue(tmp_path).load("problem1")
    assert list(unseen_by_look(made.graded, made.source)) == ["sum_of_squares_uses_squares"]
    assert (GUIDE / "source" / "ps1" / "jupyter.png").is_file()
    assert locate(tmp_path).elsewhere == frozenset()
