from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent.parent / "fixtures" / "sources"


@pytest.fixture
def tiny_course(tmp_path: Path) -> Path:
    """A course of one tiny notebook, in a folder of its own."""
    root = tmp_path / "course"
    shutil.copytree(SOURCES, root / "solutions")
    (root / "pyproject.toml").touch()
    return root


@pytest.fixture
def change(tiny_course: Path) -> Callable[..., Path]:
    """Replace text in the tiny course, the source by default; fail when the text is not there."""

    def replace(old: str, new: str, *, file: str = "01_tiny.py", count: int = -1) -> Path:
        path = tiny_course / "solutions" / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, count), encoding="utf-8")
        return path

    return replace
