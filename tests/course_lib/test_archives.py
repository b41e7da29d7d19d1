"""Nothing in an archive can land outside the folder, with Python's filter and without it."""

from __future__ import annotations

import io
import tarfile

import pytest

from course_lib.archives import unpack


def archive(name, **changes):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        member = tarfile.TarInfo(name)
        member.size = 3
        for key, value in changes.items():
            setattr(member, key, value)
        made.addfile(member, io.BytesIO(b"abc"))
    buffer.seek(0)
    return tarfile.open(fileobj=buffer)


@pytest.fixture(params=["with filters", "without filters"], autouse=True)
def filters(request, monkeypatch):
    if request.param == "with filters" and not hasattr(tarfile, "data_filter"):
        pytest.skip("this Python has no filters")
    if request.param == "without filters" and hasattr(tarfile, "data_filter"):
        monkeypatch.delattr(tarfile, "data_filter")


def test_files_are_unpacked_below_the_folder(tmp_path):
    unpack(archive("model/weights.bin", mode=0o4777), tmp_path)
    unpacked = tmp_path / "model" / "weights.bin"

    assert unpacked.read_bytes() == b"abc"
    assert unpacked.stat().st_mode & 0o7022 == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../out"},
        {"name": "a/../../out"},
        {"name": "link", "type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0},
        {"name": "device", "type": tarfile.CHRTYPE, "size": 0},
    ],
)
def test_what_would_land_elsewhere_is_refused(tmp_path, changes):
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(tarfile.TarError):
        unpack(archive(**changes), folder)
    assert list(tmp_path.iterdir()) == [folder]
