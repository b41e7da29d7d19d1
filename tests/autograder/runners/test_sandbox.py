"""What is sent to the sandbox and to the judge, and what is made of what comes back."""

from __future__ import annotations

import copy

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from autograder.grading.notebook.repair import repair
from autograder.grading.score import score
from autograder.runners.plan import plan_of
from autograder.runners.sandbox import Sandboxed, libraries_of
from autograder.sandbox.inside.preload import COURSE_LIBRARIES
from autograder.sandbox.model import CellOutcome, ExecutedSubmission
from tests.fixtures.tiny_class import GOOD_RATE, cell_of, handed_in, tiny


def plan(notebook):
    return plan_of(repair(notebook, tiny()).notebook, tiny().graded).cells


def test_tests_go_to_the_judge_only_and_solutions_carry_their_stub():
    cells = {cell.id: cell for cell in plan(handed_in())}
    hidden = cells[cell_of(tiny().graded, "hidden-1-1").id]
    solution = cells[cell_of(tiny().graded, "ex-1-1").id]
    assert (hidden.kind, hidden.learner) == ("test", "")
    assert "secret_rates" in hidden.release
    assert (solution.kind, solution.learner) == ("solution", GOOD_RATE)
    assert "NotImplementedError" in solution.release


def test_nothing_of_the_tests_is_sent_to_the_learners_process():
    submitted = handed_in()
    submitted.cells.append(copy.deepcopy(cell_of(submitted, "hidden-1-1")))
    assert not any("secret_rates" in cell.learner or "hidden_cases" in cell.learner for cell in plan(submitted))


def test_the_judge_runs_the_release_of_a_cell_that_the_learner_changed():
    submitted = handed_in()
    setup = next(cell for cell in submitted.cells if cell.source.startswith("import math"))
    setup.metadata["submitted_id"] = setup.id
    setup.source = "RATES = [1, 1, 1]"
    cell = next(cell for cell in plan(submitted) if cell.learner == "RATES = [1, 1, 1]")
    assert cell.kind == "free"
    assert cell.release.startswith("import math")


def test_cells_the_learner_added_run_in_the_learners_process_only():
    submitted = handed_in()
    submitted.cells.insert(3, new_code_cell("x = 1"))
    cell = next(cell for cell in plan(submitted) if cell.learner == "x = 1")
    assert (cell.kind, cell.release) == ("free", "")


@pytest.mark.parametrize("lost", ["import math", "def mean_rate"])
def test_cells_the_learner_deleted_still_have_their_place_in_the_judge(lost):
    submitted = handed_in()
    submitted.cells = [cell for cell in submitted.cells if not cell.source.startswith(lost)]
    cells = plan(submitted)
    place = next(n for n, cell in enumerate(cells) if cell.release.startswith(lost))
    assert cells[place].learner == ""
    first_test = next(n for n, cell in enumerate(cells) if cell.kind == "test")
    assert place < first_test
    assert len({cell.id for cell in cells}) == len(cells)


class Recorded:
    """An engine that answers every plan with the same outcomes for its tests."""

    sandbox = "recorded"

    def __init__(self, **outcome):
        self.outcome = outcome

    def prepare(self, reference):
        self.prepared = reference

    def run(self, plan, *, limits, reference=None, seed=""):
        self.reference = reference
        outcomes = (
            CellOutcome(cell.id, cell.kind, **(self.outcome if cell.kind == "test" else {"ok": True}))
            for cell in plan.cells
        )
        return ExecutedSubmission(outcomes=tuple(outcomes), seconds=1.0, peak_mb=2.0, sandbox="recorded")


def graded(**outcome):
    executor = Sandboxed.__new__(Sandboxed)
    executor.engine, executor.name, executor._prepared = Recorded(**outcome), "recorded", {}
    executor._libraries, executor._seed = frozenset(), ""
    repaired = repair(handed_in(), tiny())
    executed = executor.run(repaired.notebook, tiny().graded, time_limit=10, cell_limit=5)
    return {c.check.grade_id: c for c in score(executed, tiny(), untouched=repaired.untouched)}


def test_what_the_judge_says_of_a_check_reaches_the_learner():
    result = graded(ok=False, error="CheckFailed", message="divide by the count")["hidden-1-1"]
    assert (result.points, result.message) == (0, "divide by the count")


def test_what_the_learners_code_says_in_a_hidden_test_does_not():
    results = graded(ok=False, error="AssertionError", message="called with [0.125]", remote=True)
    assert "0.125" not in results["hidden-1-1"].message
    assert "0.125" in results["check-1-1"].message


def test_a_learners_process_that_was_stopped_is_explained():
    results = graded(ok=False, error="DeadKernelError", message="Your code was stopped: memory.", stopped="memory")
    assert results["hidden-1-1"].message == "Your code was stopped: memory."


def test_a_check_that_held_earns_its_points():
    assert [r.points for r in graded(ok=True).values()] == [1, 2, 1, 3, None]


def test_what_submissions_share_is_found_with_the_reference_solutions_once():
    executor = Sandboxed.__new__(Sandboxed)
    executor.engine, executor.name, executor._prepared = Recorded(ok=True), "recorded", {}
    executor._libraries, executor._seed = frozenset(), ""
    assignment = tiny()
    executor.prepare(assignment)
    first = executor.engine.prepared
    executor.prepare(assignment)
    assert executor.engine.prepared is first
    answers = {cell.source for cell in assignment.source.cells}
    assert all(cell.learner in answers for cell in first.cells if cell.kind == "solution")
    assert not any("NotImplementedError" in cell.learner for cell in first.cells)
    repaired = repair(handed_in(), assignment)
    executor.run(repaired.notebook, assignment.graded, time_limit=9, cell_limit=9)
    assert executor.engine.reference is first


def test_a_notebook_gets_the_libraries_it_imports_and_one_with_the_courses_functions_all():
    def of(*cells):
        return libraries_of(new_notebook(cells=[new_code_cell(cell) for cell in cells]))

    assert of("import math", "x = 1") == frozenset()
    assert of("import numpy as np\nfrom sklearn.metrics import f1_score") == {
        name for name in COURSE_LIBRARIES if name.split(".")[0] in ("numpy", "sklearn")
    }
    assert "matplotlib_inline.backend_inline" in of("import matplotlib.pyplot as plt")
    assert of("from course_lib import data") == frozenset(COURSE_LIBRARIES)
    assert of("%matplotlib inline\n!ls") == of("import matplotlib.pyplot as plt")
    assert of("x = (") == frozenset(COURSE_LIBRARIES)


def test_an_engine_that_lacks_a_library_is_replaced_by_one_that_has_it(monkeypatch):
    opened = []

    class Engine:
        def __init__(self, preload):
            self.preload, self.closed = preload, False
            opened.append(self)

        def close(self):
            self.closed = True

    monkeypatch.setattr("autograder.sandbox.open_engine", lambda *, sandbox, preload, probe, helpers: Engine(preload))
    executor = Sandboxed("none")
    assert opened == []
    first = executor._opened({"numpy"})
    assert executor._opened() is first
    assert executor._opened({"pandas"}) is not first
    assert first.closed
    assert [engine.preload for engine in opened] == [["numpy"], ["numpy", "pandas"]]
    executor.close()
    assert opened[-1].closed


def test_an_inserted_cell_leaves_the_numbers_of_released_cells_alone():
    submitted = handed_in()
    before = {cell.id: cell.number for cell in plan(submitted) if cell.kind == "free"}
    submitted.cells.insert(0, new_code_cell("x = 1"))
    after = {cell.id: cell.number for cell in plan(submitted) if cell.kind == "free" and cell.learner != "x = 1"}
    assert after == before
