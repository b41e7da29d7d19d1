"""Archives: every member has a fate, nothing leaves the folder, and names stay what they are."""

from __future__ import annotations

import struct
import zipfile
import zlib

import pytest

from autograder.grading.unpack import ArchiveError, ArchiveLimits, unpack


def zipped(tmp_path, files):
    path = tmp_path / "class.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return path


def refusals(members):
    return {member.name: member.refused for member in members if member.refused}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ann/../../evil.ipynb", "'..'"),
        ("/etc/evil.ipynb", "absolute"),
        ("C:\\evil.ipynb", "absolute"),
        ("\\\\server\\evil.ipynb", "absolute"),
        ("ann\\..\\..\\evil.ipynb", "'..'"),
    ],
)
def test_paths_that_lead_outside_are_refused_and_write_nothing(tmp_path, name, reason):
    inside = tmp_path / "a" / "b"
    refused = refusals(unpack(zipped(tmp_path, {name: "x"}), inside))
    assert [reason in why for why in refused.values()] == [True]
    assert [p for p in tmp_path.rglob("*") if p.is_file() and p.name != "class.zip"] == []


def test_a_zip_bomb_whose_header_lies_is_stopped_while_reading(tmp_path):
    path = zipped(tmp_path, {"ann/x.ipynb": b"\0" * (2 << 20)})
    raw = path.read_bytes().replace((2 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(raw)
    refused = refusals(unpack(path, tmp_path / "into", limits=ArchiveLimits(file_bytes=1 << 20)))
    assert len(refused) == 1
    assert sum(p.stat().st_size for p in (tmp_path / "into").rglob("*") if p.is_file()) <= 1 << 20


def test_all_files_together_have_a_limit_too(tmp_path):
    path = zipped(tmp_path, {f"s{n}/x.ipynb": bytes(range(256)) * 4 for n in range(5)})
    refused = refusals(unpack(path, tmp_path / "into", limits=ArchiveLimits(total_bytes=3000)))
    assert list(refused) == ["s2/x.ipynb", "s3/x.ipynb", "s4/x.ipynb"]


def test_too_many_notebooks_are_refused_as_a_whole_before_one_is_unpacked_and_where_they_lie_is_said(tmp_path):
    path = zipped(tmp_path, {f"{s}/{n}.ipynb": "x" for s, count in (("ann", 1), ("ben", 3)) for n in range(count)})
    with pytest.raises(ArchiveError, match="4 notebooks, 3 of them in 'ben'"):
        unpack(path, tmp_path / "into", limits=ArchiveLimits(files=3))
    assert not list((tmp_path / "into").iterdir())


def test_a_damaged_member_does_not_stop_the_others(tmp_path):
    path = zipped(tmp_path, {"ann/x.ipynb": "a" * 500, "ben/x.ipynb": "b" * 500})
    raw = bytearray(path.read_bytes())
    at = raw.index(zlib.compress(b"a" * 500, wbits=-15, level=6)[:4])
    raw[at] ^= 0xFF
    path.write_bytes(raw)
    members = {member.name: member for member in unpack(path, tmp_path / "into")}
    assert members["ann/x.ipynb"].refused
    assert members["ben/x.ipynb"].path.read_text() == "b" * 500


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_second_file_of_one_name_is_refused_and_names_that_only_look_alike_are_two(tmp_path):
    path = tmp_path / "class.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        for name in ("ann/a:b.ipynb", "ann/a*b.ipynb", "ann/A:B.ipynb", "ann/a:b.ipynb"):
            bundle.writestr(name, name)
    members = unpack(path, tmp_path / "into")
    assert [member.path is not None for member in members] == [True, True, True, False]
    assert "same name" in members[-1].refused
    assert members[1].path.read_text() == "ann/a*b.ipynb"


def test_an_archive_that_announces_too_many_files_is_refused_before_they_are_read(tmp_path, monkeypatch):
    path = zipped(tmp_path, {f"s{n}/x.txt": "" for n in range(30)})
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(ArchiveError, match="names 30 files"):
        unpack(path, tmp_path / "into", limits=ArchiveLimits(members=29))


def test_the_number_of_members_of_a_large_archive_is_read_from_its_larger_record(tmp_path):
    path = tmp_path / "class.zip"
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 66_000, 66_000, 0, 0)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0, 0, 0)
    path.write_bytes(record + b"PK\x06\x07" + struct.pack("<IQI", 0, 0, 1) + end)
    with pytest.raises(ArchiveError, match="names 66,000 files"):
        unpack(path, tmp_path / "into", limits=ArchiveLimits(members=65_999))


def test_bytes_that_look_like_the_larger_record_are_content(tmp_path):
    path = tmp_path / "class.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("ann/x.ipynb", b"PK\x06\x06" + b"\xff" * 60)
    assert [member.refused for member in unpack(path, tmp_path / "into")] == [""]


def test_only_what_is_wanted_is_unpacked_and_everything_is_named(tmp_path):
    path = zipped(tmp_path, {f"s{n}/x.txt": "" for n in range(9)})
    members = unpack(path, tmp_path / "into", wanted=lambda name: name == "s7/x.txt", limits=ArchiveLimits(files=1))
    assert [member.name for member in members if member.path] == ["s7/x.txt"]
    assert len(members) == 9
    assert not any(member.refused for member in members)


@pytest.mark.parametrize("name", ["José/x.ipynb", "Łukasz/x.ipynb", "李/x.ipynb", "Zoe\u0308/x.ipynb"])
def test_names_in_utf_8_are_read_also_when_the_archive_does_not_say_so(tmp_path, name):
    path = zipped(tmp_path, {name: "x"})
    raw = path.read_bytes()
    assert raw.count(b"\x00\x08") >= 2  # the flag, in both places
    path.write_bytes(raw.replace(b"\x14\x00\x00\x08", b"\x14\x00\x00\x00"))
    assert [member.name for member in unpack(path, tmp_path / "into")] == [name]


def test_backslashes_separate_only_where_nothing_else_does(tmp_path):
    windows = zipped(tmp_path, {"ann\\x.ipynb": "x"})
    assert [member.name for member in unpack(windows, tmp_path / "1")] == ["ann/x.ipynb"]
    mixed = zipped(tmp_path, {"a\\nn/x.ipynb": "x"})
    assert [member.name for member in unpack(mixed, tmp_path / "2")] == ["a\\nn/x.ipynb"]
