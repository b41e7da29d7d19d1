"""A sliced plan leaves out what no check can notice, and nothing else."""

from __future__ import annotations

import pytest

from autograder.sandbox import Engine, Plan, PlanCell
from autograder.sandbox.names import names_bound
from autograder.sandbox.slicing import STRATEGIES, SlicingStrategy, sliced
from tests.autograder.sandbox.walled import LIMITS, story


def cells(*sources: str) -> tuple[PlanCell, ...]:
    """Return cells: "S:" starts a solution, "T:" a test, anything else is a free cell handed in as released."""
    found = []
    for i, source in enumerate(sources):
        kind, text = (
            {"S:": "solution", "T:": "test"}.get(source[:2], "free"),
            source.removeprefix("S:").removeprefix("T:"),
        )
        found.append(PlanCell(f"c{i}", kind, text, "" if kind == "test" else text))  # type: ignore[arg-type]
    return tuple(found)


def kept(*sources: str) -> set[str]:
    plan = sliced(Plan(cells=cells(*sources)))
    return {f"{cell.id}" for cell in plan.cells if cell.kind == "free" and cell.release}


def test_figures_and_tables_are_left_out() -> None:
    assert kept(
        "import x", "d = x.load()", "x.plot(d)", "d.describe()", "print(d)", "S:def f(): ...", "T:assert f(d)"
    ) == {"c0", "c1"}


def test_what_a_check_or_solution_reads_is_kept_through_other_cells() -> None:
    assert kept("a = 1", "b = a + 1", "def g():\n    return b", "z = 9", "S:def f(): return g()", "T:assert f()") == {
        "c0",
        "c1",
        "c2",
    }


def test_what_changes_something_a_check_sees_is_kept() -> None:
    assert kept("d = {}", "d['x'] = 1", "d.update(y=2)", "e = {}", "e['x'] = 1", "S:def f(): ...", "T:assert f(d)") == {
        "c0",
        "c1",
        "c2",
    }


def test_a_cell_that_changes_the_environment_is_kept() -> None:
    assert kept("import os", "os.environ['A'] = '1'", "S:def f(): ...", "T:assert f(os.sep)") == {"c0", "c1"}


def test_names_of_comprehensions_and_functions_are_their_own() -> None:
    assert kept("name = 1", "x = 2", "S:def f(): ...", "T:assert [name for name in 'ab'] and (lambda x: x)(1)") == set()


def test_a_name_bound_after_its_last_reader_is_not_needed() -> None:
    assert kept("v = 1", "S:def f(): ...", "T:assert f(v)", "v = slow()") == {"c0"}


def test_cells_that_lean_on_nothing_of_the_learner_come_first() -> None:
    plan = sliced(
        Plan(cells=cells("a = 1", "S:def f(): ...", "T:f(a)", "b = 2", "c = f(b)", "S:def g(): ...", "T:g(b, c)"))
    )
    assert [cell.id for cell in plan.cells] == ["c0", "c3", "c1", "c2", "c4", "c5", "c6"]
    assert [cell.number for cell in plan.cells] == [1, 4, 2, 3, 5, 6, 7]


def test_of_a_needed_cell_only_the_statements_that_something_reads_are_run() -> None:
    source = "store = open_store()\nserver = start(store)\nuse(store)\nstore.name"
    plan = sliced(
        Plan(cells=cells(source, "S:def f(): ...", "T:f(store)")), SlicingStrategy(bold=True, statements=True)
    )
    assert plan.cells[0].release == plan.cells[0].learner == "store = open_store()\n\nuse(store)\npass"


def test_a_cell_does_not_cross_a_check_that_reads_what_it_changes() -> None:
    made = cells("d = {}", "S:def f(): ...", "T:f(d)", "d['x'] = 1", "T:f(d)")
    for strategy in STRATEGIES:
        assert [cell.id for cell in sliced(Plan(cells=made), strategy).cells] == ["c0", "c1", "c2", "c3", "c4"]


def test_what_a_check_does_to_a_module_ties_later_cells_only_when_that_is_believed() -> None:
    made = cells("import m", "S:def f(): ...", "T:m.end()\nf()", "x = m.slow()", "T:f(x)")
    first = {strategy: [cell.id for cell in sliced(Plan(cells=made), strategy).cells][1] for strategy in STRATEGIES}
    assert first == {strategy: "c3" if strategy.modules_apart else "c1" for strategy in STRATEGIES}


def test_a_cell_the_learner_changed_still_runs_as_handed_in() -> None:
    plan = sliced(Plan(cells=(PlanCell("a", "free", "print(1)", "z = 3"), *cells("S:def f(): ..."))))
    assert (plan.cells[0].release, plan.cells[0].learner) == ("", "z = 3")


def test_names_bound_by_loops_and_tries_are_found() -> None:
    source = (
        "for i in range(3):\n    a = i\ntry:\n    b = 1\nexcept ValueError:\n    c = 2\nwith open('x') as d:\n    pass"
    )
    assert set(names_bound(source)) == {"i", "a", "b", "c", "d"}


def test_a_sliced_plan_is_used_only_if_the_reference_passes_with_it(walled_engine: Engine) -> None:
    honest = cells("import time\nmark = 1", "shown = mark\nshown", "S:def f():\n    return 1", "T:assert f() == mark")
    hidden = cells("import builtins", "exec('mark = 1')", "S:def f():\n    return 1", "T:assert f() == eval('mark')")
    for made, ran in ((honest, False), (hidden, True)):
        reference = Plan(cells=made)
        done = walled_engine.run(reference, limits=LIMITS, reference=reference)
        assert done.outcome("c3").ok, story(done)
        assert walled_engine.is_sliced(reference) is not ran


@pytest.mark.parametrize(
    "source",
    ["x = 1\n" * 1_000_000, "-" * 50_000 + "1", "1+" * 50_000 + "1", "a" + ".a" * 50_000, "(" * 50_000, "\x00"],
)
@pytest.mark.timeout(60)
def test_source_too_large_or_too_nested_to_be_read_is_kept_as_it_is(source: str) -> None:
    plan = Plan(cells=(PlanCell("a", "solution", "x = 0", source), PlanCell("t", "test", "assert x")))
    for strategy in STRATEGIES:
        assert sliced(plan, strategy).cells[0].learner == source
