"""The question bank: one YAML file a topic, checked when it is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.errors import CourseError
from course_lib.interview.proofs import resolve

__all__ = ["InterviewError", "Point", "Question", "find", "load", "of_topic"]

QUESTIONS = Path(__file__).parent / "questions"
FIELDS = {"id", "core", "question", "points", "weak", "follow_ups", "proof"}


class InterviewError(CourseError):
    """The bank has no such question or topic, a file of it is wrong, or practice is not possible here."""


@dataclass(frozen=True)
class Point:
    """One thing that a good answer holds, and how much it counts."""

    weight: int
    says: str


@dataclass(frozen=True)
class Question:
    """A question with what is needed to judge an answer.

    Attributes
    ----------
    id
        A short name, unique in the bank.
    topic, notebook
        What it is about, and the number of the notebook that teaches it, such as ``"06"``.
    text
        The question as it is asked.
    points
        What a good answer holds.
    weak
        Answers that are often heard, and what is wrong with them.
    follow_ups
        What is asked next.
    proof
        Exercises and project checks that prove the answer in code, such as ``"ex-6-2"`` or ``"project-monitoring"``.
    core
        Whether it is one of the five questions that the course is built around.
    """

    id: str
    topic: str
    notebook: str
    text: str
    points: tuple[Point, ...]
    weak: tuple[str, ...]
    follow_ups: tuple[str, ...]
    proof: tuple[str, ...]
    core: bool = False

    @property
    def total(self) -> int:
        """The points of a complete answer."""
        return sum(point.weight for point in self.points)


def load(folder: Path = QUESTIONS) -> tuple[Question, ...]:
    """Return all questions, in the order of the notebooks.

    Raises
    ------
    InterviewError
        A file is not as it should be; the message names the file and the question.
    """
    questions = [question for path in sorted(folder.glob("*.yaml")) for question in _read(path)]
    if not questions:
        raise InterviewError(
            f"There are no questions in {folder}.",
            expected="one .yaml file a topic",
            next_step="install the course again (`make env`)",
        )
    ids = [question.id for question in questions]
    for twice in sorted({one for one in ids if ids.count(one) > 1}):
        raise InterviewError(f"Two questions are called {twice!r}.", expected="one name a question")
    return tuple(questions)


def find(questions: Iterable[Question], name: str) -> Question:
    """Return the question with the id `name`; an unknown one is an error that names those that come close."""
    from difflib import get_close_matches

    known = {question.id: question for question in questions}
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.4)
        raise InterviewError(
            f"No question is called {name!r}.",
            expected=f"a name such as {', '.join(near or list(known)[:3])}",
            next_step="list them with `python -m course_lib.interview --list`",
        )
    return known[name]


def of_topic(questions: Sequence[Question], word: str) -> tuple[Question, ...]:
    """Return the questions of a topic, given by the number of its notebook (``6``, ``06``) or a part of its name.

    >>> {question.topic for question in of_topic(load(), "6")}
    {'Monitoring'}
    """
    number = word.zfill(2)
    chosen = tuple(q for q in questions if q.notebook == number or word.casefold() in q.topic.casefold())
    if not chosen or not word.strip():
        topics = dict.fromkeys(f"{question.notebook} {question.topic}" for question in questions)
        raise InterviewError(f"No topic is called {word!r}.", expected=f"one of: {', '.join(topics)}")
    return chosen


def _read(path: Path) -> list[Question]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [_question(entry, content["topic"], content["notebook"]) for entry in content["questions"]]
    except CourseError as error:
        raise InterviewError(f"{path.name}: {error.happened}", expected=error.expected) from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise InterviewError(
            f"{path.name} cannot be read: {type(error).__name__}: {error}",
            expected="the keys topic, notebook and questions; each question with " + ", ".join(sorted(FIELDS)),
        ) from error


def _question(entry: dict[str, Any], topic: str, notebook: str) -> Question:
    name = entry.get("id", "a question without an id")
    if wrong := (entry.keys() ^ FIELDS) - {"core"}:
        named = ", ".join(sorted(wrong))
        raise InterviewError(f"{name} has missing or unknown keys: {named}.", expected=", ".join(sorted(FIELDS)))
    points = tuple(Point(weight, says) for weight, says in entry["points"])
    if not points or any(not isinstance(point.weight, int) or point.weight < 1 for point in points):
        raise InterviewError(f"{name} has a point without a weight.", expected="whole numbers from 1 on")
    for proof in entry["proof"]:
        resolve(proof)
    lists = {key: tuple(entry[key]) for key in ("weak", "follow_ups", "proof")}
    text = " ".join(entry["question"].split())
    return Question(name, topic, notebook, text, points, core=bool(entry.get("core", False)), **lists)
