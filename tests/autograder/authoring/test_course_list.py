"""The list of notebooks: what is read from it, what is refused, and that the committed course keeps to it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autograder.authoring.course_list import CourseListError, Listed, parse_list, read_list, unlisted
from autograder.authoring.format import course_root, source_path, written

ROOT = Path(__file__).parents[3]
ONE = '[[notebook]]\nname = "01_tiny"\ntitle = "A tiny notebook"\n'
FAR = '[[notebook]]\nname = "10_far"\ntitle = "Far \\"away\\""\nbudget = 0.5\n'


def test_the_list_is_read_in_its_order_and_a_budget_is_a_minute_unless_it_says_otherwise():
    assert parse_list(f"# a remark\n{ONE}\n{FAR}") == (
        Listed("01_tiny", "A tiny notebook", 60.0),
        Listed("10_far", 'Far "away"', 0.5),
    )
    assert parse_list("") == parse_list("# nothing yet\n") == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[notebook]\n", "line 1"),
        ('notebook = "01_tiny"\n', "tuple"),
        ('[notebook]\nname = "01_tiny"\n', "tuple"),
        (ONE + "[other]\nx = 1\n", "other"),
        (ONE + '[[note]]\nname = "02_x"\ntitle = "X"\n', "note, which means nothing"),
        (ONE.replace("title", "titel"), "titel"),
        ('[[notebook]]\nname = "01_tiny"\n', "notebook.0.title"),
        (ONE + "budget = true_\n", "line 4"),
        (ONE + 'budget = "long"\n', "notebook.0.budget"),
        (ONE + "budget = 0\n", "the budget 0"),
        (ONE + "budget = nan\n", "the budget nan"),
        (ONE + "budget = inf\n", "the budget inf"),
        (ONE.replace("A tiny notebook", "  "), "01_tiny has no title"),
        (ONE.replace("01_tiny", "1_tiny"), "'1_tiny' is no name"),
        (ONE.replace("01_tiny", "01_../tiny"), "is no name"),
        (ONE.replace("01_tiny", "٠١_tiny"), "is no name"),
        (ONE.replace("01_tiny", "01__tiny"), "is no name"),
        (ONE + ONE, "01_tiny comes after 01_tiny"),
        (ONE + ONE.replace("01_tiny", "01_other"), "01_other comes after 01_tiny"),
        (FAR + ONE, "01_tiny comes after 10_far"),
    ],
)
def test_what_is_no_list_is_refused_with_what_is_wrong(text, problem):
    with pytest.raises(CourseListError) as caught:
        parse_list(text)
    assert problem in caught.value.happened
    assert caught.value.next_step


def test_without_a_list_the_sources_are_the_list(tiny_course):
    (tiny_course / "solutions" / "12_far_away.py").touch()
    (tiny_course / "solutions" / "notes.py").touch()

    assert read_list(tiny_course) == (Listed("01_tiny", "Tiny"), Listed("12_far_away", "Far away"))
    assert unlisted(tiny_course) == []
    assert read_list(tiny_course / "nowhere") == ()


def test_a_source_that_is_not_listed_is_none_of_the_course_and_a_listed_one_may_have_none_yet(tiny_course):
    (tiny_course / "course.toml").write_text(ONE + FAR)
    (tiny_course / "solutions" / "02_secret.py").touch()

    assert written(tiny_course) == ["01_tiny"]
    assert unlisted(tiny_course) == ["02_secret"]


def test_a_list_that_cannot_be_opened_is_no_empty_list(tiny_course):
    (tiny_course / "course.toml").mkdir()
    with pytest.raises(CourseListError, match="cannot be read"):
        read_list(tiny_course)
    (tiny_course / "course.toml").rmdir()
    (tiny_course / "course.toml").write_bytes(b"\xff")
    with pytest.raises(CourseListError, match="cannot be read"):
        read_list(tiny_course)


def test_a_bundle_is_a_course_by_its_list(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    assert course_root(tmp_path / "notebooks") == ROOT  # the folder of the package: nothing here says otherwise
    (tmp_path / "course.toml").write_text(ONE)
    assert course_root(tmp_path / "notebooks") == tmp_path


def test_the_committed_course_has_nine_notebooks_each_with_a_source_and_a_notebook():
    found = read_list(ROOT)
    assert len(found) == 9
    assert written(ROOT) == [one.name for one in found]
    assert unlisted(ROOT) == []
    assert sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")) == [one.name for one in found]


def test_the_readme_has_a_row_for_each_notebook_with_the_minutes_that_it_says():
    rows = re.findall(r"^\| (\d+) \| .* \| (\d+) min \|$", (ROOT / "README.md").read_text(), re.M)
    heads = [source_path(ROOT, one.name).read_text() for one in read_list(ROOT)]
    minutes = [re.search(r"(\d+) min", head)[1] for head in heads]
    assert rows == [(str(number), said) for number, said in enumerate(minutes, 1)]
