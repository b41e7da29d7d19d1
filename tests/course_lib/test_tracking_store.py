"""The store: opened quickly, refused clearly, never waited for."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from urllib.parse import unquote, urlsplit

import pytest

from course_lib import processes, tracking, tracking_store
from course_lib.errors import EngineError, TrackingError


@pytest.fixture
def store(tmp_path):
    return tracking.open_store(tmp_path / "tracking")


def test_a_new_store_holds_one_experiment_whose_files_live_in_its_folder(store):
    (default,) = store.client().search_experiments()

    assert unquote(urlsplit(default.artifact_location).path).startswith(str(store.artifacts))


def test_opening_a_store_again_keeps_what_was_logged(store):
    experiment = tracking.use(store, "desk")
    run_id = store.client().create_run(experiment).info.run_id

    again = tracking.open_store(store.folder)

    assert tracking.runs(again, "desk")["run_id"].tolist() == [run_id]


def test_two_stores_do_not_share_runs(tmp_path):
    one, two = tracking.open_store(tmp_path / "one"), tracking.open_store(tmp_path / "two")
    one.client().create_run(tracking.use(one, "desk"))
    tracking.use(two, "desk")

    assert len(tracking.runs(one, "desk")) == 1
    assert tracking.runs(two, "desk").empty


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(TrackingError, match="choose another folder"):
        tracking.open_store(tmp_path / "taken")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(TrackingError, match="a folder this user can write to"):
            tracking.open_store(tmp_path / "tracking")
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_a_folder_of_the_kernel_is_refused():
    with pytest.raises(TrackingError, match="cannot be used as a tracking store"):
        tracking.open_store("/proc/no-such-place")


def test_runs_in_the_old_file_layout_are_refused_with_the_way_to_migrate(tmp_path):
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").write_text("experiment_id: '0'\nname: Default\n")

    with pytest.raises(TrackingError, match="mlflow migrate-filestore"):
        tracking.open_store(tmp_path / "mlruns")


def test_mlflow_itself_refuses_the_old_file_layout(tmp_path):
    tracking_store.quiet()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="migrate-filestore"):
        MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri()).search_experiments()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is not SQLite, and long enough not to be taken for an empty file")

    with pytest.raises(TrackingError, match="not a usable tracking database"):
        tracking.open_store(tmp_path)


def test_a_database_of_another_program_is_refused(tmp_path):
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as other, other:
        other.execute("CREATE TABLE songs (title TEXT)")

    with pytest.raises(TrackingError, match="no such table: experiments"):
        tracking.open_store(tmp_path)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(lambda store: tracking.open_store(store.folder), id="open"),
        pytest.param(lambda store: tracking.use(store, "desk"), id="use"),
        pytest.param(lambda store: tracking.runs(store, "desk"), id="query"),
        pytest.param(lambda store: tracking.load_model(store, "models:/late-flights@champion"), id="load"),
    ],
)
def test_a_locked_database_is_said_to_be_locked(store, monkeypatch, request_):
    monkeypatch.setattr(tracking_store, "LOCK_SECONDS", 0.05)
    with closing(sqlite3.connect(store.database)) as other:
        other.execute("BEGIN EXCLUSIVE")

        with pytest.raises(TrackingError, match="locked by another process"):
            request_(store)


def test_a_lock_that_is_released_leaves_the_store_usable(store, monkeypatch):
    monkeypatch.setattr(tracking_store, "LOCK_SECONDS", 0.05)
    with closing(sqlite3.connect(store.database)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError):
            tracking.use(store, "desk")
        other.rollback()

    assert tracking.use(store, "desk")


def test_a_store_that_vanished_is_not_made_anew_by_asking_it(store):
    store.database.unlink()

    with pytest.raises(TrackingError, match="unable to open database file"):
        tracking.use(store, "desk")
    assert not store.database.exists()


def test_the_server_refuses_a_port_that_is_in_use(store):
    import socket

    with socket.socket() as other:
        other.bind((processes.LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(EngineError, match=f"Port {port} is in use"):
            tracking.ui_server(store, port=port).start()
