"""Views: questions and answers of one course folder, as the pages show them."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.grading.manual.answers import Answer, Given, answers_to, give, reading
from autograder.grading.manual.page import cells_html, inline_html, markdown_html
from autograder.grading.manual.questions import Question, answer_cells, read_notebook, read_questions

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["Row", "Shown", "Views"]


@dataclass(frozen=True)
class Row:
    """A question on the overview."""

    question: Question
    answers: int
    waiting: int
    gist: Markup
    first: str  # id of the answer to begin with; empty if there is none


@dataclass(frozen=True)
class Shown:
    """One answer as it is shown, with its place among the others."""

    question: Question
    answer: Answer
    given: Given
    others: tuple[Answer, ...]
    name: str
    path: str  # of the whole notebook, as it was run, in the course folder
    why: str  # what the machine says of it
    written: Markup
    typed: str
    gist: Markup
    asked: Markup
    reference: Markup
    items: tuple[Markup, ...]

    @property
    def number(self) -> int:
        """Place of the answer, from 1 on."""
        return self.others.index(self.answer) + 1

    @property
    def waiting(self) -> int:
        """How many answers to the question wait."""
        return sum(one.waits for one in self.others)


class Views:
    """The answers of one course folder; everything is read anew, for other graders may write meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def overview(self) -> list[Row]:
        """Return the questions that a person grades, and the checks of which an answer waits for one."""
        rows = []
        with reading(self.folder) as book:
            for question in read_questions(self.folder).values():
                answers = answers_to(book, question, self.folder)
                waiting = [answer for answer in answers if answer.waits]
                first = next(iter([*waiting, *answers]), None)
                row = Row(question, len(answers), len(waiting), inline_html(question.gist), first.id if first else "")
                if question.manual or row.waiting:
                    rows.append(row)
        return rows

    def next_waiting(self, notebook: str, cell: str, after: str) -> str:
        """Return the id of the next answer that waits, from ``after`` on and from the top again; empty if none does."""
        answers = self._answers(notebook, cell)
        start = next((number + 1 for number, answer in enumerate(answers) if answer.id == after), 0)
        return next((answer.id for answer in answers[start:] + answers[:start] if answer.waits), "")

    def shown(self, notebook: str, cell: str, answer_id: str) -> Shown | None:
        """Return one answer; None if there is none of this id."""
        question = read_questions(self.folder, notebook).get((notebook, cell))
        others = self._answers(notebook, cell)
        answer = next((one for one in others if one.id == answer_id), None)
        if question is None or answer is None:
            return None
        assignment, own = question.place
        path = Path("autograded") / answer.student / assignment / f"{own}.ipynb"
        copy = read_notebook(self.folder / path)
        cells = answer_cells(copy, question) if copy else []
        name, why = self._said(question, answer.student)
        code = "```python\n{}\n```" if question.code else "{}"
        return Shown(
            question, answer, Given.of(answer, question.rubric), tuple(others), name, path.as_posix(), why,
            cells_html(cells), "\n\n".join(cell.source for cell in cells), inline_html(question.gist),
            markdown_html(question.asked), markdown_html(code.format(question.reference)),
            tuple(inline_html(item.text) for item in question.rubric),
        )  # fmt: skip

    def give(self, shown: Shown, given: Given, seen: str) -> None:
        """Write what a person gives for what they have ``seen``."""
        give(self.folder, shown.question, shown.answer, given, seen=seen)

    def _answers(self, notebook: str, cell: str) -> list[Answer]:
        question = read_questions(self.folder, notebook).get((notebook, cell))
        if question is None:
            return []
        with reading(self.folder) as book:
            return answers_to(book, question, self.folder)

    def _said(self, question: Question, student: str) -> tuple[str, str]:
        """Return the student's name, and the machine's words about the answer."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            path = self.folder / "results" / student / f"{question.notebook}.json"
            result = json.loads(path.read_text(encoding="utf-8"))["result"]
            messages = {check["check"]["grade_id"]: check["message"] for check in result["checks"]}
            said = "" if question.manual else messages.get(question.cell, "")
            return result["extra"].get("name") or student, str(result["reason"] or said)
        return student, ""
