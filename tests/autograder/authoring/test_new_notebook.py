"""A notebook that was just started: it can be built, solved and graded as it is, and is handed out once written."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from autograder import cli
from autograder.authoring import release
from autograder.authoring.assignments import course_catalogue
from autograder.authoring.course_list import Listed, read_list
from autograder.authoring.new_notebook import NewNotebookError, start_notebook
from autograder.authoring.sources import SourceError, read_source
from autograder.course.answers import read_answers
from autograder.grading.classroom import grade_class
from autograder.grading.options import GradeOptions
from autograder.jupyter_ext.overview import notebook_states
from autograder.runners.sandbox import solved
from course_lib.errors import CourseError, UnwritableError
from tests.fixtures.permissions import without_override
from tests.fixtures.tiny_class import InProcess, inline

ROOT = Path(__file__).parents[3]
NAME, TITLE = "10_feature_stores", "Feature stores"
LIST = """# the list
[[notebook]]
name = "01_tiny"
title = "A tiny notebook"

[[notebook]]
name = "09_far"
title = "Far"
"""


@pytest.fixture
def course(tiny_course):
    """A course of nine notebooks, of which one is written."""
    (tiny_course / "course.toml").write_text(LIST)
    return tiny_course


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else b"" for path in root.rglob("*")}


def finish(root: Path, name: str = NAME) -> None:
    """Write what is still to be written."""
    path = root / "solutions" / f"{name}.py"
    path.write_text(re.sub(r"TODO\b:?", "Written:", path.read_text()))


def test_it_has_a_source_answers_and_the_last_place_on_the_list(course):
    before = everything(course)
    made = start_notebook(course, NAME, f"  {TITLE} ")

    assert {str(one.path.relative_to(course)) for one in made} == {
        f"solutions/{NAME}.py",
        f"solutions/answers/{NAME}/ex_10_1.py",
        "course.toml",
    }
    assert (course / "course.toml").read_text().startswith(LIST)
    assert read_list(course)[-1] == Listed(NAME, TITLE, 60.0)
    after = everything(course)
    assert {name for name in after if after[name] != before.get(name)} == {
        "course.toml", f"solutions/{NAME}.py", f"solutions/answers/{NAME}", f"solutions/answers/{NAME}/ex_10_1.py",
    }  # fmt: skip


@pytest.mark.parametrize("number", [1, 2, 99])
def test_what_it_begins_with_keeps_every_rule_under_any_number(course, number):
    name = f"{number:02}_x"
    before = f'[[notebook]]\nname = "{number - 1:02}_before"\ntitle = "B"\n' if number > 1 else ""
    (course / "course.toml").write_text(before)
    start_notebook(course, name, 'A "title" with $, ü and {braces}')

    source = read_source(course / "solutions" / f"{name}.py")
    assert source.spec.title == 'A "title" with $, ü and {braces}'
    assert [(e.number, e.points) for e in source.spec.exercises] == [(f"{number}.1", 4)]
    assert "TODO" in source.path.read_text().splitlines()[int(source.unwritten[0].cell.split()[1]) - 1]
    answers = read_answers(course / "solutions" / "answers" / name / f"ex_{number}_1.py", f"{number}.1")
    assert [answer.kind for answer in answers].count("right") >= 2
    if number < 99:
        start_notebook(course, f"{number + 1:02}_y", "The next")
        assert [one.name for one in read_list(course)][-2:] == [name, f"{number + 1:02}_y"]


@pytest.mark.parametrize(
    ("name", "title", "happened", "next_step"),
    [
        ("11_stores", TITLE, "would not follow on 09_far", "10_stores"),
        ("09_far", TITLE, "on the list already", "solutions/09_far.py"),
        ("09_other", TITLE, "Number 09 is taken by 09_far", "10_other"),
        ("01_other", TITLE, "Number 01 is taken by 01_tiny", "10_other"),
        ("Feature Stores", TITLE, "is no name", "10_feature_stores"),
        ("10", TITLE, "is no name", "10_topic"),
        ("10_", TITLE, "is no name", "10_topic"),
        ("10_Feature-Stores", TITLE, "is no name", "10_feature_stores"),
        ("010_stores", TITLE, "is no name", "10_stores"),
        ("../10_stores", TITLE, "is no name", "10_10_stores"),
        ("10_stores.py", TITLE, "is no name", "10_stores_py"),
        ("10_stores\n", TITLE, "is no name", "10_stores"),
        ("", TITLE, "is no name", "10_topic"),
        (NAME, "", "has no title", '--title "Feature stores"'),
        (NAME, "  \t", "has no title", '--title "Feature stores"'),
        (NAME, "two\nlines", "is no title", "--title"),
        (NAME, "a bell \a", "is no title", "--title"),
        (NAME, "right to \u202eleft", "is no title", "--title"),
        (NAME, "half \ud800", "is no title", "--title"),
        (NAME, "x" * 81, "is no title", "--title"),
    ],
)
def test_a_bad_name_or_title_is_refused_with_a_better_one_and_nothing_is_written(
    course, name, title, happened, next_step
):
    before = everything(course)
    with pytest.raises(NewNotebookError) as caught:
        start_notebook(course, name, title)
    assert happened in caught.value.happened
    assert next_step in caught.value.next_step
    assert everything(course) == before


def test_a_hundredth_notebook_has_no_name(course):
    (course / "course.toml").write_text('[[notebook]]\nname = "99_last"\ntitle = "Last"\n')
    with pytest.raises(NewNotebookError, match="99 notebooks"):
        start_notebook(course, "00_zero", "Zero")


@pytest.mark.parametrize(
    "there", [f"solutions/{NAME}.py", f"solutions/answers/{NAME}/mine.py", f"notebooks/{NAME}.ipynb"]
)
def test_what_somebody_has_begun_is_left_alone(course, there):
    (course / there).parent.mkdir(parents=True, exist_ok=True)
    (course / there).write_text("mine")
    before = everything(course)
    with pytest.raises(NewNotebookError, match="is there already"):
        start_notebook(course, NAME, TITLE)
    assert everything(course) == before


@pytest.mark.parametrize(
    ("damage", "happened"),
    [
        (lambda root: (root / "course.toml").unlink(), "no course that a notebook can be added to"),
        (lambda root: shutil.rmtree(root / "solutions"), "there is no folder solutions/"),
        (lambda root: (root / "course.toml").write_text("notebook = ["), "cannot be read"),
        (lambda root: (root / "course.toml").write_bytes(b"\xff"), "cannot be read"),
        (
            lambda root: (root / "course.toml").write_text('notebook = [{ name = "09_far", title = "Far" }]\n'),
            "cannot be added at the end of course.toml",
        ),
        (lambda root: shutil.rmtree(root / "solutions/answers") or (root / "solutions/answers").touch(), "be written"),
        (lambda root: (root / ".new-course.toml").mkdir(), "cannot be written"),
    ],
)
def test_where_nothing_can_be_added_nothing_is_left_behind(course, damage, happened):
    damage(course)
    before = everything(course)
    with pytest.raises(CourseError) as caught:
        start_notebook(course, NAME, TITLE)
    assert happened in caught.value.happened
    assert caught.value.next_step
    assert everything(course) == before


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied", "course.toml"), KeyboardInterrupt()])
def test_a_failure_between_two_files_takes_all_back(course, monkeypatch, count, error):
    before, replace, calls = everything(course), Path.replace, []

    def fails(path, target):
        if len(calls) == count:
            raise error
        calls.append(target)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises((UnwritableError, KeyboardInterrupt)) as caught:
        start_notebook(course, NAME, TITLE)
    assert everything(course) == before
    assert isinstance(error, KeyboardInterrupt) or "course.toml cannot be written" in caught.value.happened


def graded(root: Path, folder: Path) -> dict[str, tuple[float, float]]:
    """Grade somebody who handed in the reference, and somebody who did nothing; return points and their maximum."""
    import nbformat

    assignment = course_catalogue(root).load(NAME)
    for student, notebook in {"ann": solved(assignment.learner, assignment.source), "ben": assignment.learner}.items():
        (folder / "class" / student).mkdir(parents=True)
        nbformat.write(notebook, folder / "class" / student / f"{NAME}.ipynb")
    report = grade_class(
        folder / "class", folder / "out", catalogue=course_catalogue(root), make_executor=InProcess,
        executor_name="in-process", options=GradeOptions(), runner=inline,
    )  # fmt: skip
    return {row.result.student: (row.result.score, row.result.max_score) for row in report.rows}


def test_a_draft_is_built_and_graded_and_not_handed_out_and_when_it_is_written_it_is(course, tmp_path):
    start_notebook(course, NAME, TITLE)
    draft = next(built for built in release.build(course).built if built.name == NAME)
    assert [line.cell for line in draft.unwritten] == [
        f"line {number}"
        for number, line in enumerate((course / "solutions" / f"{NAME}.py").read_text().splitlines(), 1)
        if "TODO" in line
    ]
    assert graded(course, tmp_path) == {"ann": (4, 4), "ben": (0, 4)}
    assert [(d.name, d.summary.partition("\n")[0]) for d in release.verify(course) if d.name == NAME] == [
        (NAME, "still to be written:")
    ]

    finish(course)
    release.build(course)
    assert [difference.name for difference in release.verify(course)] == ["09_far"]  # it has no source yet
    states = notebook_states(course / "notebooks", {})
    assert [(state.number, state.title, bool(state.path)) for state in states] == [
        (1, "A tiny notebook", True), (9, "Far", False), (10, TITLE, True),
    ]  # fmt: skip


def test_its_title_stands_in_two_places_that_are_compared(course):
    start_notebook(course, NAME, TITLE)
    finish(course)
    release.build(course)
    path = course / "course.toml"
    path.write_text(path.read_text().replace(TITLE, "Features"))

    (found,) = release.verify(course, [NAME])
    assert found.summary == "its title is 'Feature stores', in course.toml 'Features'"


def test_an_interview_answer_that_nobody_wrote_is_still_to_be_written(course):
    start_notebook(course, NAME, TITLE)
    finish(course)
    path = course / "solutions" / f"{NAME}.py"
    path.write_text(
        path.read_text().replace("# Written: an answer that earns all four points.", f"# {release.TEXT_STUB}")
    )

    assert [line.problem for line in read_source(path).unwritten] == [release.TEXT_STUB]


SECTION = re.search(r"^## A tenth notebook\n(.*?)^## ", (ROOT / "CONTRIBUTING.md").read_text(), re.M | re.S)[1]
FIRST = re.search(r"```sh\n(.*?)```", SECTION, re.S)[1].splitlines()


def test_the_first_commands_of_contributing_do_what_they_say(course, monkeypatch, capsys):
    said = {}
    for line in FIRST:
        python, module, package, command, *words = shlex.split(line, comments=True)
        assert (python, module, package) == (".venv/bin/python", "-m", "autograder")
        monkeypatch.setattr("sys.argv", ["autograder", command, *words, "--root", str(course)])
        with pytest.raises(SystemExit) as ended:
            cli.run()
        said[command] = ended.value.code or 0, capsys.readouterr().out

    assert {command: code for command, (code, _) in said.items()} == {"new": 0, "build": 0, "check": 1, "answers": 0}
    assert "9 lines to write" in said["new"][1]
    assert said["build"][1].count("to be written: line") == 9
    assert "Exercise 10.1: replace this line" in said["check"][1]
    assert "6 of 6 answers earned what they should" in said["answers"][1]


def test_a_class_is_graded_without_an_unfinished_notebook_and_is_told_how(course, tmp_path):
    import nbformat

    start_notebook(course, NAME, TITLE)
    copies = {name: course_catalogue(course).load(name).learner for name in ("01_tiny", NAME)}
    for name, copied in copies.items():
        (tmp_path / "class" / "ann").mkdir(parents=True, exist_ok=True)
        nbformat.write(copied, tmp_path / "class" / "ann" / f"{name}.ipynb")
    path = course / "solutions" / f"{NAME}.py"
    path.write_text(path.read_text().replace("### END SOLUTION", ""))

    def grade(*only: str) -> list[str]:
        report = grade_class(
            tmp_path / "class", tmp_path / "out", catalogue=course_catalogue(course), make_executor=InProcess,
            executor_name="in-process", options=GradeOptions(only=only), runner=inline,
        )  # fmt: skip
        return [row.result.notebook for row in report.rows]

    with pytest.raises(SourceError, match="0 solution regions") as caught:
        grade()
    assert "--only 01" in caught.value.next_step
    assert grade("01_tiny") == ["01_tiny"]


@pytest.mark.parametrize("folder", ["solutions", "solutions/answers", "."])
def test_a_folder_that_may_only_be_read_is_named_and_nothing_is_written(course, folder):
    before = everything(course)
    (course / folder).chmod(0o555)
    with without_override(), pytest.raises(UnwritableError) as caught:
        start_notebook(course, NAME, TITLE)
    (course / folder).chmod(0o755)
    assert "cannot be written: Permission denied" in caught.value.happened
    assert str(course / folder) in caught.value.happened
    assert everything(course) == before
