"""What crosses from a learner's solution to the judge is read from the reference, and nothing else crosses."""

from __future__ import annotations

from pathlib import Path

import pytest
from nbformat.v4 import new_notebook

from autograder.authoring.assignments import course_catalogue
from autograder.runners.plan import Asked, asked_of, plan_of, solved
from tests.fixtures.own_course import check, free, solution

STUB = "# YOUR CODE HERE\nraise NotImplementedError()"


def asked(reference: str, test: str, *, before: str = "x = 1", stub: str = STUB) -> Asked:
    """Return what is asked of the solution cell between a free cell and a test."""
    cells = [free(before), solution("s", stub), check("t", test)]
    release, source = new_notebook(cells=cells), new_notebook(cells=[cells[0], solution("s", reference), cells[2]])
    for cell in release.cells:
        cell.id = cell.metadata.get("nbgrader", {}).get("grade_id", "free")
    return asked_of(release, source).get("s", Asked())


@pytest.mark.parametrize(
    ("reference", "test", "names"),
    [
        ("a = 1\nb = 2", "assert a == 1", ("a",)),
        ("a, (b, *c) = 1, (2, 3)", "assert b and c and a", ("a", "b", "c")),
        ("def f():\n    local = 1\n    return local", "local = 3\nassert f() == 1", ("f",)),
        ("if True:\n    a = 1\nelse:\n    b = 2", "assert a or b", ("a", "b")),
        ("rows.append(3)", "assert rows", ("rows",)),
        ("table['k'] = 1", "assert table", ("table",)),
        ("point.x = 1\ndel other.y", "assert point and other", ("other", "point")),
        ("for row in rows:\n    row['k'] = 1", "assert rows", ("rows",)),
        ("first = rows[0]\nlast = first\nlast.clear()", "assert rows", ("rows",)),
        ("n = len(rows)\nfor row in rows:\n    print(row)", "assert rows and n", ("n",)),
        ("def f(rows):\n    rows.append(1)", "rows = []\nassert f(rows) is None", ("f",)),
        ("print = 3\nlen(x)", "assert print and len('a')", ("print",)),  # the reference itself calls it so
        ("x.sort()\nnp.random.shuffle(x)", "import numpy as np\nassert np.all(x)", ("x",)),
        ("from math import *", "assert pi", ()),
    ],
)  # fmt: skip
def test_names_that_the_reference_binds_or_changes_and_others_read_are_asked_for(reference, test, names):
    assert asked(reference, test).names == (names or None)


@pytest.mark.parametrize(
    ("reference", "stub", "imports"),
    [
        ("import math as m\na = m.pi", STUB, "import math as m"),
        ("import os.path\na = 1", STUB, "import os.path"),
        ("a = 1", "import math as m\n# YOUR CODE HERE\nraise NotImplementedError()", "import math as m"),
        ("from math import pi as m, tau\na = 1", STUB, "from math import pi as m, tau"),
        ("import json\na = 1", STUB, ""),  # nobody else reads it
        ("def f():\n    import math as m\na = 1", STUB, ""),
    ],
)  # fmt: skip
def test_modules_are_imported_by_the_judge_itself_and_never_asked_for(reference, stub, imports):
    found = asked(reference, "assert a and m and os", stub=stub)
    assert (found.names, found.imports) == (("a",), imports)


def test_a_stub_that_says_it_all_asks_for_nothing_more():
    assert asked("def f():\n    return 1", "assert f()", stub="def f():\n    raise NotImplementedError()") == Asked()


def test_without_a_reference_a_name_counts_that_a_check_reads_and_nobody_binds():
    cells = [free("rows = [1]\nimport json as j"), solution("s", STUB), check("t", (
        "def twice(n):\n    return n * 2\nassert answer == rows and sorted(j.dumps(display)) == [twice(k) for k in ()]"
        "\ntry:\n    pass\nexcept KeyError as error:\n    print(error)"
    ))]  # fmt: skip
    release = new_notebook(cells=cells)
    found = asked_of(release, None)
    assert [one.names for one in found.values()] == [("answer",)]


def test_a_check_in_the_learners_process_brings_its_imports_along_and_leaves_them_to_the_judge():
    cells = [
        solution("s", "def f(): ..."), check("one", "import math\nassert f()"),
        check("two", "from json import dumps\ndel f"), check("three", "dumps(math.pi)"),
    ]  # fmt: skip
    release = new_notebook(cells=cells)
    plan = plan_of(solved(release, release), release, unseen={"two"})
    tests = [(cell.kind, cell.release, cell.learner) for cell in plan.cells][1:]
    assert tests == [
        ("test", "import math\nassert f()", ""),
        ("test", "from json import dumps\ndel f", "import math\nfrom json import dumps\ndel f"),
        ("free", "from json import dumps", ""),
        ("test", "dumps(math.pi)", ""),
    ]
    assert len({cell.id for cell in plan.cells}) == len(plan.cells)


@pytest.mark.nightly
def test_the_stubs_of_this_course_say_it_all():
    catalogue = course_catalogue(Path(__file__).parents[3])
    assignments = [catalogue.load(name) for name in catalogue.names]
    assert [asked_of(a.graded, a.source) for a in assignments] == [{}] * len(catalogue.names)
