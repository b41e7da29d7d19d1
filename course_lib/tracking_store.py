"""The tracking store: a SQLite file with an artifact folder beside it, opened, checked and served.

MLflow 3 refuses the old ``./mlruns`` folder. SQLite knows one writer at a time, which is right for one person; a team
puts a database server and a bucket behind the same two addresses.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib import data, engines, processes
from course_lib.errors import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Store", "guard", "open_store", "quiet", "require_usable", "ui", "ui_server"]

MLFLOW = "mlflow-skinny"  # the part of MLflow that is always there; it has the version of the whole
LOCK_SECONDS = 1.0  # how long to wait for another writer; MLflow alone waits twenty seconds per statement


@dataclass(frozen=True)
class Store:
    """A tracking store on disk: ``mlflow.db`` for runs and registry, ``artifacts`` for files."""

    folder: Path

    @property
    def database(self) -> Path:
        """Path of the SQLite file."""
        return self.folder / "mlflow.db"

    @property
    def uri(self) -> str:
        """Tracking and registry URI."""
        return f"sqlite:///{self.database}"

    @property
    def artifacts(self) -> Path:
        """Folder under which each experiment keeps its artifacts."""
        return self.folder / "artifacts"

    def client(self) -> MlflowClient:
        """Return MLflow's low-level client for this store.

        Raises
        ------
        TrackingError
            The database is locked or broken: MLflow would find out twenty seconds later.
        """
        quiet()
        from mlflow import MlflowClient

        require_usable(self)
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)


def quiet() -> None:
    """Load MLflow with its telemetry off, and without its messages about routine matters."""
    import logging
    import warnings

    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with warnings.catch_warnings():  # its database models use what SQLAlchemy 2.1 calls deprecated
        warnings.simplefilter("ignore")
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # prints a traceback before raising it
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)


def open_store(folder: Path | str) -> Store:
    """Open the store in ``folder``, creating it if need be.

    A new database is copied from an empty one that is kept per MLflow version, because creating the tables takes
    seconds and copying them does not.

    Raises
    ------
    TrackingError
        The folder cannot be written, holds runs in the old file layout, has a database that MLflow did not make, or
        another process holds the database locked.
    """
    store = Store(Path(folder).resolve())
    try:
        _refuse_file_layout(store)
        store.artifacts.mkdir(parents=True, exist_ok=True)
        if not store.database.exists():
            _make_database(store)
    except OSError as error:
        raise TrackingError(
            f"The folder {store.folder} cannot be used as a tracking store: {error}",
            expected="a folder this user can write to",
            next_step="choose another folder",
        ) from error
    require_usable(store)
    return store


@contextmanager
def guard(store: Store) -> Iterator[None]:
    """Turn the errors of a locked or broken store into a :class:`TrackingError` that says what to do."""
    quiet()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    require_usable(store)
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error) as error:
        if "database is locked" in str(error):
            raise _locked(store) from error
        text = str(error).splitlines()[0]
        raise TrackingError(
            f"The tracking store refused: {text}",
            expected=f"a request that the store at {store.uri} can answer",
            next_step="check the names and ids in the call; `tracking.runs(store, experiment)` lists what is there",
        ) from error


def require_usable(store: Store) -> None:
    """Check within :data:`LOCK_SECONDS` that the database is there, is MLflow's, and lets us write.

    Raises
    ------
    TrackingError
        It does not; the message says which of the three.
    """
    try:
        uri = f"{store.database.as_uri()}?mode=rw"  # never create an empty file where a store was expected
        with closing(sqlite3.connect(uri, uri=True, timeout=LOCK_SECONDS)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("SELECT count(*) FROM experiments")
            connection.rollback()
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise _locked(store) from error
        raise TrackingError(
            f"{store.database} is not a usable tracking database: {error}",
            expected="a SQLite file made by MLflow, which this user can write",
            next_step="open the folder with `tracking.open_store`; if the file is broken, move it away first",
        ) from error


def ui_server(store: Store, *, port: int | None = None) -> processes.Server:
    """Return the MLflow server (web interface and REST API) as a process that starts at once and is awaited later.

    Where only MLflow's small part is installed it is the course's own server (:mod:`course_lib.tracking_rest`), which
    answers two calls of the REST API and has a page in place of the interface that says so.

    Parameters
    ----------
    store
        What to serve.
    port
        TCP port on the loopback address; by default a free one.
    """
    port = port or processes.free_port()
    if engines.found(["mlflow"])[0].version is None:
        command = [sys.executable, "-m", "course_lib.tracking_rest", str(store.folder), str(port)]
        return processes.Server("MLflow's REST API", command, port=port, ready_path="/health", timeout=90)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri, "--workers", "1"]
    command += ["--default-artifact-root", store.artifacts.as_uri(), "--host", "127.0.0.1", "--port", str(port)]
    # The job runner only serves features for language models; without it the server starts in half the time.
    env = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return processes.Server("MLflow", command, port=port, ready_path="/health", env=env, timeout=90)


@contextmanager
def ui(store: Store, *, port: int | None = None) -> Iterator[processes.Server]:
    """Run the MLflow server on ``store`` until the block ends.

    Yields
    ------
    course_lib.processes.Server
        The running server; ``server.url`` opens it.
    """
    with ui_server(store, port=port) as server:
        server.wait_ready()
        yield server


def _refuse_file_layout(store: Store) -> None:
    """Refuse a folder in which MLflow 1 or 2 kept each run as a folder of text files."""
    if store.database.exists() or not any(store.folder.glob("*/meta.yaml")):
        return
    raise TrackingError(
        f"{store.folder} holds runs in the old file layout (`./mlruns`), which MLflow 3 no longer uses.",
        expected="a folder with a SQLite database, or an empty one",
        next_step=f"run `mlflow migrate-filestore --source {store.folder} --target sqlite:///mlflow.db`, or choose "
        "another folder",
    )


def _make_database(store: Store) -> None:
    """Copy the empty database, give its default experiment a home in this store, and publish it at once."""
    empty = _empty_database()
    with tempfile.TemporaryDirectory(dir=store.folder, prefix=".creating-") as scratch:
        fresh = Path(scratch) / "mlflow.db"
        shutil.copyfile(empty, fresh)
        home = (store.artifacts / "default").as_uri()
        with closing(sqlite3.connect(fresh)) as connection, connection:
            connection.execute("UPDATE experiments SET artifact_location = ?", (home,))
        os.replace(fresh, store.database)  # noqa: PTH105 - the atomic rename is the point


def _empty_database() -> Path:
    """Return an empty tracking database of the installed MLflow version, made once and kept."""
    kept = data.cache_dir() / "mlflow" / f"empty-{version(MLFLOW)}.db"
    if not kept.exists():
        quiet()
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".creating-") as scratch:
            fresh = Path(scratch) / "mlflow.db"
            store: Any = SqlAlchemyStore(  # type: ignore[no-untyped-call]
                f"sqlite:///{fresh}", (Path(scratch) / "artifacts").as_uri()
            )
            store.engine.dispose()
            os.replace(fresh, kept)  # noqa: PTH105 - the atomic rename is the point
    return kept


def _locked(store: Store) -> TrackingError:
    return TrackingError(
        f"The tracking database {store.database} is locked by another process.",
        expected="one writer at a time: SQLite is for a laptop, a team needs a database server",
        next_step="stop the other notebook or server that writes to it, then run the cell again; nothing was lost",
    )
