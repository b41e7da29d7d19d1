from __future__ import annotations

import json

import pytest

from autograder.authoring import release
from autograder.authoring.format import UnknownNotebookError
from autograder.course.check import CheckError, check_notebook, find_notebook, keep_progress, show_checkup
from autograder.reports.terminal import console
from course_lib import progress


@pytest.fixture
def learner(tiny_course):
    """The learner's copy of the tiny notebook, and a way to write into one of its cells."""
    (built,) = release.build(tiny_course).built

    def write(**cells):
        notebook = json.loads(built.path.read_text())
        for cell in notebook["cells"]:
            if (new := cells.get(cell["id"].replace("-", "_"))) is not None:
                cell["source"] = new
        built.path.write_text(json.dumps(notebook))
        return built.path

    return write


def shown(checkup, capsys):
    show_checkup(checkup, console())
    return capsys.readouterr().out


def test_a_fresh_copy_says_where_to_start(learner, capsys):
    checkup = check_notebook(learner())

    assert checkup.points == 0
    assert checkup.max_points == 3
    assert checkup.first.startswith("Exercise 1.1: replace this line with your code")
    assert shown(checkup, capsys).count("not started") == 2


def test_the_first_failing_check_is_on_top_with_the_message_of_the_notebook(learner, capsys):
    checkup = check_notebook(
        learner(ex_1_1="def mean(v):\n    return sum(v) // len(v)", ex_1_2="def median(v):\n    return sorted(v)[1]")
    )

    text = shown(checkup, capsys)
    assert checkup.first == "Exercise 1.1: mean([1, 2]) is 1: floor division drops the half minute"
    assert text.index("First thing to fix") < text.index("1.2 The median")
    assert checkup.points == 2
    assert "2 of 3 points so far; hidden tests bring up to 4 more" in text


def test_a_solved_copy_has_nothing_to_fix_and_hidden_tests_are_not_needed(learner, capsys):
    checkup = check_notebook(
        learner(
            ex_1_1="import sys\nprint('careful', file=sys.stderr)\ndef mean(v):\n    return sum(v) / len(v)",
            ex_1_2="def median(v):\n    return sorted(v)[1]",
        )
    )

    assert checkup.first == ""
    assert checkup.points == checkup.max_points == 3
    assert "3 of 3 points so far" in shown(checkup, capsys)


def test_a_cell_that_stops_is_named_before_the_checks_that_follow_from_it(learner):
    checkup = check_notebook(learner(ex_1_1="def mean(v):\n    return (", ex_1_2="def median(v):\n    return v"))

    assert checkup.first.startswith("Exercise 1.1, your cell stopped with SyntaxError")


def test_changed_and_copied_checks_are_noted(learner):
    path = learner(check_1_1="pass")
    notebook = json.loads(path.read_text())
    copied = next(cell for cell in notebook["cells"] if cell["id"] == "check-1-2")
    notebook["cells"].append({**copied, "id": "copied"})
    path.write_text(json.dumps(notebook))

    checkup = check_notebook(path)

    assert [note.split(";")[0] for note in checkup.notes] == [
        "check-1-1 was changed here",
        "check-1-2 is there 2 times",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"{", "not JSON"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"[]", "cannot be read"),
        (
            b'{"cells": [{"cell_type": "markdown", "metadata": {}, "source": "# 1", "id": "a"}],'
            b' "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
            "holds no exercise",
        ),
    ],
)
def test_a_file_that_cannot_be_checked_is_a_clear_error(tmp_path, content, message):
    path = tmp_path / "mine.ipynb"
    path.write_bytes(content)

    with pytest.raises(CheckError, match=message) as caught:
        check_notebook(path)
    assert caught.value.next_step


def test_notebooks_are_found_by_number_name_or_path(learner, tiny_course, tmp_path):
    path = learner()
    (tiny_course / "course.toml").write_text(
        '[[notebook]]\nname = "01_tiny"\ntitle = "Tiny"\n[[notebook]]\nname = "05_far"\ntitle = "Far"\n'
    )

    assert find_notebook("1", tiny_course) == find_notebook("01_tiny", tiny_course) == path
    assert find_notebook(str(path), tmp_path) == path
    for missing in ("5", "absent.ipynb"):
        with pytest.raises(CheckError, match="There is no file"):
            find_notebook(missing, tiny_course)
    for unknown in ("banana", "6"):
        with pytest.raises(UnknownNotebookError):
            find_notebook(unknown, tiny_course)


def test_what_a_check_in_the_terminal_said_is_on_the_welcome_page_too(learner, monkeypatch):
    monkeypatch.setenv(
        progress.VARIABLE, "/nowhere/at/all"
    )  # as in JupyterLab's terminal: the kernel must not write too
    path = learner(ex_1_1="def mean(v):\n    return sum(v) / len(v)")
    keep_progress(check_notebook(path), path.parent)

    kept = progress.read(path.parent / progress.FILE)
    assert {number: one.status for number, one in kept.items()} == {"1.1": "passed", "1.2": "open"}
    assert kept["1.1"].points > 0
