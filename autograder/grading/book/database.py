"""Gradebook file: an empty database of nbgrader's, made whole or not at all, and a copy of one before it is changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from course_lib.errors import CourseError

__all__ = ["GradebookError", "back_up", "create", "url"]


class GradebookError(CourseError):
    """The gradebook cannot be used for this class."""


def url(path: Path) -> str:
    """Return how SQLAlchemy names the database at ``path``."""
    return f"sqlite:///{path.resolve()}?timeout=60"


def create(path: Path) -> None:
    """Create an empty gradebook, whole or not at all: nbgrader never repairs one that was begun.

    The tables are nbgrader's; the version of their schema is what its command ``alembic heads`` would say, without the
    seconds that starting it takes.
    """
    import nbgrader.api
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine, text

    if path.exists():
        return
    unfinished = path.with_name(".new-gradebook.db")
    unfinished.unlink(missing_ok=True)
    package = Path(nbgrader.api.__file__).parent
    settings = Config(package / "alembic.ini")
    settings.set_main_option("script_location", str(package / "alembic").replace("%", "%%"))
    head = ScriptDirectory.from_config(settings).get_current_head()
    engine = create_engine(url(unfinished))
    nbgrader.api.Base.metadata.create_all(bind=engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": head})
    engine.dispose()
    unfinished.replace(path)


def back_up(path: Path) -> Path:
    """Copy the gradebook beside itself, as SQLite copies a database that is in use; return the copy."""
    number = 1
    while (copy := path.with_name(f"{path.stem}-before-{number}{path.suffix}")).exists():
        number += 1
    unfinished = path.with_name(".new-backup.db")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(unfinished)) as target:
        source.backup(target)
    unfinished.replace(copy)
    return copy
