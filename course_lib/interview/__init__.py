"""The interview bank: what employers ask about the topics, what a good answer holds, what proves it in code.

``python -m course_lib.interview`` asks a question in the terminal, lets you write the answer, and then shows the points
by which you judge it yourself. It remembers what was practised.
"""

from __future__ import annotations

from course_lib.interview.bank import InterviewError, Point, Question, find, load, of_topic
from course_lib.interview.history import Attempt, History
from course_lib.interview.practice import choose, practise
from course_lib.interview.proofs import Proof, resolve

__all__ = [
    "Attempt",
    "History",
    "InterviewError",
    "Point",
    "Proof",
    "Question",
    "choose",
    "find",
    "load",
    "of_topic",
    "practise",
    "resolve",
]
