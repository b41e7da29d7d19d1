from __future__ import annotations

import json

import nbformat
import pytest

from autograder.authoring import release
from autograder.authoring.format import grading, spec_of
from autograder.authoring.sources import SourceError, read_source


@pytest.fixture
def source(tiny_course):
    return read_source(tiny_course / "solutions" / "01_tiny.py")


def cell(notebook, grade_id):
    return next(c for c in notebook.cells if grading(c).get("grade_id") == grade_id)


def test_a_learner_copy_holds_stubs_and_neither_solutions_nor_hidden_tests(source):
    notebook = release.learner_copy(source)
    text = release.notebook_text(notebook)

    assert 'raise NotImplementedError("Exercise 1.2: replace this line' in cell(notebook, "ex-1-2").source
    assert '"""Return the median' in cell(notebook, "ex-1-2").source
    assert cell(notebook, "interview-1").source == release.TEXT_STUB
    assert cell(notebook, "hidden-1-1").source == (
        "# Hidden tests for exercise 1.1 (2 points) run when the notebook is graded."
    )
    for secret in ("sum(values) / len", "that is the median", "SOLUTION", "HIDDEN TESTS", "the mean 36"):
        assert secret not in text


def test_a_learner_copy_asks_the_same_as_its_source(source):
    assert spec_of(release.learner_copy(source), source.name) == source.spec


def test_test_cells_are_locked_and_solution_cells_cannot_be_deleted(source):
    notebook = release.learner_copy(source)

    assert cell(notebook, "check-1-1").metadata.editable is False
    assert cell(notebook, "ex-1-1").metadata.deletable is False
    assert "editable" not in cell(notebook, "ex-1-1").metadata


def test_a_learner_copy_carries_no_outputs_and_only_meaningful_metadata(source):
    source.notebook.cells[1].metadata["title"] = "left over from an editor"
    notebook = release.learner_copy(source)

    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert all(not c.outputs and c.execution_count is None for c in notebook.cells if c.cell_type == "code")
    assert notebook.cells[1].metadata == {"tags": ["parameters"]}


def test_the_same_source_gives_the_same_bytes_and_unique_ids(source, tiny_course):
    again = read_source(tiny_course / "solutions" / "01_tiny.py")
    text = release.notebook_text(release.learner_copy(source))

    assert text == release.notebook_text(release.learner_copy(again))
    ids = [c["id"] for c in json.loads(text)["cells"]]
    assert len(set(ids)) == len(ids)
    assert {"ex-1-1", "check-1-1", "interview-1"} <= set(ids)


def test_equal_cells_get_different_ids(change, tiny_course):
    change("# %%\nstatistics.mean(delays)", "# %%\nstatistics.mean(delays)\n\n# %%\nstatistics.mean(delays)")

    notebook = release.learner_copy(read_source(tiny_course / "solutions" / "01_tiny.py"))

    nbformat.validate(notebook)
    twins = [c.id for c in notebook.cells if c.source == "statistics.mean(delays)"]
    assert twins[1] == f"{twins[0]}-1"


def test_the_release_keeps_hidden_tests_but_no_solution(tiny_course):
    notebook = release.release_of(read_source(tiny_course / "solutions" / "01_tiny.py"))

    assert "that is the median" in cell(notebook, "hidden-1-1").source
    assert "NotImplementedError" in cell(notebook, "ex-1-1").source
    assert "sum(values) / len" not in release.notebook_text(notebook)


def test_stock_nbgrader_accepts_release_and_copy_and_their_checksums(source):
    from nbgrader.nbgraderformat import MetadataValidator
    from nbgrader.utils import compute_checksum

    for notebook in (release.learner_copy(source), release.release_of(source)):
        MetadataValidator().validate_nb(notebook)
        graded = [c for c in notebook.cells if grading(c)]
        assert [compute_checksum(c) for c in graded] == [c.metadata.nbgrader.checksum for c in graded]


def test_build_writes_notebooks_once_and_verify_then_agrees(tiny_course):
    first, second = release.build(tiny_course).built, release.build(tiny_course).built

    assert [b.changed for b in (*first, *second)] == [True, False]
    assert nbformat.read(first[0].path, as_version=4).cells
    assert release.verify(tiny_course) == []


def test_verify_names_the_cell_that_differs_and_shows_the_lines(tiny_course, change):
    release.build(tiny_course)
    change("## 1.1 Averages", "## 1.1 Means")
    change("should be 1.5", "is 1.5")

    (difference,) = release.verify(tiny_course)

    assert difference.name == "01_tiny"
    assert "cell check-1-1 differs" in difference.summary
    assert '- assert mean([1, 2]) == 1.5, "mean([1, 2]) should be 1.5"' in difference.summary
    assert "is not in the source" in difference.summary  # the old section heading, whose id comes from its text


def test_verify_finds_missing_stray_and_unreadable_notebooks(tiny_course):
    assert [d.summary for d in release.verify(tiny_course)] == ["the notebook is missing"]

    release.build(tiny_course)
    (tiny_course / "notebooks" / "01_tiny.ipynb").write_text("not json")
    (tiny_course / "notebooks" / "99_stray.ipynb").write_text("{}")

    assert {d.name: d.summary for d in release.verify(tiny_course)} == {
        "01_tiny": "the file is not a notebook of the current format",
        "99_stray": "there is no source for this notebook",
    }


def test_build_keeps_a_copy_of_a_notebook_that_somebody_worked_in(tiny_course):
    (built,) = release.build(tiny_course).built
    worked = built.path.read_text().replace('"execution_count": null', '"execution_count": 3', 1)
    built.path.write_text(worked)

    (rebuilt,) = release.build(tiny_course).built

    assert rebuilt.kept is not None
    assert rebuilt.kept.read_text() == worked
    assert release.verify(tiny_course) == []


def test_build_writes_nothing_when_a_source_is_bad(tiny_course, change):
    change('"points": 1,', '"points": 0,')

    with pytest.raises(SourceError):
        release.build(tiny_course)
    assert not (tiny_course / "notebooks").exists()


def add_unfinished(root):
    """Add a source that breaks a rule, and one that the list does not know."""
    (root / "course.toml").write_text(
        '[[notebook]]\nname = "01_tiny"\ntitle = "A tiny notebook"\n[[notebook]]\nname = "02_bad"\ntitle = "Bad"\n'
    )
    text = (root / "solutions" / "01_tiny.py").read_text()
    for name in ("02_bad", "07_stray"):
        (root / "solutions" / f"{name}.py").write_text(text)


def test_an_unfinished_source_stops_no_other_and_is_named_with_what_it_lacks(tiny_course):
    add_unfinished(tiny_course)
    done = release.build(tiny_course)

    assert [built.name for built in done.built] == ["01_tiny"]
    assert [path.name for path in (tiny_course / "notebooks").iterdir()] == ["01_tiny.ipynb"]
    assert list(done.unfinished) == ["02_bad", "07_stray"]
    assert "numbered title" in str(done.unfinished["02_bad"])
    assert "course.toml does not list it" in str(done.unfinished["07_stray"])
    differences = {difference.name: difference.summary for difference in release.verify(tiny_course)}
    assert list(differences) == ["02_bad", "07_stray"]
    assert "start it with '# 2 · Title'" in differences["02_bad"]


def test_of_those_that_were_asked_for_only_the_unfinished_are_named(tiny_course):
    add_unfinished(tiny_course)

    assert release.read_sources(tiny_course, ["01_tiny"]).unfinished == {}
    assert list(release.read_sources(tiny_course, ["01_tiny", "02_bad"]).unfinished) == ["02_bad"]
    with pytest.raises(SourceError, match="numbered title"):
        release.build(tiny_course, ["02_bad"])
    assert not (tiny_course / "notebooks").exists()


def test_a_notebook_is_loaded_for_grading_or_it_is_said_how_to_grade_the_others(tiny_course):
    from autograder.authoring.assignments import course_catalogue

    add_unfinished(tiny_course)
    catalogue = course_catalogue(tiny_course)

    assert catalogue.names == ("01_tiny", "02_bad")
    assert catalogue.load("01_tiny").spec.points == 7
    with pytest.raises(SourceError) as caught:
        catalogue.load("02_bad")
    assert "--only 01" in caught.value.next_step


def test_a_course_without_sources_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="no source was found"):
        release.read_sources(tmp_path)
