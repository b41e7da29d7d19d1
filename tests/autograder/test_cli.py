from __future__ import annotations

import subprocess
import sys

import pytest

from autograder import cli


@pytest.fixture
def command(monkeypatch, tiny_course, capsys):
    """Run a command on the tiny course; give its exit code and what it printed."""

    def call(*words, root=tiny_course):
        monkeypatch.setattr(sys, "argv", ["autograder", *words, *(["--root", str(root)] if root else [])])
        with pytest.raises(SystemExit) as ended:
            cli.run()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out + captured.err

    return call


def test_build_then_verify_agree_and_a_change_is_shown(command, change):
    assert command("build", "--verify")[0] == 1
    assert "01_tiny written" in command("build")[1]
    assert "01_tiny unchanged" in command("build")[1]
    assert command("build", "--verify") == (0, "✓ 1 notebooks are what their sources give\n")

    change("should be 1.5", "is 1.5")
    code, text = command("build", "--verify")
    assert code == 1
    assert "cell check-1-1 differs" in text
    assert "python -m autograder build" in text


def test_a_bad_source_is_a_message_and_not_a_traceback(command, change):
    change('"points": 1,', '"points": 0,')

    code, text = command("build")

    assert code == cli.UNUSABLE
    assert "check-1-1" in text
    assert "Fix: give it a positive number of points" in text
    assert "Traceback" not in text


@pytest.fixture
def two(tiny_course):
    """The tiny course with a second source that breaks a rule, and a third that is on no list."""
    (tiny_course / "course.toml").write_text(
        '[[notebook]]\nname = "01_tiny"\ntitle = "A tiny notebook"\n[[notebook]]\nname = "02_bad"\ntitle = "Bad"\n'
    )
    for name in ("02_bad", "03_stray"):
        (tiny_course / "solutions" / f"{name}.py").write_text((tiny_course / "solutions" / "01_tiny.py").read_text())
    return tiny_course


def test_an_unfinished_notebook_is_named_and_the_exit_code_says_so(command, two):
    code, text = command("build")
    assert code == 1
    assert "✓ 01_tiny written" in text
    assert "✗ 02_bad was not built" in text
    assert "    02_bad.py, first cell: the notebook does not start with its numbered title" in text
    assert "        Fix: start it with '# 2 · Title'" in text
    assert "✗ 03_stray was not built" in text
    assert "course.toml does not list it" in text
    assert "Traceback" not in text

    code, text = command("build", "--verify")
    assert (code, "✗ 02_bad" in text, "✗ 01_tiny" in text) == (1, True, False)
    assert command("build", "--only", "01")[0] == command("build", "--verify", "--only", "01")[0] == 0
    assert command("build", "--only", "02")[0] == cli.UNUSABLE
    assert command("check", "01")[0] == 1  # nothing is solved, which is said of 01 alone


def test_answers_of_the_finished_are_tried_beside_an_unfinished_one(command, two):
    code, text = command("answers")
    assert code == 1
    assert "10 of 10 answers earned what they should" in text
    assert "✗ 02_bad was not tried" in text
    assert "✗ 03_stray was not tried" in text


def test_a_file_of_answers_that_is_not_as_it_should_be_stops_no_other(command, tiny_course):
    (tiny_course / "course.toml").write_text('[[notebook]]\nname = "01_tiny"\ntitle = "A tiny notebook"\n')
    command("new", "02_next", "--title", "Next")
    (tiny_course / "solutions" / "answers" / "01_tiny" / "ex_1_1.py").write_text("# %% nothing\npass\n")
    code, text = command("answers")
    assert code == 1
    assert "6 of 6 answers earned what they should" in text
    assert "✗ 01_tiny was not tried" in text
    assert "it has 0 wrong answers" in text
    assert command("answers", "--only", "01")[0] == cli.UNUSABLE


def test_a_bundle_without_an_unfinished_notebook_is_made_and_says_so(command, two, monkeypatch, tmp_path):
    from autograder.authoring import bundle

    monkeypatch.setattr(bundle, "_COPIED", ())
    monkeypatch.setattr(bundle, "_PACKAGES", ())
    (two / "docs").mkdir()
    (two / "docs" / "learner.md").touch()
    (two / "Makefile").touch()
    code, text = command("bundle", "--out", str(tmp_path / "it"))
    assert code == 1
    assert "✓ 1 notebooks" in text
    assert "✗ 02_bad is not in it" in text
    assert sorted(path.name for path in (tmp_path / "it" / "notebooks").iterdir()) == ["01_tiny.ipynb"]
    assert command("bundle", "--only", "01", "--out", str(tmp_path / "one"))[0] == 0


def test_a_new_notebook_is_started_once(command, tiny_course):
    (tiny_course / "course.toml").write_text('[[notebook]]\nname = "01_tiny"\ntitle = "A tiny notebook"\n')
    code, text = command("new", "02_next", "--title", "Next")
    assert code == 0
    for said in ("solutions/02_next.py", "answers/02_next/ex_2_1.py", "course.toml", "build --only 02", "check 02"):
        assert said in text
    code, text = command("new", "02_next", "--title", "Next")
    assert code == cli.UNUSABLE
    assert "02_next is on the list already" in text
    assert "Next: write on in solutions/02_next.py" in text


def test_only_takes_known_notebooks(command):
    assert command("build", "--only", "1")[0] == 0
    code, text = command("build", "--only", "banana")
    assert code == cli.UNUSABLE
    assert "no notebook called 'banana'" in text


def test_check_fails_while_something_is_left_to_fix(command):
    command("build")

    code, text = command("check", "01")

    assert code == 1
    assert "First thing to fix" in text


def test_check_of_what_is_no_notebook_has_an_exit_code_of_its_own(command, tmp_path):
    bad = tmp_path / "bad.ipynb"
    bad.write_text("{")

    assert command("check", str(bad))[0] == cli.UNUSABLE
    assert command("check", "9")[0] == cli.UNUSABLE


def test_answers_fail_when_a_wrong_one_passes(command, change):
    change("return sum(values) // len(values)", "return sum(values) / len(values)", file="answers/01_tiny/ex_1_1.py")

    code, text = command("answers")

    assert code == 1
    assert "keeps full points" in text


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "autograder", "--help"], capture_output=True, text=True, check=False)

    assert done.returncode == 0
    for name in ("build", "check", "answers"):
        assert name in done.stdout


def test_grade_and_project_take_the_same_sandboxes_but_only_grade_goes_without(command, tmp_path):
    (tmp_path / "empty").mkdir()
    for sandbox in ("auto", "bwrap", "native"):
        _, text = command("project", str(tmp_path / "empty"), "--sandbox", sandbox, root=None)
        assert "Invalid value" not in text
        _, text = command("grade", str(tmp_path / "nothing"), "--out", str(tmp_path / "out"), "--sandbox", sandbox)
        assert "Invalid value" not in text
    _, text = command("grade", str(tmp_path / "nothing"), "--out", str(tmp_path / "out"), "--sandbox", "none")
    assert "Invalid value" not in text
    code, text = command("project", str(tmp_path / "empty"), "--sandbox", "none", root=None)
    assert code == cli.UNUSABLE
    assert "Invalid value for '--sandbox'" in text


def test_mutants_are_tried_in_one_kernel_only(command):
    code, text = command("answers", "--graded", "--mutate")

    assert code == cli.UNUSABLE
    assert "mutants are tried in one kernel" in " ".join(text.split())
