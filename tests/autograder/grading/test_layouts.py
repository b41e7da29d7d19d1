"""A corpus of exports: everybody in them is found, with the right file; what says nothing for certain is refused."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from autograder.grading.collect import collect
from autograder.grading.identity.level import UnsupportedLayoutError
from autograder.grading.identity.people import same_name
from tests.fixtures.exports import EXPORTS, NB, OTHER, REFUSED, Export

NAMES = [NB, OTHER]


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    """Clocks without a zone are this machine's."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def as_zip(folder: Path, files, contents=None) -> Path:
    """Write an archive in which every file holds its own path."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "class.zip", "w") as bundle:
        for file in files:
            bundle.writestr(file, (contents or {}).get(file, file).encode(errors="surrogateescape"))
    return folder / "class.zip"


def as_folder(folder: Path, files, contents=None) -> Path:
    for file in files:
        path = folder / "class" / file
        (path if file.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not file.endswith("/"):
            path.write_text((contents or {}).get(file, file), errors="surrogateescape")
    return folder / "class"


def take(submissions: Path, folder: Path, **options):
    return collect(submissions, NAMES, scratch=folder / "scratch", **options)


def graded(room, notebook=NB):
    """Return for each name the text of the file that is graded; each holds its own path."""
    found = [found for found in room.found if found.notebook == notebook]
    assert len({f.name for f in found}) == len(found)
    return {f.name: f.path.read_text(errors="surrogateescape") if f.path else "" for f in found}


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.label)
@pytest.mark.parametrize("pack", [as_zip, as_folder])
def test_everybody_in_an_export_is_found_with_the_right_file(tmp_path, export: Export, pack):
    if pack is as_folder and export.label == "export/jane/01_tiny.ipynb":
        pytest.skip("on the disk, a folder in the only folder is a part of a student's work")
    room = take(pack(tmp_path, export.files, export.contents), tmp_path)
    assert graded(room) == export.people
    assert room.notes[0] == f"Layout: {export.layout}."
    found = {f.name: f for f in room.found if f.notebook == NB}
    assert {name: found[name].late for name in export.late} == export.late
    assert {name: found[name].timestamp for name in export.times} == export.times
    assert {name: found[name].lms_id for name in export.numbers} == export.numbers


def test_the_corpus_is_as_large_as_it_should_be():
    assert len(EXPORTS) >= 60
    assert len({export.layout for export in EXPORTS}) >= 13


@pytest.mark.parametrize(("files", "word"), REFUSED, ids=lambda value: value if isinstance(value, str) else value[0])
def test_what_does_not_say_who_is_who_is_refused_by_name_with_what_to_do(tmp_path, files, word):
    with pytest.raises(UnsupportedLayoutError, match=word) as refused:
        take(as_zip(tmp_path, files), tmp_path)
    assert refused.value.next_step


@pytest.mark.parametrize(("files", "word"), REFUSED, ids=lambda value: value if isinstance(value, str) else value[0])
def test_the_same_on_the_disk_is_refused_or_a_student_with_a_deep_folder(tmp_path, files, word):
    if word == "whole folder of one learner":  # on the disk the only folder is a student's
        room = take(as_folder(tmp_path, files), tmp_path)
        assert list(graded(room)) == [files[0].split("/")[0]]
        return
    with pytest.raises(UnsupportedLayoutError, match=word):
        take(as_folder(tmp_path, files), tmp_path)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("ann/.ipynb_checkpoints/{}-checkpoint.ipynb", "copies that Jupyter makes"),
        ("ann/._{}.ipynb", "a file of macOS"),
        ("ann/__MACOSX/{}.ipynb", "data of macOS"),
        ("ann/.git/{}.ipynb", "the history of git"),
        ("ann/work/.venv/{}.ipynb", "an environment of Python"),
        ("ann/node_modules/{}.ipynb", "packages of Node.js"),
        ("ann/work/.ipynb_checkpoints/deep/{}.ipynb", "copies that Jupyter makes"),
    ],
)
@pytest.mark.parametrize("pack", [as_zip, as_folder])
def test_what_systems_leave_is_ignored_by_its_original_name_and_said_in_the_row_and_in_the_notes(
    tmp_path, place, why, pack
):
    room = take(pack(tmp_path, [place.format(NB), f"ben/{NB}.ipynb"]), tmp_path)
    ann = next(f for f in room.found if f.name == "ann")
    assert ann.path is None
    assert why in ann.reason
    assert any(note.startswith(f"Ignored, as {why}:") for note in room.notes)


def test_a_solution_is_graded_and_not_the_checkpoint_beside_it(tmp_path):
    files = [f"ann/{NB}.ipynb", f"ann/.ipynb_checkpoints/{NB}.ipynb", f"ann/._{NB}.ipynb", f"__MACOSX/ann/._{NB}.ipynb"]
    assert graded(take(as_zip(tmp_path, files), tmp_path)) == {"ann": f"ann/{NB}.ipynb"}


@pytest.mark.parametrize("files", [[], ["__MACOSX/x"], [".DS_Store"], ["README.md"]])
@pytest.mark.parametrize("pack", [as_zip, as_folder])
def test_nobody_at_all_is_said(tmp_path, files, pack):
    (tmp_path / "class").mkdir()
    room = take(pack(tmp_path, files), tmp_path)
    assert room.students == room.found == ()
    assert "No student was found" in room.notes[1]


def test_files_that_nobody_owns_are_refused_one_by_one(tmp_path):
    room = take(as_zip(tmp_path, [f"ann/{NB}.ipynb", "grades.csv", "../evil.ipynb", "/etc/passwd"]), tmp_path)
    assert {refusal.path for refusal in room.refused} == {"grades.csv", "../evil.ipynb", "/etc/passwd"}
    assert graded(room) == {"ann": f"ann/{NB}.ipynb"}


# Any names: what a file system and an archive can hold in one component, minus what every tool ignores.
_IGNORED = {
    ".",
    "..",
    ".git",
    ".svn",
    ".venv",
    "__MACOSX",
    "__pycache__",
    "node_modules",
    "submitted",
    "inbound",
    *NAMES,
}
_TRICKY = (
    *(
        "ann ",
        "ann",
        " ann",
        ".zoe",
        "zoe",
        "Ann",
        "ANN",
        "zoe.",
        "CON",
        "con",
        "a:b",
        "a*b",
        "a?b",
        "=1+1",
        "-x",
        "C:",
    ),
    *("😀", "👩\u200d🔬", "\u202eeve", "ann\u200b", "Jane Doe", "Jane  Doe", "Jane Doe\n", "20231234", "20231255"),
    *("ß", "ss", "İ", "i\u0307", "ann_1", "ann_01", "a_b", "a-b", "#1", "%41", "&amp;", "'", '"', "$HOME", "~", "\\"),
    *("x" * 120, "x" * 121),
)


def _names(**without):
    letters = st.characters(exclude_categories=("Cs",), exclude_characters="/\x00\\" + without.get("characters", ""))
    text = st.text(letters, min_size=1, max_size=12).filter(lambda n: n not in _IGNORED and not n.startswith("._"))
    tricky = st.sampled_from([n for n in _TRICKY if not set(n) & set("/\\" + without.get("characters", ""))])
    return st.lists(text | tricky, min_size=2, max_size=8, unique_by=same_name)


PACKED = {
    "folders": (_names(), lambda i, n: f"{n}/{NB}.ipynb"),
    "nbgrader": (_names(), lambda i, n: f"submitted/{n}/{NB}/{NB}.ipynb"),
    "wrapped": (_names(), lambda i, n: f"all/{n}/{NB}.ipynb"),
    "exchange": (_names(), lambda i, n: f"inbound/{n}+{NB}+2026-11-28 09:00:00 UTC/{NB}.ipynb"),
    "canvas": (_names(), lambda i, n: f"{n}_{i + 1}_{i + 5000}_{NB}.ipynb"),
    "canvas late": (_names(), lambda i, n: f"{n}_LATE_{i + 1}_{i + 5000}_{NB}.ipynb"),
    "moodle": (_names(), lambda i, n: f"{n}_{i + 1}_assignsubmission_file_/{NB}.ipynb"),
    "moodle flat": (_names(), lambda i, n: f"{n}_{i + 1}_assignsubmission_file_{NB}.ipynb"),
    "brightspace": (_names(), lambda i, n: f"{i + 1}-9 - {n} - Nov 26, 2025 933 PM/{NB}.ipynb"),
    "sakai": (_names(characters=",()"), lambda i, n: f"HW/{n}, X(u{i})/Submission attachment(s)/{NB}.ipynb"),
    "ilias": (_names(), lambda i, n: f"Blatt/Abgaben/{n}/{NB}.ipynb"),
    "github": (_names(), lambda i, n: f"hw-submissions/hw-{n}/{NB}.ipynb"),
    "flat": (_names(), lambda i, n: f"{n}_{NB}.ipynb"),
}
SUFFIX = {"sakai": ", X"}


@pytest.mark.parametrize("layout", PACKED)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_list_of_distinct_names_comes_out_whole_in_every_layout(tmp_path_factory, layout, data):
    strategy, place = PACKED[layout]
    names = data.draw(strategy)
    files = {place(i, name): name + SUFFIX.get(layout, "") for i, name in enumerate(names)}
    folder = tmp_path_factory.mktemp("any")
    room = take(as_zip(folder, files), folder)
    found = {same_name(f.name): f for f in room.found if f.notebook == NB}
    assert set(found) == {same_name(name) for name in files.values()}
    assert len(room.students) == len({key.casefold() for key in room.students}) == len(names)
    for file, name in files.items():
        assert found[same_name(name)].path.read_bytes() == file.encode(errors="surrogateescape")
    for key in room.students:
        assert key == Path(key).name
        assert key.isprintable()
        assert len(key.encode()) <= 200
