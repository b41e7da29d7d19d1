"""The interview bank: questions that are complete, point to what exists, and can be practised in a terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from course_lib import interview
from course_lib.errors import CourseError
from course_lib.interview import Attempt, History, InterviewError

ROOT = Path(__file__).parents[2]
BANK = interview.load()
SOURCES = {path.name[:2]: path.read_text(encoding="utf-8") for path in sorted((ROOT / "solutions").glob("[0-9]*.py"))}
CORE = {
    "How do you detect data drift? What would you do when you detect it?",
    "What's the difference between a model registry and an artifact store?",
    "How does vLLM's PagedAttention improve throughput?",
    "Walk me through how you'd deploy a new model version with zero downtime.",
    "What's the difference between online and batch inference? When would you use each?",
}


def _words(text: str) -> str:
    """The words of a question, without marks, quotes and emphasis."""
    return " ".join(re.findall(r"[\w'.]+", text.replace("’", "'").casefold()))


def _asked_in(source: str) -> str:
    """The question that a notebook ends with: the first quoted or bold paragraph below its heading."""
    (section,) = re.findall(r"^# ## Interview question\n(.*?)^# %%", source, flags=re.DOTALL | re.MULTILINE)
    lines = [re.sub(r"^# ?", "", line) for line in section.splitlines()]
    paragraphs = [" ".join(block.split("\n")) for block in re.split(r"\n\s*\n", "\n".join(lines).strip())]
    quoted = [text.replace("> ", "") for text in paragraphs if text.startswith((">", "**"))]
    return re.sub(r"\(4 points.*", "", quoted[0])


class _Learner:
    """Answers prompts with prepared lines, as `input` would; the end of the lines is the end of the input."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)

    def __call__(self, prompt: str) -> str:
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)


def _paper() -> Console:
    return Console(file=io.StringIO(), width=200, highlight=False)


def _text(out: Console) -> str:
    return out.file.getvalue()


# The bank


def test_the_bank_holds_the_five_core_questions_and_at_least_thirty_more():
    assert {_words(q.text) for q in BANK if q.core} == {_words(text) for text in CORE}
    assert len(BANK) >= 35


def test_each_notebook_has_at_least_four_questions():
    counts = {number: sum(q.notebook == number for q in BANK) for number in SOURCES}
    assert not {number: count for number, count in counts.items() if count < 4}


def test_every_question_can_be_judged():
    for question in BANK:
        assert question.text.rstrip('"').endswith(("?", ".")), question.id
        assert len(question.points) >= 3, question.id
        assert 4 <= question.total <= 6, question.id
        assert len(question.weak) >= 2, question.id
        assert len(question.follow_ups) >= 2, question.id
        assert question.proof, question.id


@pytest.mark.parametrize("number", sorted(SOURCES))
def test_every_exercise_that_proves_an_answer_exists(number):
    linked = {name for question in BANK for name in question.proof if name.startswith(f"ex-{int(number)}-")}
    assert linked
    assert not [name for name in linked if f'"grade_id": "{name}"' not in SOURCES[number]]


@pytest.mark.parametrize("number", sorted(SOURCES))
def test_the_question_that_a_notebook_ends_with_is_in_the_bank(number):
    asked = _words(_asked_in(SOURCES[number]))
    assert asked in {_words(question.text) for question in BANK if question.notebook == number}


def test_a_topic_is_found_by_number_and_by_name():
    assert interview.of_topic(BANK, "6") == interview.of_topic(BANK, "06") == interview.of_topic(BANK, "monitor")


def test_an_unknown_topic_names_those_that_exist():
    with pytest.raises(InterviewError, match="06 Monitoring"):
        interview.of_topic(BANK, "astrology")


def test_an_unknown_question_names_one_that_comes_close():
    with pytest.raises(InterviewError, match="detect-drift"):
        interview.find(BANK, "detct-drift")


@pytest.mark.parametrize("name", ["ex-0-1", "ex-100-1", "ex-1", "project-tea"])
def test_a_proof_that_is_neither_exercise_nor_project_is_an_error(name):
    with pytest.raises(CourseError, match="project-monitoring"):
        interview.resolve(name)


def test_a_proof_names_its_exercise_and_the_command_of_its_notebook():
    proofs = [interview.resolve(name) for name in ("ex-6-2", "ex-10-11")]
    assert [(proof.label, proof.notebook, proof.command) for proof in proofs] == [
        ("exercise 6.2", "06", "python -m autograder check 06"),
        ("exercise 10.11", "10", "python -m autograder check 10"),
    ]


GOOD = """
topic: Tea
notebook: "01"
questions:
  - id: tea
    question: How long?
    points: [[1, "three minutes"]]
    weak: ["for ever"]
    follow_ups: ["And green tea?"]
    proof: [ex-1-1]
"""


def test_a_good_file_is_read(tmp_path):
    (tmp_path / "01_tea.yaml").write_text(GOOD)
    (question,) = interview.load(tmp_path)
    assert (question.id, question.total, question.core) == ("tea", 1, False)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("proof: [ex-1-1]", "proof: [ex-0-1]", "no place that can prove"),
        ("    proof: [ex-1-1]\n", "", "missing or unknown keys: proof"),
        ('[[1, "three minutes"]]', '[[0, "three minutes"]]', "a point without a weight"),
        ('[[1, "three minutes"]]', '["three minutes"]', "cannot be read"),
        ("topic: Tea", "topic: [", "cannot be read"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_it(tmp_path, old, new, message):
    (tmp_path / "01_tea.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises(InterviewError, match=rf"01_tea\.yaml[\s\S]*{message}"):
        interview.load(tmp_path)


def test_two_questions_of_one_name_are_an_error(tmp_path):
    for name in ("01_tea.yaml", "02_tea.yaml"):
        (tmp_path / name).write_text(GOOD)
    with pytest.raises(InterviewError, match="Two questions are called 'tea'"):
        interview.load(tmp_path)


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(InterviewError, match="no questions"):
        interview.load(tmp_path)


# Practice


def test_an_answer_is_judged_point_by_point_and_kept():
    question, out = interview.find(BANK, "detect-drift"), _paper()
    attempt = interview.practise(question, _Learner("In layers.", "First the feed.", ".", "1", "1", "0", "1"), out)
    assert attempt is not None
    assert (attempt.earned, attempt.total, attempt.answer) == (3, 4, "In layers.\nFirst the feed.")
    assert "3 of 4 points" in _text(out)
    assert "exercise 6.2" in _text(out)


def test_the_points_stay_hidden_until_the_answer_is_written():
    question, out = interview.find(BANK, "detect-drift"), _paper()
    seen = []

    def read(prompt: str) -> str:
        seen.append(_text(out))
        return "." if prompt == "> " else "0"

    interview.practise(question, read, out)
    assert question.points[0].says not in seen[0]


def test_points_that_the_question_does_not_have_are_asked_for_again():
    question, out = interview.find(BANK, "detect-drift"), _paper()
    attempt = interview.practise(question, _Learner("x", ".", "9", "many", "-1", "1", "0", "0", "0"), out)
    assert attempt is not None
    assert attempt.earned == 1
    assert _text(out).count("from 0 to 1 was expected") == 3


def test_without_an_answer_the_points_are_shown_and_nothing_is_kept():
    question, out = interview.find(BANK, "psi"), _paper()
    assert interview.practise(question, _Learner("", "."), out) is None
    assert question.points[0].says[:30] in _text(out)


def test_what_was_never_practised_comes_first_then_the_weakest_then_the_oldest():
    asked = BANK[:3]
    last = {
        q.id: Attempt(q.id, f"2026-01-0{day}", earned, 4)
        for q, earned, day in zip(asked, (4, 1, 1), (1, 3, 2), strict=True)
    }
    assert interview.choose(BANK[:4], last) == BANK[3]
    assert interview.choose(asked, last) == asked[2]


def test_a_seed_gives_the_same_question_again():
    assert interview.choose(BANK, {}, seed=7) == interview.choose(BANK, {}, seed=7)
    assert len({interview.choose(BANK, {}, seed=seed).id for seed in range(20)}) > 5


def test_the_history_survives_a_line_that_was_cut_off(tmp_path):
    history = History(tmp_path / "new" / "practice.jsonl")
    assert history.attempts() == []
    history.add(Attempt("psi", "2026-01-01", 2, 5, "bins – of the reference"))
    with history.path.open("a", encoding="utf-8") as file:
        file.write('{"question": "psi", "at": "2026-0\n[1]\n{"question": "psi", "at": "x", "earned": 9, "total": 5}\n')
    history.add(Attempt("psi", "2026-01-02", 4, 5))
    assert [one.earned for one in history.attempts()] == [2, 4]
    assert history.last()["psi"].share == 0.8


def test_a_history_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InterviewError, match=r"could not be written[\s\S]*--history"):
        History(tmp_path / "file" / "practice.jsonl").add(Attempt("psi", "2026-01-01", 2, 5))


# The command


def _command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "course_lib.interview", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "COURSE_PRACTICE": str(folder)},
    )


def test_the_list_shows_each_question_and_the_last_result(tmp_path):
    History(tmp_path / "interview.jsonl").add(Attempt("psi", "2026-01-01", 3, 4))
    done = _command("--list", "--topic", "6", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"psi +Monitoring +3/4", done.stdout)
    assert "6 questions, 1 practised" in done.stdout


def test_a_question_can_be_shown_in_a_pipe(tmp_path):
    done = _command("psi", "--show", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "population stability index" in done.stdout


def test_practice_without_a_terminal_says_what_works_instead(tmp_path):
    done = _command(folder=tmp_path)
    assert done.returncode == 2
    assert "this is no terminal" in done.stderr
    assert "--show" in done.stderr
    assert "Traceback" not in done.stderr


def _everything(terminal: int) -> str:
    """Read a terminal until the program at its other end has closed it."""
    parts = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux says so instead of an empty part
            part = b""
        if not part:
            os.close(terminal)
            return b"".join(parts).decode(errors="replace")
        parts.append(part)


def test_a_whole_round_in_a_real_terminal_is_remembered(tmp_path):
    # A pseudo-terminal: the command sees what it would see in JupyterLab. The lines are typed ahead.
    inside, outside = pty.openpty()[::-1]
    command = [sys.executable, "-m", "course_lib.interview", "detect-drift"]
    environment = {**os.environ, "COURSE_PRACTICE": str(tmp_path)}
    with subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside, env=environment) as process:
        os.close(inside)
        os.write(outside, b"I look at the feed first.\n.\n1\n1\n1\n0\n")
        shown = _everything(outside)
    assert process.returncode == 0, shown
    (attempt,) = History(tmp_path / "interview.jsonl").attempts()
    assert (attempt.question, attempt.earned, attempt.answer) == ("detect-drift", 3, "I look at the feed first.")
