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
