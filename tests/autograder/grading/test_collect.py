from __future__ import annotations

import stat
import zipfile

import pytest

from autograder.grading.collect import SubmissionsError, collect
from autograder.grading.unpack import ArchiveError
from tests.fixtures.tiny_class import NAME, handed_in, write

NAMES = ["01_tiny", "02_other"]


def rows(room):
    return {(found.student, found.notebook): found for found in room.found}


def take(submissions, tmp_path, **options):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return collect(submissions, NAMES, scratch=scratch, **options)


def zipped(tmp_path, files):
    path = tmp_path / "class.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "place",
    [
        f"ann/{NAME}.ipynb",
        f"ann/{NAME}/{NAME}.ipynb",
        f"submitted/ann/{NAME}/{NAME}.ipynb",
        f"ann/deep/er/{NAME}.ipynb",
    ],
)
def test_the_layouts_of_nbgrader_and_of_a_folder_a_student_are_known(tmp_path, place):
    path = tmp_path / "class" / place
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    room = take(tmp_path / "class", tmp_path)
    assert room.students == ("ann",)
    assert rows(room)["ann", NAME].path == path


@pytest.mark.parametrize("place", ["", "inbound"])
def test_of_an_exchange_the_latest_submission_of_each_student_is_taken(tmp_path, place):
    inbound = tmp_path / "exchange" / place
    for folder in (
        f"ann+{NAME}+2026-11-28 09:00:00.000000 UTC+bbbb",
        f"ann+{NAME}+2026-11-29 18:30:00.000000 UTC+aaaa",
        f"ben+{NAME}+2026-11-27 07:00:00.000000 UTC",
    ):
        path = write(inbound, folder, handed_in())
        (path.parent / "timestamp.txt").write_text(folder.split("+")[2])
    room = take(tmp_path / "exchange", tmp_path)
    assert room.students == ("ann", "ben")
    assert rows(room)["ann", NAME].timestamp == "2026-11-29 18:30:00.000000 UTC"
    assert "2 files of this notebook" in rows(room)["ann", NAME].notes[-1]
    assert not rows(room)["ben", NAME].notes


@pytest.mark.parametrize(
    ("file", "student", "number"),
    [
        (f"doejane_12345_67890_{NAME}.ipynb", "doejane", "12345"),
        (f"doejane_LATE_12345_67890_{NAME}-2.ipynb", "doejane", "12345"),
        (f"Jane Doe_777_assignsubmission_file_/{NAME}.ipynb", "Jane Doe", "777"),
        (f"Jane Doe_777_assignsubmission_file_{NAME}.ipynb", "Jane Doe", "777"),
        (f"jane/{NAME}.ipynb", "jane", ""),
        (f"submitted/jane/{NAME}/{NAME}.ipynb", "jane", ""),
        (f"export/jane/{NAME}.ipynb", "jane", ""),
        (f"jane_{NAME}.ipynb", "jane", ""),
    ],
)
def test_archives_of_the_learning_platforms_are_known(tmp_path, file, student, number):
    room = take(zipped(tmp_path, {file: "{}"}), tmp_path)
    found = rows(room)[student, NAME]
    assert found.path is not None
    assert found.lms_id == number


def test_two_students_of_one_name_stay_two(tmp_path):
    names = [f"Jane Doe_{number}_assignsubmission_file_/{NAME}.ipynb" for number in (1, 2)]
    room = take(zipped(tmp_path, dict.fromkeys(names, "{}")), tmp_path)
    assert room.students == ("Jane Doe_1", "Jane Doe_2")


def test_every_student_has_a_row_for_every_notebook_somebody_handed_in(tmp_path):
    write(tmp_path / "class", "ann", handed_in())
    write(tmp_path / "class", "ben", "x", name="02_other.ipynb")
    write(tmp_path / "class", "cem", "%PDF", name="homework.pdf")
    (tmp_path / "class" / "dee").mkdir()
    room = take(tmp_path / "class", tmp_path, roster=["eve"])
    found = rows(room)
    assert set(found) == {(s, n) for s in ("ann", "ben", "cem", "dee", "eve") for n in NAMES}
    assert "homework.pdf" in found["cem", NAME].reason
    assert found["eve", NAME].path is None


def test_only_the_notebooks_asked_for_have_rows(tmp_path):
    write(tmp_path / "class", "ann", handed_in())
    assert set(rows(take(tmp_path / "class", tmp_path, only=["02_other"]))) == {("ann", "02_other")}


@pytest.mark.parametrize(
    "name", [f"{NAME}-3.ipynb", f"{NAME} (1).ipynb", f"{NAME}-Copy1.ipynb", f"Copy of {NAME}.ipynb", "01-Tiny.ipynb"]
)
def test_renamed_copies_are_recognised_and_noted(tmp_path, name):
    write(tmp_path / "class", "ann", handed_in(), name=name)
    found = rows(take(tmp_path / "class", tmp_path))["ann", NAME]
    assert found.path is not None
    assert name in found.notes[0]


def test_a_file_of_any_name_is_recognised_by_its_cells(tmp_path):
    write(tmp_path / "class", "ann", handed_in(), name="homework.ipynb")
    assert rows(take(tmp_path / "class", tmp_path))["ann", NAME].path.name == "homework.ipynb"


def test_of_several_files_the_last_resubmission_is_graded(tmp_path):
    for name in (f"{NAME}.ipynb", f"{NAME}-1.ipynb", f"{NAME}-10.ipynb", f"{NAME}-9.ipynb"):
        write(tmp_path / "class", "ann", handed_in(), name=name)
    found = rows(take(tmp_path / "class", tmp_path))["ann", NAME]
    assert found.path.name == f"{NAME}-10.ipynb"
    assert f"{NAME}-9.ipynb" in found.notes[1]


def test_checkpoints_and_system_files_are_no_submissions(tmp_path):
    write(tmp_path / "class", "ann", handed_in(), name=f".ipynb_checkpoints/{NAME}-checkpoint.ipynb")
    write(tmp_path / "class", "__MACOSX", handed_in())
    room = take(tmp_path / "class", tmp_path)
    assert room.students == ("ann",)
    assert rows(room)["ann", NAME].path is None


def test_links_are_refused_with_a_reason_and_the_student_keeps_the_row(tmp_path):
    secret = write(tmp_path / "elsewhere", "x", handed_in())
    (tmp_path / "class" / "ann").mkdir(parents=True)
    (tmp_path / "class" / "ann" / f"{NAME}.ipynb").symlink_to(secret)
    (tmp_path / "class" / "ben").symlink_to(secret.parent)
    found = rows(take(tmp_path / "class", tmp_path))
    assert found["ann", NAME].path is None
    assert "symbolic link" in found["ann", NAME].reason
    assert all(f.path is None for f in found.values())
    assert "symbolic link" in found["ben", NAME].reason


def test_the_submission_time_is_read(tmp_path):
    path = write(tmp_path / "class", "ann", handed_in())
    (path.parent / "timestamp.txt").write_text("2026-01-02 03:04:05 UTC\n")
    assert rows(take(tmp_path / "class", tmp_path))["ann", NAME].timestamp == "2026-01-02 03:04:05 UTC"


def test_what_is_neither_folder_nor_archive_is_said_so(tmp_path):
    with pytest.raises(SubmissionsError, match="no submissions"):
        take(tmp_path / "none", tmp_path)


def test_a_damaged_archive_is_said_so(tmp_path):
    (tmp_path / "class.zip").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(ArchiveError, match="cannot be read"):
        take(tmp_path / "class.zip", tmp_path)


def test_links_in_archives_are_refused(tmp_path):
    path = tmp_path / "class.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        link = zipfile.ZipInfo(f"ann/{NAME}.ipynb")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        bundle.writestr(link, "/etc/passwd")
    found = rows(take(path, tmp_path))["ann", NAME]
    assert found.path is None
    assert "symbolic link" in found.reason


def test_a_zip_bomb_is_refused_by_its_header(tmp_path):
    path = zipped(tmp_path, {f"ann/{NAME}.ipynb": b"\0" * (20 << 20)})
    assert "bomb" in rows(take(path, tmp_path))["ann", NAME].reason
