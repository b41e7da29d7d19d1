from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings, strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell

from autograder.authoring.assignments import grade_id_of
from autograder.grading.notebook.repair import repair
from tests.fixtures.tiny_class import ANSWER, GOOD_LATE, GOOD_RATE, cell_of, handed_in, tiny


def ids(notebook):
    return [i for cell in notebook.cells if (i := grade_id_of(cell))]


def sources(notebook):
    return [cell.source for cell in notebook.cells]


ALL = ["ex-1-1", "check-1-1", "hidden-1-1", "ex-1-2", "check-1-2", "hidden-1-2", "interview-1"]


def test_a_sound_submission_gets_the_hidden_tests_and_no_repairs():
    repaired = repair(handed_in(), tiny())
    assert repaired.repairs == ()
    assert ids(repaired.notebook) == ALL
    assert "secret_rates" in cell_of(repaired.notebook, "hidden-1-1").source
    assert cell_of(repaired.notebook, "ex-1-1").source == GOOD_RATE


def test_repairing_does_not_change_what_was_handed_in():
    submitted = handed_in()
    before = copy.deepcopy(submitted)
    repair(submitted, tiny())
    assert submitted == before


def test_an_untouched_copy_is_known_as_untouched():
    assert repair(tiny().learner, tiny()).untouched == {"ex-1-1", "ex-1-2", "interview-1"}


def test_a_changed_test_is_restored_and_the_change_is_recorded():
    submitted = handed_in()
    cell_of(submitted, "check-1-1").source = "pass"
    repaired = repair(submitted, tiny())
    assert "math.isclose" in cell_of(repaired.notebook, "check-1-1").source
    assert any("check-1-1 had been changed" in repair for repair in repaired.repairs)


def test_raised_points_are_restored():
    submitted = handed_in()
    cell_of(submitted, "hidden-1-2").metadata.nbgrader["points"] = 300
    repaired = repair(submitted, tiny())
    assert cell_of(repaired.notebook, "hidden-1-2").metadata.nbgrader.points == 3
    assert any("points of hidden-1-2" in repair for repair in repaired.repairs)


@pytest.mark.parametrize("lost", ["check-1-1", "hidden-1-1", "check-1-2", "hidden-1-2", "interview-1"])
def test_a_deleted_cell_is_put_back_after_the_solution(lost):
    submitted = handed_in()
    submitted.cells.remove(cell_of(submitted, lost))
    repaired = repair(submitted, tiny())
    assert ids(repaired.notebook) == ALL
    assert any(f"{lost} was missing" in repair for repair in repaired.repairs)


def test_a_deleted_solution_is_not_put_back_so_that_a_function_written_elsewhere_counts():
    submitted = handed_in()
    place = submitted.cells.index(cell_of(submitted, "ex-1-1"))
    submitted.cells[place] = new_code_cell("mean_rate = lambda rates: sum(rates) / len(rates)")
    repaired = repair(submitted, tiny())
    assert "ex-1-1" not in ids(repaired.notebook)
    position = sources(repaired.notebook).index("mean_rate = lambda rates: sum(rates) / len(rates)")
    assert position < repaired.notebook.cells.index(cell_of(repaired.notebook, "check-1-1"))
    assert any("solution cell ex-1-1 is missing" in repair for repair in repaired.repairs)


def test_all_tests_deleted_with_the_text_between_them_still_come_after_their_solutions():
    submitted = handed_in()
    submitted.cells = [cell for cell in submitted.cells if grade_id_of(cell) in ("ex-1-1", "ex-1-2")]
    assert ids(repair(submitted, tiny()).notebook) == ALL


def test_of_two_copies_of_a_solution_the_written_one_is_graded_and_the_stub_dropped():
    submitted = handed_in()
    stub = copy.deepcopy(cell_of(tiny().learner, "ex-1-1"))
    submitted.cells.insert(submitted.cells.index(cell_of(submitted, "ex-1-1")) + 1, stub)
    repaired = repair(submitted, tiny())
    assert ids(repaired.notebook) == ALL
    assert cell_of(repaired.notebook, "ex-1-1").source == GOOD_RATE
    assert stub.source not in sources(repaired.notebook)


def test_of_two_written_copies_both_run_and_the_last_before_the_check_is_the_answer():
    submitted = handed_in(rate="def mean_rate(rates):\n    return 0")
    better = copy.deepcopy(cell_of(submitted, "ex-1-1"))
    better.source = GOOD_RATE
    scratch = copy.deepcopy(better)
    scratch.source = "def mean_rate(rates):\n    print(rates)"
    place = submitted.cells.index(cell_of(submitted, "ex-1-1"))
    submitted.cells.insert(place + 1, better)
    submitted.cells.append(scratch)
    repaired = repair(submitted, tiny())
    assert ids(repaired.notebook) == ALL
    assert cell_of(repaired.notebook, "ex-1-1").source == GOOD_RATE
    assert sources(repaired.notebook).count("def mean_rate(rates):\n    return 0") == 1
    assert repaired.notebook.cells[-1].source == scratch.source


def test_a_split_solution_runs_in_both_its_parts():
    submitted = handed_in(rate="from statistics import mean")
    second = copy.deepcopy(cell_of(submitted, "ex-1-1"))
    second.source = "def mean_rate(rates):\n    return mean(rates)"
    submitted.cells.insert(submitted.cells.index(cell_of(submitted, "ex-1-1")) + 1, second)
    texts = sources(repair(submitted, tiny()).notebook)
    assert texts.index("from statistics import mean") < texts.index(second.source)


def test_exact_copies_of_a_test_are_dropped_and_changed_ones_become_ordinary_cells():
    submitted = handed_in()
    check = cell_of(submitted, "check-1-1")
    changed = copy.deepcopy(check)
    changed.source = "print(mean_rate([1]))"
    place = submitted.cells.index(check)
    submitted.cells[place:place] = [copy.deepcopy(check), changed]
    repaired = repair(submitted, tiny())
    assert ids(repaired.notebook) == ALL
    assert sources(repaired.notebook).count(check.source) == 1
    assert sources(repaired.notebook).count(changed.source) == 1


def test_text_merged_into_a_locked_cell_is_kept_in_front_of_it():
    submitted = handed_in()
    solution, check = cell_of(submitted, "ex-1-1"), cell_of(submitted, "check-1-1")
    check.source = check.source + "\n\n" + solution.source
    submitted.cells.remove(solution)
    repaired = repair(submitted, tiny())
    assert ids(repaired.notebook) == ALL  # the function it defines tells that it is the solution
    assert cell_of(repaired.notebook, "ex-1-1").source == GOOD_RATE
    assert any("merged" in repair for repair in repaired.repairs)


def test_a_check_merged_into_the_solution_comes_back_as_a_cell():
    submitted = handed_in()
    solution, check = cell_of(submitted, "ex-1-1"), cell_of(submitted, "check-1-1")
    solution.source += "\n\n" + check.source
    submitted.cells.remove(check)
    assert ids(repair(submitted, tiny()).notebook) == ALL


def test_a_solution_that_became_text_is_code_again():
    submitted = handed_in()
    place = submitted.cells.index(cell_of(submitted, "ex-1-1"))
    submitted.cells[place] = new_markdown_cell(GOOD_RATE, metadata=submitted.cells[place].metadata)
    cell = cell_of(repair(submitted, tiny()).notebook, "ex-1-1")
    assert (cell.cell_type, cell.source) == ("code", GOOD_RATE)


def test_a_check_moved_above_its_solution_is_moved_back():
    submitted = handed_in()
    check = cell_of(submitted, "check-1-2")
    submitted.cells.remove(check)
    submitted.cells.insert(0, check)
    repaired = repair(submitted, tiny())
    order = ids(repaired.notebook)
    assert order.index("ex-1-2") < order.index("check-1-2")
    assert any("stood before its solution" in repair for repair in repaired.repairs)


def test_metadata_lost_by_an_editor_are_found_again():
    submitted = handed_in(rate="# mine\n" + GOOD_RATE)
    for cell in submitted.cells:
        cell.metadata.pop("nbgrader", None)
        cell.pop("id", None)
    repaired = repair(submitted, tiny())
    assert ids(repaired.notebook) == ALL
    assert cell_of(repaired.notebook, "ex-1-1").source.startswith("# mine")
    assert cell_of(repaired.notebook, "interview-1").source == ANSWER


def test_renumbered_cells_are_recognised_by_their_cell_id():
    submitted = handed_in(late="late = lambda minutes: [m >= 15 for m in minutes]")
    for cell in submitted.cells:
        cell.metadata["submitted_id"] = cell.id
        if grade_id_of(cell):
            cell.metadata.nbgrader["grade_id"] = "cell-" + cell.metadata.nbgrader["grade_id"]
    repaired = repair(submitted, tiny())
    assert ids(repaired.notebook) == ALL
    assert cell_of(repaired.notebook, "ex-1-2").source.startswith("late = lambda")


def test_cells_with_ids_of_another_notebook_are_ordinary_cells():
    submitted = handed_in()
    foreign = copy.deepcopy(cell_of(submitted, "check-1-1"))
    foreign.metadata.nbgrader["grade_id"] = "check-9-9"
    foreign.source = "x = 1"
    submitted.cells.append(foreign)
    repaired = repair(submitted, tiny())
    assert ids(repaired.notebook) == ALL
    assert repaired.notebook.cells[-1].source == "x = 1"


def test_a_foreign_kernel_is_replaced_and_recorded():
    submitted = handed_in(late=GOOD_LATE)
    submitted.metadata["kernelspec"] = {"name": "ir", "language": "R", "display_name": "R"}
    repaired = repair(submitted, tiny())
    assert repaired.notebook.metadata.get("kernelspec", {}).get("name") != "ir"
    assert any("kernel" in repair for repair in repaired.repairs)


def test_every_cell_has_an_id_of_its_own():
    submitted = handed_in()
    submitted.cells += [copy.deepcopy(cell) for cell in submitted.cells]
    notebook = repair(submitted, tiny()).notebook
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_whatever_happens_to_the_cells_every_test_is_there_once_after_its_solution(data):
    submitted = handed_in()
    count = len(submitted.cells)
    chosen = data.draw(st.lists(st.integers(0, count - 1), max_size=2 * count))
    submitted.cells = [copy.deepcopy(submitted.cells[n]) for n in chosen]
    for cell in submitted.cells:
        damage = data.draw(st.sampled_from(["", "", "metadata", "source", "type", "merge"]))
        if damage == "metadata":
            cell.metadata.pop("nbgrader", None)
        elif damage == "source":
            cell.source = "print('changed')"
        elif damage == "type":
            cell.cell_type = "raw"
        elif damage == "merge":
            cell.source += "\n\n" + submitted.cells[0].source
    order = ids(repair(submitted, tiny()).notebook)
    tests = [i for i in ALL if i.startswith(("check", "hidden"))]
    assert sorted(i for i in order if i.startswith(("check", "hidden"))) == sorted(tests)
    assert len(set(order)) == len(order)
    for number in ("1-1", "1-2"):
        if f"ex-{number}" in order:
            assert order.index(f"ex-{number}") < min(order.index(f"check-{number}"), order.index(f"hidden-{number}"))
