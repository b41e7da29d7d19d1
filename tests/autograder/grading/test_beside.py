"""Which notebook of a course a file is, and what is taken along with it."""

from __future__ import annotations

import os
import unicodedata

import pytest

from autograder.grading.collect import collect
from autograder.grading.notebook.beside import is_helper, mentioned, taken_along
from autograder.grading.notebook.which import Notebooks

PLACES = {"hw1.main": ("hw1", "main"), "hw2.main": ("hw2", "main"), "extra": ("hw1", "extra"), "hw-3": ("hw-3", "hw-3")}
BOOKS = Notebooks(tuple(PLACES), PLACES, frozenset({"hw9"}))


@pytest.mark.parametrize(
    ("file", "folder", "only", "found"),
    [
        ("extra.ipynb", "ann", (), "extra"),
        ("Extra.IPYNB", "ann", (), "extra"),
        ("main.ipynb", "ann/hw2", (), "hw2.main"),
        ("main.ipynb", "ann/hw1/src", (), "hw1.main"),
        ("main.ipynb", "ann+hw2+2026-11-28 09:00:00 UTC", (), "hw2.main"),
        ("main.ipynb", "ann", (), ""),  # of which assignment?
        ("main.ipynb", "ann", ("hw1.main", "extra"), "hw1.main"),
        ("main.ipynb", "ann/hw9", (), ""),
        ("main.ipynb", "hw1", (), ""),  # a student called so
        ("extra.ipynb", "ann/hw9", (), ""),
        ("extra.ipynb", "ann/hw2", (), ""),
        ("hw-3.ipynb", "ann", (), "hw-3"),
        ("hw 3.ipynb", "ann", (), "hw-3"),
        ("hw-3-1.ipynb", "ann", (), "hw-3"),  # handed in again, in Canvas
        ("hw-3 (2).ipynb", "ann", (), "hw-3"),
        ("hw-3-Copy1.ipynb", "ann", (), "hw-3"),
        ("hw-30.ipynb", "ann", (), ""),
        ("ann_hw-3_final.ipynb", "", (), "hw-3"),
        ("myextras.ipynb", "ann", (), ""),
        ("extra.py", "ann", (), ""),
        ("extra", "ann", (), ""),
    ],
)  # fmt: skip
def test_a_file_is_the_notebook_that_its_name_and_its_folders_say(file, folder, only, found):
    assert BOOKS.of(file, folder, None, only=only) == found


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_an_accent_may_be_written_in_either_way(form):
    name = unicodedata.normalize("NFC", "Größe 1")
    books = Notebooks((name,))
    assert books.of(unicodedata.normalize(form, "Größe 1.ipynb"), "ann", None) == name
    assert books.of(unicodedata.normalize(form, "meine Größe 1.ipynb"), "ann", None) == name


def test_what_lies_beside_a_notebook_is_found_in_folders_and_in_canvas_names(tmp_path):
    for name in ("ann/hw1/extra.ipynb", "ann/hw1/a.py", "ann/hw1/data/b.csv", "ann/c.py", "ann/hw1/timestamp.txt",
                 "ben/extra.ipynb", "ben/__pycache__/a.pyc", "ben/more.ipynb"):  # fmt: skip
        (tmp_path / "class" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "class" / name).write_text("{}")
    room = collect(tmp_path / "class", BOOKS.names, scratch=tmp_path, only=("extra",), notebooks=BOOKS)
    assert {f.student: [name for name, _ in f.beside] for f in room.found} == {"ann": ["a.py", "data/b.csv"], "ben": []}
    flat = tmp_path / "canvas"
    flat.mkdir()
    for name in ("extra.ipynb", "a-1.py", "a.py"):
        (flat / f"doejane_123_4567_{name}").write_text(name)
    (found,) = collect(flat, BOOKS.names, scratch=tmp_path, only=("extra",), notebooks=BOOKS).found
    assert [(name, path.read_text()) for name, path in found.beside] == [("a.py", "a-1.py")]  # handed in again


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("a.py", "*.py", True), ("deep/er/a.py", "*.py", True), ("a.pyc", "*.py", False),
        ("data/a.csv", "data/*", True),
        ("ann/hw/data/a.csv", "data/*.csv", True), ("mydata/a.csv", "data/*.csv", False), ("A.PY", "*.py", False),
        ("a.py", "", False),
    ],
)  # fmt: skip
def test_patterns_are_about_the_name_or_the_end_of_the_path(path, pattern, fits):
    assert is_helper(path, [pattern]) is fits


def test_what_is_not_safe_or_too_much_is_left_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr("autograder.grading.notebook.beside._MOST_BYTES", 100)
    for name, text in (("a.py", "1"), ("big.py", "x" * 101), ("rest.py", "y" * 99), ("last.py", "z" * 2)):
        (tmp_path / name).write_text(text)
    (tmp_path / "link.py").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe.py")
    given = [(name, tmp_path / name) for name in ("a.py", "big.py", "rest.py", "last.py", "link.py", "pipe.py")]
    given += [("../up.py", tmp_path / "a.py"), ("/abs.py", tmp_path / "a.py"), ("a\u202e.py", tmp_path / "a.py"),
              ("a.py/b.py", tmp_path / "a.py"), ("c\\d.py", tmp_path / "a.py"), ("gone.py", None),
              (f"{'n' * 300}.py", tmp_path / "a.py"), ("notes.txt", None)]  # fmt: skip
    found = taken_along(given, ["*.py"])
    assert dict(found.files) == {"a.py": b"1", "last.py": b"zz"}
    assert found.left == ("notes.txt",)
    said = "\n".join(found.notes)
    for name in ("big.py", "rest.py", "link.py", "pipe.py", "../up.py", "/abs.py", "a.py/b.py", "c\\d.py", "gone.py"):
        assert f"{name} was not taken along" in said
    assert "\u202e" not in said


def test_the_courses_own_file_comes_first_and_a_changed_one_is_named(tmp_path):
    for folder, text in (("course", "1"), ("same", "1"), ("other", "2")):
        (tmp_path / folder / "data").mkdir(parents=True)
        (tmp_path / folder / "tools.py").write_text(text)
    for folder, notes in (("same", 0), ("other", 1)):
        given = [("tools.py", tmp_path / folder / "tools.py"), ("data/x.py", tmp_path / folder / "tools.py")]
        found = taken_along(given, ["*.py"], course=["tools.py", "data/a.csv"], place=tmp_path / "course")
        assert found.files == {}
        assert sum("course's own file was used" in note for note in found.notes) == notes
        assert any("data/x.py was not taken along: something else has its place" in note for note in found.notes)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("f is not defined, because your cell stopped: ModuleNotFoundError: No module named 'mine'", "mine.py"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'data/t.csv'", "data/t.csv"),
        ("the mean is wrong: mine is 3", ""),
        ("", ""),
    ],
)
def test_a_message_names_the_file_that_it_lacks_and_no_other(message, named):
    added = mentioned(("mine.py", "data/t.csv", "zzz.txt"), message)
    assert added == (f" {named} was handed in beside the notebook and was not taken along." if named else "")
