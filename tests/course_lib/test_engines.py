from __future__ import annotations

import pytest

from course_lib import engines
from course_lib.errors import EngineError


def test_a_program_on_the_path_is_found_with_its_version(tmp_path, monkeypatch):
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\necho 'Chromium 99.1 built on a laptop'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (found,) = engines.found(["chromium"])
    assert found.version == "99.1"


def test_a_hidden_program_is_not_found(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [one.version for one in engines.found(["chromium", "bubblewrap"])] == [None, None]


def test_an_installed_package_is_found_without_importing_it():
    from importlib.metadata import version

    (found,) = engines.found(["mlflow"])
    assert found.version == version("mlflow")


def test_requiring_a_missing_engine_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"Chromium was not found[\s\S]*make engines"):
        engines.require("chromium")


def test_the_table_says_what_runs_without_a_missing_engine(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    text = engines.table("mlflow", "bubblewrap").data
    assert "| MLflow server | the tracking UI and registry | found" in text
    assert "**not found**: the grader uses namespaces" in text


def test_an_unknown_engine_is_an_error():
    with pytest.raises(EngineError, match="no engine called warp-drive"):
        engines.found(["warp-drive"])


def test_every_engine_says_what_it_is_for_and_what_happens_without_it():
    for engine in engines.ENGINES.values():
        assert engine.used_for
        assert engine.without
