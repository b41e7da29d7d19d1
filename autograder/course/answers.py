"""Prove that the checks teach: wrong answers lose points with their own message, right ones written otherwise keep all.

Each exercise has a file of answers, `solutions/answers/NN_name/ex_N_K.py`. A whole notebook is tried in one kernel: the
reference runs from top to bottom, and below the checks of each exercise its answers are run one after the other, each
from the same copy of the namespace and followed by the visible check and the hidden tests. What the checks draw at
random comes from a fixed seed, so that a verdict can be repeated; ``draws`` says with how many seeds.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.authoring.assignments import Assignment
from autograder.authoring.format import Violation, answers_path, exercise_of, grading
from autograder.authoring.release import named
from autograder.authoring.sources import Source, SourceError
from autograder.course.mutation import mutants_of, read_equivalents
from autograder.grading.score import score
from autograder.model import CheckResult, Exercise, NotebookSpec
from autograder.runners.executor import Executed
from autograder.runners.papermill import run_notebook
from autograder.runners.run import CellEvent, NotebookRun

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["LEAST", "Answer", "Trial", "Verdict", "judge", "read_answers", "trial_notebook", "try_answers"]

_MUTANT_SECONDS = 10  # after which one that loops is taken for caught
LEAST = {"wrong": 3, "right": 2}  # answers of each kind that an exercise has at least

_SAVE = """
def _course_save(shell=get_ipython()):
    import os
    from course_lib.draws import drawing_from
    shell._course_saved = dict(shell.user_ns), os.getcwd(), dict(os.environ)
    shell._course_draws = drawing_from({seed!r})
    shell._course_draws.__enter__()
    for name in {names!r}:
        shell.user_ns.pop(name, None)
    if {limit}:
        import signal
        def overdue(*_):
            raise TimeoutError("it took longer than {limit} s")
        signal.signal(signal.SIGALRM, overdue)
        signal.setitimer(signal.ITIMER_REAL, {limit}, 1.0)
_course_save()
"""
_RESTORE = """
def _course_restore(shell=get_ipython()):
    import os, signal
    signal.setitimer(signal.ITIMER_REAL, 0)
    shell._course_draws.__exit__(None, None, None)
    saved, folder, environment = shell._course_saved
    shell.user_ns.clear()
    shell.user_ns.update(saved)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
_course_restore()
"""


@dataclass(frozen=True)
class Answer:
    """One answer to an exercise: a full replacement of its solution cell."""

    exercise: str
    title: str
    kind: str  # "wrong", "right", or "mutant"
    expect: str  # part of the message that a wrong answer must lead to
    source: str


@dataclass(frozen=True)
class Verdict:
    """What an answer earned, and whether that is what it should earn."""

    answer: Answer
    points: float
    max_points: float
    message: str  # of the first check that lost points; empty if none did
    problem: str  # what is wrong with the exercise or the answer; empty if nothing is


@dataclass(frozen=True)
class Trial:
    """All answers of one notebook."""

    name: str
    verdicts: tuple[Verdict, ...]
    problems: tuple[str, ...]  # what is wrong apart from single answers
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every answer earned what it should."""
        return not self.problems and not any(verdict.problem for verdict in self.verdicts)


def read_answers(path: Path, exercise: str) -> list[Answer]:
    """Read the answers to ``exercise`` from ``path``.

    Raises
    ------
    SourceError
        An answer has no title or kind, a wrong one expects no message, or there are too few.
    """
    import jupytext

    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    answers, violations = [], []
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        meta = cell.metadata
        answer = Answer(exercise, meta.get("title", ""), meta.get("answer", ""), meta.get("expect", ""), cell.source)
        if not answer.title or answer.kind not in LEAST or (answer.kind == "wrong") != bool(answer.expect):
            fix = 'head it \'# %% its misconception answer="wrong" expect="words of the message"\', or answer="right"'
            violations.append(Violation(path.name, f"answer {number}", "title, kind and expectation don't fit", fix))
        answers.append(answer)
    for kind, least in LEAST.items():
        if (count := sum(answer.kind == kind for answer in answers)) < least:
            fix = f"write {least - count} more, different from the others in thought, not only in spelling"
            violations.append(Violation(path.name, "whole file", f"it has {count} {kind} answers", fix))
    if violations:
        raise SourceError(violations)
    return answers


def try_answers(
    source: Source,
    root: Path,
    *,
    exercise: str = "",
    draws: int = 1,
    mutate: bool = False,
    kernel_name: str = "python3",
    on_cell: Callable[[CellEvent], None] | None = None,
) -> Trial:
    """Run every answer to every exercise of ``source`` and say which earned what they should.

    Parameters
    ----------
    source, root
        The notebook, and the course that holds its answers.
    exercise
        Try only the answers of this one, and run the reference only that far; default: all.
    draws
        How often each is tried, each time with other random cases; an answer has to earn what it should each time.
    mutate
        Try, in place of the answers on file, the mutants of the reference and of the right answers
        (:mod:`autograder.course.mutation`); each has to lose points.
    kernel_name, on_cell
        As in `run_notebook`.

    Raises
    ------
    SourceError
        A file of answers is not as it should be.
    RunError
        No kernel could be started.
    """
    numbers = [e.number for e in source.spec.exercises if exercise in ("", e.number)]
    if not numbers:
        fix = "ask for one of " + ", ".join(e.number for e in source.spec.exercises)
        raise SourceError([Violation(source.path.name, "exercises", f"there is no exercise {exercise}", fix)])
    answers = [answer for n in numbers for answer in read_answers(answers_path(root, source.name, n), n)]
    if mutate:
        answers = mutated(source, answers, root, numbers)
    notebook = trial_notebook(source, answers, draws=draws)
    if exercise:
        last = max(index for index, cell in enumerate(notebook.cells) if cell.id.startswith("try-"))
        notebook.cells = notebook.cells[: last + 1]
    run = run_notebook(notebook, allow_errors=True, save_each_cell=False, kernel_name=kernel_name, on_cell=on_cell)
    reference = [result for result in _score(run, source.spec, "") if result.check.exercise in numbers]
    problems = [f"the reference loses points at {r.check.grade_id}: {r.message}" for r in reference if r.lost]
    if run.died:
        problems.append(run.died)
    verdicts = tuple(_worst(run, source, index, answer, draws) for index, answer in enumerate(answers))
    return Trial(source.name, verdicts, tuple(problems), run.seconds)


def trial_notebook(source: Source, answers: Sequence[Answer], *, draws: int = 1) -> NotebookNode:
    """Return the reference with, below the last check of each exercise, its answers and their tests.

    The cells of answer 7 have ids that begin with ``try-7-0-`` with the first draw, ``try-7-1-`` with the second; those
    of the reference begin otherwise.
    """
    reference = named(copy.deepcopy(source.notebook))
    last = {exercise_of(str(grading(c).get("grade_id", ""))): i for i, c in enumerate(reference.cells) if grading(c)}
    cells = []
    for index, cell in enumerate(reference.cells):
        cells.append(cell)
        for exercise in source.spec.exercises:
            if last.get(exercise.number) == index:
                numbered = [(i, answer) for i, answer in enumerate(answers) if answer.exercise == exercise.number]
                tries = [(f"{i}-{draw}", answer) for i, answer in numbered for draw in range(draws)]
                cells.extend(c for label, answer in tries for c in _attempt(label, answer, exercise, reference))
    reference.cells = cells
    return reference


def mutated(source: Source, answers: Sequence[Answer], root: Path, numbers: Sequence[str]) -> list[Answer]:
    """Return the mutants of the reference and the right answers to exercises ``numbers``, without equivalent ones.

    Raises
    ------
    SourceError
        The list of equivalents names one that no answer has.
    """
    by_id = {str(grading(cell).get("grade_id", "")): cell for cell in source.notebook.cells}
    solutions = {e.number: by_id[e.solution_id].source for e in source.spec.exercises}
    originals = [Answer(n, "reference", "right", "", solutions[n]) for n in numbers]
    originals += [answer for answer in answers if answer.kind == "right"]
    path = answers_path(root, source.name, numbers[0]).parent / "equivalent.toml"
    equivalents = [one for one in read_equivalents(path) if one.exercise in numbers]
    known, found, seen = {(e.exercise, e.answer, e.mutant) for e in equivalents}, [], set()
    for original in originals:
        for mutant in mutants_of(original.source):
            key = (original.exercise, original.title, mutant.title)
            seen.add(key)
            if key not in known:
                title = f"{original.title}, {mutant.title}"
                found.append(Answer(original.exercise, title, "mutant", "", mutant.source))
    if stale := known - seen:
        violations = [
            Violation(path.name, f"{number} {title!r}", f"no mutant is {mutant_title!r}", "take the entry out")
            for number, title, mutant_title in sorted(stale)
        ]
        raise SourceError(violations)
    return found


def _attempt(label: str, answer: Answer, exercise: Exercise, reference: NotebookNode) -> list[NotebookNode]:
    from nbformat.v4 import new_code_cell

    by_id = {str(grading(cell).get("grade_id", "")): cell for cell in reference.cells}
    names = _defined_in(by_id[exercise.solution_id].source)
    checks = [copy.deepcopy(by_id[check.grade_id]) for check in exercise.checks]
    for check in checks:
        check.id = f"try-{label}-{check.id}"
    limit = _MUTANT_SECONDS if answer.kind == "mutant" else 0
    save_names = _SAVE.format(names=names, seed=f"answer {label}", limit=limit)
    plain = {"save": save_names, "answer": answer.source, "restore": _RESTORE}
    save, attempt, restore = (new_code_cell(text.strip(), id=f"try-{label}-{name}") for name, text in plain.items())
    return [save, attempt, *checks, restore]


def _defined_in(source: str) -> list[str]:
    """Return the names a solution cell defines: an answer that fails to define one must not inherit the reference's."""
    names: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.append(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
    return names


def _score(run: NotebookRun, spec: NotebookSpec, prefix: str) -> tuple[CheckResult, ...]:
    """Score the cells of one attempt, or with an empty ``prefix`` those of the reference."""
    notebook = copy.copy(run.notebook)
    notebook.cells = [c for c in notebook.cells if (c.id.startswith(prefix) if prefix else not c.id.startswith("try-"))]
    executed = Executed(notebook, run.seconds, run.peak_mb, run.died, run.ran)
    return score(executed, Assignment(spec, notebook, notebook))


def _worst(run: NotebookRun, source: Source, index: int, answer: Answer, draws: int) -> Verdict:
    """Return the verdict of the first draw with which the answer did not earn what it should, else of the first."""
    exercise = next(e for e in source.spec.exercises if e.number == answer.exercise)
    spec = NotebookSpec(source.name, "", (exercise,))
    verdicts = [judge(_score(run, spec, f"try-{index}-{draw}-"), exercise, answer) for draw in range(draws)]
    return next((verdict for verdict in verdicts if verdict.problem), verdicts[0])


def judge(results: Sequence[CheckResult], exercise: Exercise, answer: Answer) -> Verdict:
    """Say whether ``results``, those of the exercise's checks, are what ``answer`` should earn."""
    points = sum(result.points or 0.0 for result in results)
    message = next((result.message for result in results if result.lost), "")
    if answer.kind == "mutant":
        problem = "" if message else "keeps full points"
    else:
        problem = _wrong_problem(answer, message) if answer.kind == "wrong" else ("loses points" if message else "")
    return Verdict(answer, points, exercise.points, message, problem)


def _wrong_problem(answer: Answer, message: str) -> str:
    if not message:
        return "keeps full points"
    return "" if answer.expect in message else f"the message does not say {answer.expect!r}"
