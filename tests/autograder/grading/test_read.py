from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
import pytest
from hypothesis import given, settings, strategies as st

from autograder.grading import harmless
from autograder.grading.notebook import read as reading, shape
from autograder.grading.notebook.read import Rejected, Submission, read_submission
from course_lib import safe_yaml
from tests.fixtures.tiny_class import handed_in

DOCS = Path(__file__).parents[3] / "docs"


def notebook_text(**changes):
    return json.dumps({**json.loads(nbformat.writes(handed_in())), **changes})


def read(tmp_path, content):
    path = tmp_path / "x.ipynb"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_submission(path)


def test_a_sound_notebook_is_read_without_repairs(tmp_path):
    result = read(tmp_path, notebook_text())
    assert isinstance(result, Submission)
    assert result.repairs == ()
    assert [c.source for c in result.notebook.cells] == [c.source for c in handed_in().cells]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty"),
        ("hello", "not JSON"),
        ("<!DOCTYPE html><p>Sign in", "web page"),
        ('{"cells": [<<<<<<< HEAD\n=======\n>>>>>>> x', "merge"),
        ("[1, 2]", "a list and not a notebook"),
        ('"text"', "a str and not a notebook"),
        ("{}", "format number"),
        ('{"nbformat": "4", "cells": []}', "format number"),
        ('{"nbformat": true, "cells": []}', "format number"),
        ('{"nbformat": 4}', "no list of cells"),
        ('{"nbformat": 4, "cells": {"0": {}}}', "no list of cells"),
        ('{"nbformat": 4, "cells": []}', "no cells"),
        ('{"nbformat": 99, "cells": []}', "format 99"),
        ('{"nbformat": 2, "worksheets": []}', "format 2"),
        ('{"nbformat": 3, "worksheets": 7}', "damaged"),
        ("[" * 100_000, "deeply"),
        ('{"a":' * 100_000, "deeply"),
        (b"\x00\xff\xfe\x01", "not JSON"),
        ("1" * 5_000, "not JSON"),
    ],
)
def test_what_is_no_notebook_is_rejected_with_a_reason(tmp_path, content, reason):
    result = read(tmp_path, content)
    assert isinstance(result, Rejected)
    assert reason in result.reason


def test_outputs_however_large_are_left_behind(tmp_path):
    notebook = json.loads(notebook_text())
    code = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    code["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * (5 << 20)}]
    result = read(tmp_path, json.dumps(notebook))
    assert isinstance(result, Submission)
    assert all(not cell.outputs for cell in result.notebook.cells if cell.cell_type == "code")


def test_a_file_beyond_all_measure_is_rejected_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_MAX_BYTES", 1000)
    assert "at most" in read(tmp_path, notebook_text()).reason


def test_the_limits_that_the_guides_name_are_the_limits():
    grading, instructor = (" ".join((DOCS / f"{name}.md").read_text().split()) for name in ("grading", "instructor"))
    assert f"never parsed, up to {reading._MAX_BYTES >> 20} MB" in grading
    assert f"it may have {shape._MAX_BESIDES >> 20} MB, {shape._MAX_MARKS // 1_000_000} million values" in grading
    assert f"{reading._MAX_CELLS:,} cells and {reading._MAX_SOURCE >> 20} million characters of source" in grading
    assert f"nested more than {shape._MAX_DEPTH} levels deep" in grading
    assert f"stand for {safe_yaml._MAX_VALUES:,} values" in grading
    assert f"more than {harmless._MAX_SHOWN['markdown']:,} characters" in instructor


@pytest.mark.parametrize(
    ("extra", "note"),
    [
        ({"cell_type": "markdown", "source": "x", "attachments": {str(i): {} for i in range(101)}}, "at most 100"),
        ({"cell_type": "markdown", "source": "x", "attachments": {"a": {"image/png": "A" * (9 << 20)}}}, "characters"),
        ({"cell_type": "code", "source": "'\ud800\x00\u202e'"}, "cannot be shown"),
        ({"cell_type": "\ud800", "source": "x"}, "unknown type"),
        ({"cell_type": "code", "source": "x", "metadata": {"nbgrader": [[[[[[[[]]]]]]]] * 200}}, "no notebook has"),
    ],
    ids=["attachments", "picture", "characters", "type", "metadata"],
)
def test_one_odd_cell_is_noted_and_costs_the_others_nothing(tmp_path, extra, note):
    cells = json.loads(notebook_text())["cells"]
    result = read(tmp_path, notebook_text(cells=[*cells, extra]))
    assert isinstance(result, Submission)
    assert [c.source for c in result.notebook.cells][:-1] == [c.source for c in handed_in().cells]
    assert note in " ".join(result.repairs)
    assert not [repair for repair in result.repairs if "\ud800" in repair]
    nbformat.writes(result.notebook).encode()


def test_of_very_many_notes_the_first_are_told(tmp_path):
    cells = json.loads(notebook_text())["cells"]
    result = read(tmp_path, notebook_text(cells=[*cells, *[None] * 500]))
    assert isinstance(result, Submission)
    assert len(result.repairs) == 51
    assert result.repairs[-1] == "… and 450 more."


def test_format_3_is_converted(tmp_path):
    old = nbformat.convert(handed_in(), 3)
    result = read(tmp_path, json.dumps(old))
    assert isinstance(result, Submission)
    assert any("format 3" in repair for repair in result.repairs)
    assert any("mean_rate" in cell.source for cell in result.notebook.cells)


@pytest.mark.parametrize(("encoding", "noted"), [("utf-8-sig", False), ("utf-16", True), ("cp1252", True)])
def test_other_encodings_are_read(tmp_path, encoding, noted):
    notebook = handed_in(answer="Über 15 Minuten")
    text = json.dumps(json.loads(nbformat.writes(notebook)), ensure_ascii=False).replace("·", "-")
    result = read(tmp_path, text.encode(encoding, errors="replace"))
    assert isinstance(result, Submission)
    assert any("Über" in cell.source for cell in result.notebook.cells)
    assert bool(result.repairs) is noted


def test_broken_characters_cannot_break_what_is_written_later(tmp_path):
    notebook = json.loads(notebook_text())
    notebook["cells"][0]["source"] = "\ud800 lone"
    result = read(tmp_path, json.dumps(notebook))
    assert isinstance(result, Submission)
    nbformat.writes(result.notebook).encode()


def test_cells_that_are_none_are_left_out_or_read_as_text(tmp_path):
    cells = [None, 3, {}, {"cell_type": "dance", "source": 7}, {"cell_type": "code", "source": ["a", 1, "b"]}]
    result = read(tmp_path, json.dumps({"nbformat": 4, "cells": cells, "metadata": []}))
    assert isinstance(result, Submission)
    assert [(c.cell_type, c.source) for c in result.notebook.cells] == [("raw", ""), ("raw", ""), ("code", "ab")]


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "secret.ipynb").write_text(notebook_text())
    link = tmp_path / "link.ipynb"
    link.symlink_to(tmp_path / "secret.ipynb")
    assert isinstance(read_submission(link), Rejected)


def test_a_pipe_does_not_make_the_grader_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe.ipynb")
    assert "regular file" in read_submission(tmp_path / "pipe.ipynb").reason


def test_a_folder_or_nothing_is_rejected(tmp_path):
    assert isinstance(read_submission(tmp_path), Rejected)
    assert isinstance(read_submission(tmp_path / "none.ipynb"), Rejected)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_CELL = st.fixed_dictionaries(
    {"cell_type": st.sampled_from(["code", "markdown", "raw"]) | _JSON},
    optional={
        "source": _JSON,
        "metadata": _JSON | st.fixed_dictionaries({"nbgrader": _JSON | st.fixed_dictionaries({"grade_id": _JSON})}),
        "outputs": _JSON,
        "attachments": _JSON,
        "id": _JSON,
    },
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    document=st.fixed_dictionaries({"nbformat": st.sampled_from([3, 4]), "cells": st.lists(_CELL, max_size=4) | _JSON})
)
def test_no_document_makes_reading_or_repairing_raise(tmp_path_factory, document):
    from autograder.grading.notebook.repair import repair
    from tests.fixtures.tiny_class import tiny

    path = tmp_path_factory.mktemp("any") / "x.ipynb"
    path.write_text(json.dumps(document))
    result = read_submission(path)
    if isinstance(result, Submission):
        nbformat.validate(repair(result.notebook, tiny()).notebook)
