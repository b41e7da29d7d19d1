from __future__ import annotations

import pytest

from autograder.authoring.assignments import Assignment
from autograder.authoring.format import (
    UnknownNotebookError,
    course_root,
    exercise_of,
    kind_of,
    resolve_names,
)
from autograder.authoring.sources import SourceError, read_source


def test_a_good_source_gives_exercises_with_titles_kinds_and_points(tiny_course):
    source = read_source(tiny_course / "solutions" / "01_tiny.py")

    assert source.name == "01_tiny"
    assert source.spec.title == "A tiny notebook"
    assert [(e.number, e.title, e.solution_id, e.points) for e in source.spec.exercises] == [
        ("1.1", "The mean", "ex-1-1", 3),
        ("1.2", "The median", "ex-1-2", 4),
    ]
    assert [(c.grade_id, c.kind, c.points) for c in source.spec.exercises[0].checks] == [
        ("check-1-1", "visible", 1),
        ("hidden-1-1", "hidden", 2),
    ]
    assert [(c.exercise, c.kind, c.points) for c in source.spec.manual] == [("interview", "manual", 4)]
    assert source.spec.points == 7


@pytest.mark.parametrize(
    ("old", "new", "where", "problem"),
    [
        ("# # 1 · A tiny", "# # 2 · A tiny", "first cell", "numbered title"),
        ("After this notebook you can", "You learn to", "head", "list of abilities is missing"),
        ("```mermaid", "```text", "head", "lifecycle diagram is missing"),
        ("Takes 5 minutes.", "", "head", "time it takes is missing"),
        ("## 1.1 Averages", "## 1.2 Averages", "sections", "numbered sections are 1.2"),
        ("### Exercise 1.2 ·", "### Exercise 1.3 ·", "exercises", "exercise headings are 1.1, 1.3"),
        ("### Exercise 1.2 · The median (4 points)", "### Exercise 1.2 The median", "### Exercise", "not readable"),
        ("## State of the desk", "## Summary", "end", "closing headings"),
        ("(3 points)", "(5 points)", "exercise 1.1", "the heading says 5, its checks give 3"),
        ("<details><summary>Hint 2</summary>", "", "exercise 1.1", "has 1 folded hints"),
        ('"hidden-1-1"', '"hidden-1-2"', "hidden-1-2", "is used 2 times"),
        ('"hidden-1-1"', '"tests-1-1"', "tests-1-1", "follows no convention"),
        ('"hidden-1-1"', '"hidden-2-1"', "hidden-2-1", "another notebook's number"),
        ('"locked": true, "points": 1,', '"locked": false, "points": 1,', "check-1-1", "wrong flags"),
        ('"points": 1,', '"points": 0,', "check-1-1", "points 0"),
        ("    ### END SOLUTION\n", "", "ex-1-1", "0 solution regions"),
        ('    """Return the mean of ``values`` (minutes)."""\n', "", "ex-1-1", "no function or class with a docstring"),
        ("def mean(values: list[float]) -> float:", "if True", "ex-1-1", "no valid Python"),
        ("(2 points) run when", "(3 points) run when", "hidden-1-1", "not the agreed comment line"),
        ("### BEGIN HIDDEN TESTS\nassert", "assert", "hidden-1-1", "no hidden region"),
        ("QUICK = False", "### BEGIN SOLUTION\nQUICK = False", "### BEGIN", "in another kind of cell"),
        ("QUICK = False", "QUICK = False\n" * 31, "QUICK", "31 lines, 30 at most"),
        ('"interview-1"', '"check-1-2-b"', "check-1-2-b", "it is a markdown cell"),
        ("## Interview question", "## Interview", "interview-1", "before '## Interview question'"),
        ("# | 1.5 |", "# | 1 |", "interview-1", "worth 4 points, its rubric gives 3.5"),
        ("# | Points | For |", "# | Marks | For |", "interview-1", "worth 4 points, its rubric gives 0"),
    ],
)
def test_each_breach_is_reported_with_its_place_and_a_fix(change, old, new, where, problem):
    path = change(old, new, count=1)

    with pytest.raises(SourceError) as caught:
        read_source(path)

    found = [v for v in caught.value.violations if where in v.cell and problem in v.problem]
    assert found, str(caught.value)
    assert found[0].file == "01_tiny.py"
    assert found[0].fix


def test_all_breaches_are_reported_at_once_with_the_line_of_their_cell(change):
    change("(3 points)", "(5 points)")
    path = change('"points": 1,', '"points": -1,')

    with pytest.raises(SourceError) as caught:
        read_source(path)

    message = str(caught.value)
    line = 1 + path.read_text().splitlines().index(next(t for t in path.read_text().splitlines() if "check-1-1" in t))
    assert f"line {line} (check-1-1)" in message
    assert "the heading says 5" in message
    assert message.count("Fix:") == len(caught.value.violations) >= 2


def test_an_exercise_without_an_answers_file_is_a_breach(tiny_course):
    (tiny_course / "solutions" / "answers" / "01_tiny" / "ex_1_2.py").unlink()

    with pytest.raises(SourceError, match=r"answers/01_tiny/ex_1_2.py is missing"):
        read_source(tiny_course / "solutions" / "01_tiny.py")


def test_an_exercise_without_a_visible_check_is_a_breach(change):
    path = change('"check-1-1"', '"hidden-1-1-b"')

    with pytest.raises(SourceError, match="no visible check"):
        read_source(path)


def test_graded_cells_must_stand_below_their_own_heading(change):
    path = change("### Exercise 1.2 · The median (4 points)", "Now the median.")

    with pytest.raises(SourceError, match="not below the heading of its exercise"):
        read_source(path)


def test_a_source_without_an_exercise_is_a_breach(tiny_course):
    path = tiny_course / "solutions" / "01_tiny.py"
    text = path.read_text()
    for title in ("1.1 · The mean (3 points)", "1.2 · The median (4 points)"):
        text = text.replace(f"### Exercise {title}", title)
    path.write_text(text)

    with pytest.raises(SourceError) as caught:
        read_source(path)

    problems = [(violation.cell.partition(" (")[2], violation.problem) for violation in caught.value.violations]
    assert ("", "there is none") in problems
    assert ("check-1-2)", "it is not below the heading of its exercise") in problems


def test_a_notebook_without_an_exercise_has_no_hints(tiny_course):
    source = read_source(tiny_course / "solutions" / "01_tiny.py")
    assert set(Assignment.of(source).hints) == {"1.1", "1.2"}
    for cell in source.notebook.cells:
        cell.source = cell.source.replace("### Exercise", "Exercise")
    assert Assignment.of(source).hints == {}


def test_a_missing_file_and_a_broken_header_are_source_errors(tiny_course, change):
    with pytest.raises(SourceError, match="no such file"):
        read_source(tiny_course / "solutions" / "02_absent.py")

    with pytest.raises(SourceError, match="cannot be read"):
        read_source(change("#     display_name: Python 3 (ipykernel)\n", ""))


def test_notebooks_are_named_by_number_name_or_file():
    known = ["01_overview", "02_tracking", "05_docker", "10_stores"]
    assert resolve_names(["2", "01"], known) == ["01_overview", "02_tracking"]
    assert resolve_names(["notebooks/05_docker.ipynb", "5", "10"], known) == ["05_docker", "10_stores"]
    with pytest.raises(UnknownNotebookError, match="no notebook called '17'"):
        resolve_names(["17"], known)
    with pytest.raises(UnknownNotebookError, match="a course with notebooks"):
        resolve_names(["1"], [])


def test_grade_ids_tell_exercise_and_kind():
    assert [exercise_of(i) for i in ("ex-1-2", "check-1-2", "hidden-12-3-b", "interview-1", "foo")] == [
        "1.2",
        "1.2",
        "12.3",
        "interview",
        "",
    ]
    assert [kind_of(i) for i in ("ex-1-2", "check-1-2", "hidden-1-2", "interview-1", "foo")] == [
        None,
        "visible",
        "hidden",
        "manual",
        None,
    ]


def test_the_course_is_found_from_any_folder_in_it(tiny_course, tmp_path):
    assert course_root(tiny_course / "solutions" / "answers") == tiny_course
    assert (course_root(tmp_path) / "autograder").is_dir()
