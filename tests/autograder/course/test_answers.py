from __future__ import annotations

import pytest

from autograder.authoring.sources import SourceError, read_source
from autograder.course.answers import read_answers, trial_notebook, try_answers
from autograder.course.answers_table import show_mutants, show_trial
from autograder.reports.terminal import console

ANSWERS_1 = "answers/01_tiny/ex_1_1.py"
ANSWERS_2 = "answers/01_tiny/ex_1_2.py"


def tried(root):
    trial = try_answers(read_source(root / "solutions" / "01_tiny.py"), root)
    return trial, {v.answer.title: v for v in trial.verdicts}


def test_wrong_answers_are_caught_with_their_message_and_right_ones_keep_all_points(tiny_course, capsys):
    trial, verdicts = tried(tiny_course)

    assert trial.passed
    assert len(verdicts) == 10
    assert verdicts["floor division"].points == 2
    assert "drops the half minute" in verdicts["floor division"].message
    assert verdicts["ignores even lengths"].points == 3
    assert (verdicts["a loop"].points, verdicts["a loop"].message) == (3, "")
    show_trial(trial, console())
    assert "10 of 10 answers earned what they should" in capsys.readouterr().out


def test_the_answers_of_one_exercise_are_tried_alone(tiny_course):
    source = read_source(tiny_course / "solutions" / "01_tiny.py")

    trial = try_answers(source, tiny_course, exercise="1.1")

    assert trial.passed
    assert {verdict.answer.exercise for verdict in trial.verdicts} == {"1.1"}
    with pytest.raises(SourceError, match=r"no exercise 1\.9"):
        try_answers(source, tiny_course, exercise="1.9")


def test_answers_that_earn_what_they_should_not_are_named(tiny_course, change, capsys):
    change('expect="that is the median"', 'expect="sorted"', file=ANSWERS_1)
    change("return sum(values) // len(values)", "return sum(values) / len(values)", file=ANSWERS_1)
    change("total = 0.0", "total = 1.0", file=ANSWERS_1)
    change("def median(values):\n    return values[len(values) // 2]", "del values", file=ANSWERS_2)
    change("return sum(values) / len(values)\n    ### END", "return sum(values) / 1\n    ### END")

    trial, verdicts = tried(tiny_course)

    assert not trial.passed
    assert verdicts["the median"].problem == "the message does not say 'sorted'"
    assert verdicts["floor division"].problem == "keeps full points"
    assert verdicts["a loop"].problem == "loses points"
    assert verdicts["by hand"].problem == ""  # the reference of 1.1 is wrong, but each answer starts from a clean copy
    assert "NameError" in verdicts["forgets to sort"].message  # it does not inherit the reference's function
    assert any("reference loses points at check-1-1" in problem for problem in trial.problems)
    show_trial(trial, console())
    assert "✗ keeps full points" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('# %% a loop answer="right"', '# %% a loop answer="wrong"', "don't fit"),
        ('# %% a loop answer="right"', '# %% a loop answer="perfect"', "don't fit"),
        ('# %% a loop answer="right"', '# %% answer="right"', "don't fit"),
        ('answer="right"', 'answer="wrong" expect="x"', "0 right answers"),
        ('# %% a loop answer="right"', "# %% [markdown]", "1 right answers"),
    ],
)
def test_a_file_of_answers_that_is_not_complete_is_refused(tiny_course, change, old, new, problem):
    path = change(old, new, file=ANSWERS_1)

    with pytest.raises(SourceError, match=problem):
        read_answers(path, "1.1")


def test_answers_are_tried_below_the_checks_of_their_exercise(tiny_course):
    source = read_source(tiny_course / "solutions" / "01_tiny.py")
    answers = read_answers(tiny_course / "solutions" / ANSWERS_1, "1.1")

    ids = [cell.id for cell in trial_notebook(source, answers).cells]

    assert ids[ids.index("hidden-1-1") + 1 :][:5] == [
        "try-0-0-save",
        "try-0-0-answer",
        "try-0-0-check-1-1",
        "try-0-0-hidden-1-1",
        "try-0-0-restore",
    ]
    assert ids.index("try-4-0-restore") < ids.index("ex-1-2")


LOOPS = """

# %% counts down answer="right"
def mean(values):
    total, left = 0, len(values)
    while left > 0:
        left -= 1
        total += values[left]
    return total / len(values)
"""


def test_mutants_that_keep_their_points_are_listed_and_one_that_loops_is_ended(tiny_course, capsys):
    answers = tiny_course / "solutions" / ANSWERS_1
    answers.write_text(answers.read_text() + LOOPS)
    source = read_source(tiny_course / "solutions" / "01_tiny.py")

    trial = try_answers(source, tiny_course, exercise="1.1", mutate=True)

    verdicts = {verdict.answer.title: verdict for verdict in trial.verdicts}
    assert "reference, line 4: sum(values) → max(values)" in verdicts
    endless = verdicts["counts down, line 4: left -= 1 → nothing"]
    assert (endless.problem, endless.points) == ("", 0)
    kept = [title for title, verdict in verdicts.items() if verdict.problem]
    assert show_mutants(trial, console(), 0.0)
    assert show_mutants(trial, console(), 1.0) == (not kept)
    said = capsys.readouterr().out
    assert f"{len(verdicts) - len(kept)}" in said
    for title in kept:
        assert " ".join(title.split())[:40] in " ".join(said.split())


def test_an_equivalent_mutant_is_left_out_and_a_stale_entry_refused(tiny_course):
    source = read_source(tiny_course / "solutions" / "01_tiny.py")
    change = "line 4: sum(values) → max(values)"
    path = tiny_course / "solutions" / "answers" / "01_tiny" / "equivalent.toml"
    entry = '[[equivalent]]\nexercise = "1.1"\nanswer = "reference"\nmutant = "{}"\nreason = "a test"\n'
    path.write_text(entry.format(change))

    trial = try_answers(source, tiny_course, exercise="1.1", mutate=True)

    assert not [v for v in trial.verdicts if v.answer.title.startswith("reference") and change in v.answer.title]
    path.write_text(entry.format("line 9: sum(values) → max(values)"))
    with pytest.raises(SourceError, match="take the entry out"):
        try_answers(source, tiny_course, exercise="1.1", mutate=True)
